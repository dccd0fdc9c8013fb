// Memory that runs out while a ShardedIndex changes or answers: a typed error or std::bad_alloc,
// each label with its old vector or its new one, and a repeated call that does what was meant.

#include <algorithm>
#include <concord/sharded_index.hpp>

#include "tests/allocation/failing_allocations.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

constexpr std::uint32_t kDimension = 3;
constexpr std::size_t kVectors = 60;
constexpr ShardParams kShards{.shards = 3, .block = 1};

class ShardedAllocation : public testing::Test {
 protected:
  [[nodiscard]] ShardedIndex made() const {
    RuntimeOptions options;
    options.threads = 1;
    options.device = "cpu";
    ShardedIndex index(make_params(kDimension, 3, 12, 16), kShards, {options, {}});
    index.add(data_.slice(0, kVectors));
    index.remove(std::vector<std::uint64_t>{1, 2, 3});
    return index;
  }
  [[nodiscard]] bool is_row(const std::vector<float>& vector, std::size_t row) const {
    return std::equal(vector.begin(), vector.end(), data_.row(row));
  }

  const Matrix data_ = make_data(Shape::random, 2 * kVectors, kDimension);
};

TEST_F(ShardedAllocation, AtEveryAllocationOfAnUpsert) {
  // Known labels, some that were removed, and new ones; row i of the second half is for label i.
  std::vector<std::uint64_t> labels;
  for (std::uint64_t label = 0; label < 30; ++label) labels.push_back(label);
  std::int64_t n = 0;
  for (bool done = false; !done; ++n) {
    SCOPED_TRACE("allocation " + std::to_string(n));
    ShardedIndex index = made();
    done = ends_before(n, [&] { index.upsert(data_.slice(kVectors, 30), labels); });
    expect_sound(index.audit());
    for (std::uint64_t label = 0; label < kVectors; ++label) {
      if (!index.contains(label)) {
        ASSERT_TRUE(label >= 1 && label <= 3) << label;
        continue;
      }
      const std::vector<float> vector = index.vector(label);
      ASSERT_TRUE(is_row(vector, label) || (label < 30 && is_row(vector, kVectors + label)));
    }
    index.upsert(data_.slice(kVectors, 30), labels);
    ASSERT_EQ(index.size(), kVectors);
    for (const std::uint64_t label : labels) {
      ASSERT_TRUE(is_row(index.vector(label), kVectors + label)) << label;
    }
    expect_sound(index.audit());
  }
  EXPECT_GT(n, 50);
}

TEST_F(ShardedAllocation, AtEveryAllocationOfARemoval) {
  std::vector<std::uint64_t> labels;
  for (std::uint64_t label = 4; label < 44; ++label) labels.push_back(label);
  std::int64_t n = 0;
  for (bool done = false; !done; ++n) {
    SCOPED_TRACE("allocation " + std::to_string(n));
    ShardedIndex index = made();
    done = ends_before(n, [&] {
      index.remove(labels);
      index.flush();
    });
    expect_sound(index.audit());
    std::vector<std::uint64_t> left;
    std::copy_if(labels.begin(), labels.end(), std::back_inserter(left),
                 [&](std::uint64_t label) { return index.contains(label); });
    ASSERT_EQ(index.size(), kVectors - 3 - labels.size() + left.size());
    index.remove(left);
    index.flush();
    ASSERT_EQ(index.size(), kVectors - 3 - labels.size());
    expect_sound(index.audit());
  }
  EXPECT_GT(n, 20);
}

// An answer that cannot be given changes none that can.
TEST_F(ShardedAllocation, AtEveryAllocationOfASearch) {
  const ShardedIndex index = made();
  const MatrixView<const float> queries = data_.slice(0, 2);
  const std::vector<std::uint64_t> keys(index.size(), 5);
  const auto answers = [&] {
    std::vector<std::uint64_t> all;
    const auto take = [&](const std::vector<std::uint64_t>& labels) {
      all.insert(all.end(), labels.begin(), labels.end());
    };
    const Filter filter =
        Filter::of_predicate(index, [](std::uint64_t label) { return label % 2 == 0; });
    const Groups groups = Groups::of_keys(index, keys);
    take(index.search(queries, {.k = 5, .ef = 20}, {.filter = &filter}).labels);
    take(index.exact_search(queries, 4).labels);
    take(index.search(queries, {.k = 2}, {.groups = &groups, .group_hits = 2}).labels);
    take(index.range_search(queries, 4.0F).labels);
    Cursor cursor = index.cursor({data_.row(0), kDimension});
    for (int page = 0; page < 3; ++page) take(cursor.next(6).labels);
    all.push_back(index.explain(data_.slice(0, 1), 7).rank);
    take(index.labels());
    return all;
  };
  const std::vector<std::uint64_t> expected = answers();
  std::int64_t n = 0;
  for (bool done = false; !done; ++n) {
    SCOPED_TRACE("allocation " + std::to_string(n));
    done = ends_before(n, [&] { ASSERT_EQ(answers(), expected); });
    ASSERT_EQ(answers(), expected);
  }
  EXPECT_GT(n, 50);
}

// A page that memory was too short for is given by the next call.
TEST_F(ShardedAllocation, ACursorGoesOnWithThePageThatFailed) {
  const ShardedIndex index = made();
  std::int64_t n = 0;
  for (bool done = false; !done; ++n) {
    SCOPED_TRACE("allocation " + std::to_string(n));
    Cursor cursor = index.cursor({data_.row(0), kDimension});
    Cursor undisturbed = index.cursor({data_.row(0), kDimension});
    EXPECT_EQ(cursor.next(7).labels, undisturbed.next(7).labels);
    std::vector<std::uint64_t> page;
    done = ends_before(n, [&] { page = cursor.next(9).labels; });
    if (!done) page = cursor.next(9).labels;
    ASSERT_EQ(page, undisturbed.next(9).labels);
    ASSERT_EQ(cursor.next(60).labels, undisturbed.next(60).labels);
  }
  EXPECT_GT(n, 5);
}

// While vectors are inserted, which may take hours, a shard has their labels, and the call keeps no
// list of them.
TEST(ShardedMemory, ACallKeepsNoListOfLabelsWhileItInserts) {
  constexpr std::size_t kSmall = 96000;  // fills the tables of labels as twice as many do
  const auto held_by = [](std::size_t n, bool upserts) {
    Matrix data(n, 1);
    std::vector<std::uint64_t> labels(n);
    for (std::size_t i = 0; i < n; ++i) {
      data.row(i)[0] = static_cast<float>(i);
      labels[i] = 2 * i + 1;
    }
    ShardedIndex index(make_params(1, 2, 4, 64), {.shards = 2, .block = 1},
                       {{1, "cpu", 0, {}}, {}});
    const std::int64_t before = bytes_held;
    std::int64_t most = 0;
    const auto look = [&](std::size_t, std::size_t) {
      most = std::max<std::int64_t>(most, bytes_held - before);
      return false;
    };
    upserts ? index.upsert(data.view(), labels, look) : index.add(data.view(), labels, look);
    EXPECT_GT(most, 0);
    return most;
  };
  // The tables take 5.5 bytes a vector.
  EXPECT_LT(held_by(2 * kSmall, false) - held_by(kSmall, false), 8 * std::int64_t{kSmall});
  // Which rows a shard takes is 8 bytes more, in a list that has grown to up to 16.
  EXPECT_LT(held_by(2 * kSmall, true) - held_by(kSmall, true), 22 * std::int64_t{kSmall});
}

}  // namespace
}  // namespace concord::test
