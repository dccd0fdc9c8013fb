// Memory that runs out in a search of any kind, with and without a filter: the search fails whole,
// and the index answers the next one. How much of it a search takes does not grow with its queries.

#include <concord/index.hpp>
#include <functional>
#include <optional>
#include <tuple>

#include "common/store/vector_store.hpp"
#include "tests/allocation/failing_allocations.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using Labels = std::vector<std::uint64_t>;
using Numbers = std::vector<std::size_t>;
using Answer = std::tuple<Labels, std::vector<float>, Numbers>;
using Ask = std::function<Answer(const Index&, const SearchOptions&)>;

constexpr std::size_t kSize = 400;
constexpr std::size_t kDimension = 512;  // so that two thirds of the vectors are walked

Answer answer(const SearchResult& found) {
  return {found.labels, found.distances, Numbers(found.counts.begin(), found.counts.end())};
}
Answer answer(const RangeResult& found) { return {found.labels, found.distances, found.lims}; }

class SearchAllocations : public testing::Test {
 protected:
  SearchAllocations() {
    Index index(make_params(kDimension, 6, 20, 64), kOneThread);
    index.add(data_.slice(0, kSize));
    index.remove(Labels{8, 33, 34});
    index.save(file_);
    digest_ = index.digest();
    radius_ = index.exact_search(queries(), 40).distances[39];
  }

  [[nodiscard]] MatrixView<const float> queries() const { return data_.slice(kSize, 6); }
  /// An index whose searches have left no memory for later ones.
  [[nodiscard]] Index fresh() const { return Index::load(file_, kOneThread); }

  /// At each allocation, with each filter: none, one that is walked, one that is scanned, and a
  /// list of them.
  void expect_whole(const Ask& ask) const {
    const auto most = [](std::uint64_t label) { return label % 9 != 0; };
    const auto few = [](std::uint64_t label) { return label % 9 == 0; };
    for (int which = 0; which < 4; ++which) {
      SCOPED_TRACE("filter " + std::to_string(which));
      std::optional<Answer> wanted;
      std::int64_t n = -1;  // at first none fails
      for (bool ended = false; !ended; ++n) {
        const Index index = fresh();
        const Filter walked = Filter::of_predicate(index, most);
        const Filter scanned = Filter::of_predicate(index, few);
        const Filter* const each[] = {&walked, nullptr, &scanned, &walked, &scanned, nullptr};
        SearchOptions options;
        if (which == 1) options.filter = &walked;
        if (which == 2) options.filter = &scanned;
        if (which == 3) options.filters = each;
        if (n < 0) {
          wanted = ask(index, options);
          continue;
        }
        std::optional<Answer> found;
        ended = ends_before(n, [&] { found = ask(index, options); });
        ASSERT_TRUE(!found || found == wanted) << n;
        ASSERT_TRUE(found || !ended) << n;
        ASSERT_EQ(ask(index, options), *wanted) << n;
        ASSERT_EQ(index.digest(), digest_) << n;
      }
      EXPECT_GE(n, 5);
    }
  }

  const RuntimeOptions kOneThread{1, "cpu", 0, {}};
  Matrix data_ = make_data(Shape::clustered, kSize + 6, kDimension);
  TempPath file_;
  std::string digest_;
  float radius_ = 0;
};

TEST_F(SearchAllocations, OfASearch) {
  expect_whole([&](const Index& index, const SearchOptions& options) {
    return answer(index.search(queries(), {10, 12}, options));
  });
  expect_whole([&](const Index& index, const SearchOptions& options) {
    return answer(index.exact_search(queries(), 10, options));
  });
}

TEST_F(SearchAllocations, OfARangeSearch) {
  for (const RangeParams& params : {RangeParams{.ef = 12}, RangeParams{12, 0.3f, 9}}) {
    expect_whole([&](const Index& index, const SearchOptions& options) {
      return answer(index.range_search(queries(), radius_, params, options));
    });
  }
}

TEST_F(SearchAllocations, OfGroupsAndTheirSearch) {
  Labels keys;
  for (std::size_t i = 0; i < kSize - 3; ++i) keys.push_back(i % 60);
  for (const bool is_exact : {false, true}) {
    expect_whole([&](const Index& index, SearchOptions options) {
      const Groups groups = Groups::of_keys(index, keys);
      options.groups = &groups;
      options.group_hits = 3;
      return answer(is_exact ? index.exact_search(queries(), 4, options)
                             : index.search(queries(), {4, 6}, options));
    });
  }
}

TEST(CopyMemory, IsNotTakenByComparing) {
  for (const Storage storage : {Storage::automatic, Storage::f32, Storage::f16, Storage::bf16}) {
    IndexParams params = make_params(4, 6, 20, 64);
    params.storage = storage;
    core::VectorStore store(params);
    core::ThreadPool pool(1);
    Matrix rows(3, 4);
    rows.row(1)[2] = -0.0f;
    rows.row(2)[3] = 0.5f;
    store.resize(3);
    store.write(0, rows.view(), pool);
    bool are_equal[2];
    const std::int64_t allocations = allocations_of([&] {
      are_equal[0] = store.are_equal(0, 1);
      are_equal[1] = store.are_equal(0, 2);
    });
    EXPECT_TRUE(are_equal[0]);
    EXPECT_FALSE(are_equal[1]);
    EXPECT_EQ(allocations, 0);
  }
}

// The results of a call take memory once, and no query of it takes any: also where nodes stand for
// copies, and where several are equally far.
TEST(SearchMemory, IsNotTakenByEachQuery) {
  constexpr std::size_t kDistinct = 50;
  Matrix data(8 * kDistinct, 4);
  for (std::size_t i = 0; i < data.view().rows; ++i) {
    data.row(i)[0] = static_cast<float>(i % kDistinct);
    data.row(i)[1] = static_cast<float>(i % 2);
  }
  Index index(make_params(4, 6, 20, 64), {1, "cpu", 0, {}});
  index.add(data.view());
  index.remove(Labels{3, 4, 60});
  ASSERT_GT(index.stats().copies, 300u);
  const Filter all = Filter::of_range(index, 0, index.size());
  for (const Filter* const filter : {static_cast<const Filter*>(nullptr), &all}) {
    const auto search = [&](std::size_t queries) {
      static_cast<void>(index.search(data.slice(0, queries), {20, 30}, {.filter = filter}));
    };
    search(16);
    EXPECT_EQ(allocations_of([&] { search(16); }), allocations_of([&] { search(10); }));
  }
}

}  // namespace
}  // namespace concord::test
