// Additions to a ShardedIndex: all shards or none, a prefix where cancelled, resumed where broken.

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "common/index/index_access.hpp"
#include "cuda/backend.hpp"
#include "tests/shards/sharded_world.hpp"
#include "tests/support/host_device.hpp"

namespace concord::test {
namespace {

constexpr std::uint32_t kDimension = 5;

IndexParams small() { return make_params(kDimension, 4, 20, 8); }

std::vector<std::string> shard_digests(const ShardedIndex& index) {
  std::vector<std::string> digests;
  for (std::uint32_t s = 0; s < index.shards(); ++s) digests.push_back(index.shard(s).digest());
  return digests;
}

// One vector at a time, and every shard is sound after each.
TEST(ShardedAddition, EveryShardIsSoundAfterEachInsertion) {
  for (const Shape shape : {Shape::clustered, Shape::constant}) {
    const Matrix data = make_data(shape, 120, kDimension);
    ShardedIndex index(small(), {3, 2}, {on_cpu(2), {}});
    for (std::size_t i = 0; i < data.rows; ++i) {
      ASSERT_EQ(index.add(data.slice(i, 1)), 1U);
      ASSERT_EQ(index.resume_at(), i + 1);
      for (std::uint32_t s = 0; s < 3; ++s) expect_sound(index.shard(s).audit());
      ASSERT_FALSE(HasFailure()) << i;
    }
    expect_lone_shards(index, data, data.rows);
  }
}

TEST(ShardedAddition, TakesPiecesOfAnySizeAndStride) {
  const std::size_t n = 500;
  const Matrix data = make_data(Shape::random, n, kDimension);
  Matrix wide(n, kDimension + 3);
  for (std::size_t i = 0; i < n; ++i) std::copy_n(data.row(i), kDimension, wide.row(i));
  for (const ShardParams shards : {ShardParams{3, 1}, {2, 7}, {4, 64}}) {
    ShardedIndex index(small(), shards, {on_cpu(2), {}});
    std::size_t calls = 0;
    const std::size_t added = index.add_from(
        [&](std::size_t first) {
          const std::size_t count = std::min(n - first, 1 + hash(7, calls++) % 60);
          return MatrixView<const float>(wide.row(first), count, kDimension, kDimension + 3);
        },
        n);
    EXPECT_EQ(added, n);
    expect_lone_shards(index, data, n);
  }
}

/// What refuses a call changes no shard, and the index goes on as if there had been none.
TEST(ShardedAddition, IsRefusedByAllShardsOrByNone) {
  const std::size_t n = 60;
  const Matrix data = make_data(Shape::random, n, kDimension);
  const std::vector<std::uint64_t> labels = permuted_labels(n);
  ShardedIndex index(small(), {3, 2}, {on_cpu(2), {}});
  index.add(data.slice(0, 31), std::span(labels).first(31));
  const std::vector<std::string> before = shard_digests(index);
  const auto refuse = [&](ErrorCode code, const std::vector<std::string>& words, const Matrix& rows,
                          const std::vector<std::uint64_t>& with) {
    expect_error(code, words, [&] { index.add(rows.slice(31, 29), std::span(with).subspan(31)); });
    EXPECT_EQ(shard_digests(index), before);
    EXPECT_EQ(index.size(), 31U);
    EXPECT_EQ(index.resume_at(), 31U);
  };
  for (const std::size_t at : {31U, 32U, 40U, 58U, 59U}) {
    SCOPED_TRACE(at);
    const std::string number = std::to_string(at - 31);
    Matrix bad = data;
    bad.row(at)[1] = std::numeric_limits<float>::infinity();
    refuse(ErrorCode::invalid_vector, {"vector " + number + " "}, bad, labels);
    // Of a vector in every shard in turn, so mostly not the one that the new vector is in.
    for (const std::size_t old : {std::size_t{0}, std::size_t{3}, std::size_t{5}}) {
      std::vector<std::uint64_t> taken = labels;
      taken[at] = labels[old];
      refuse(ErrorCode::duplicate_label,
             {std::to_string(labels[old]), "vector " + number, "already in the index"}, data,
             taken);
    }
    std::vector<std::uint64_t> reserved = labels;
    reserved[at] = kNoLabel;
    refuse(ErrorCode::invalid_parameter, {"vector " + number}, data, reserved);
  }
  for (const std::size_t at : {33U, 59U}) {
    std::vector<std::uint64_t> twice = labels;
    twice[at] = labels[32];
    refuse(ErrorCode::duplicate_label,
           {std::to_string(labels[32]), "vector " + std::to_string(at - 31), "twice in the call"},
           data, twice);
  }
  expect_error(ErrorCode::dimension_mismatch, {"2 labels for 3"},
               [&] { index.add(data.slice(31, 3), std::span(labels).first(2)); });
  expect_error(ErrorCode::dimension_mismatch, {"4 columns"},
               [&] { index.add(MatrixView<const float>(data.row(31), 3, 4)); });
  expect_error(ErrorCode::dimension_mismatch, {"the source gave 0"},
               [&] { index.add_from([&](std::size_t) { return data.slice(0, 0); }, 3); });
  EXPECT_EQ(index.add(data.slice(31, 29), std::span(labels).subspan(31)), 29U);
  expect_lone_shards(index, data, n, labels);
}

// Labels that the library gives are positions, which a caller may have used.
TEST(ShardedAddition, GivenLabelsMayMeetThoseThatAreNotGiven) {
  const Matrix data = make_data(Shape::random, 20, kDimension);
  ShardedIndex index(small(), {3, 1}, {on_cpu(), {}});
  const std::uint64_t label = 5;
  index.add(data.slice(0, 1), {&label, 1});
  expect_error(ErrorCode::duplicate_label, {"label 5 of vector 4", "already"},
               [&] { index.add(data.slice(1, 10)); });
  EXPECT_EQ(index.size(), 1U);
  EXPECT_EQ(index.add(data.slice(1, 4)), 4U);
}

TEST(ShardedAddition, CancelledLeavesAPrefix) {
  const std::size_t n = 6000;
  const Matrix data = make_data(Shape::clustered, n, kDimension);
  const IndexParams params = make_params(kDimension, 8, 100, 64);
  for (const unsigned threads : {1U, 2U, 4U}) {
    ShardedIndex index(params, {3, 1}, {on_cpu(threads), {}});
    std::vector<std::uint64_t> seen;
    const std::thread::id caller = std::this_thread::get_id();
    const std::size_t added = index.add(data.view(), [&](std::uint64_t done, std::uint64_t total) {
      EXPECT_EQ(std::this_thread::get_id(), caller);
      EXPECT_EQ(total, n);
      seen.push_back(done);
      return false;  // the first call comes long before the end
    });
    ASSERT_LT(added, n);
    EXPECT_EQ(seen.size(), 1U);
    EXPECT_EQ(index.size(), added);
    EXPECT_EQ(index.resume_at(), added);
    EXPECT_EQ(index.labels().size(), added);
    EXPECT_FALSE(index.contains(added));
    // Then anything may come, not only what was cancelled.
    const Matrix others = make_data(Shape::random, 10, kDimension, 9);
    EXPECT_EQ(index.add(others.view()), 10U);
    Matrix both(added + 10, kDimension);
    std::copy_n(data.values.begin(), added * kDimension, both.values.begin());
    std::copy_n(others.values.begin(), 10 * kDimension,
                both.values.begin() + static_cast<std::ptrdiff_t>(added * kDimension));
    ShardedIndex again(params, {3, 1}, {on_cpu(), {}});
    again.add(both.view());
    EXPECT_EQ(index.digest(), again.digest());
  }
}

TEST(ShardedAddition, ReportsProgressUpToTheEnd) {
  const Matrix data = make_data(Shape::random, 4000, kDimension);
  for (const unsigned threads : {1U, 3U}) {
    ShardedIndex index(small(), {3, 1}, {on_cpu(threads), {}});
    std::uint64_t last = 0;
    index.add(data.view(), [&](std::uint64_t done, std::uint64_t) {
      EXPECT_GE(done, last);
      last = done;
      return true;
    });
    EXPECT_EQ(last, data.rows);
  }
}

// They may ask every shard whatever they like; they must not change the index.
TEST(ShardedAddition, CallbacksMayReadAndMustNotWrite) {
  const Matrix data = make_data(Shape::random, 3000, kDimension);
  for (const unsigned threads : {1U, 2U, 4U}) {
    ShardedIndex index(small(), {4, 1}, {on_cpu(threads), {}});
    int calls = 0;
    const auto look = [&] {
      if (++calls > 20) return;  // the slower each is, the more there are
      expect_sound(index.audit());
      EXPECT_EQ(index.digest().size(), 32U);
      EXPECT_LE(index.stats().size, data.rows);
      EXPECT_GT(index.memory().total(), 0U);
      (void)index.search(data.slice(0, 3));
      (void)index.labels();
      expect_error(ErrorCode::invalid_parameter, {"callback"},
                   [&] { index.add(data.slice(0, 1)); });
      expect_error(ErrorCode::invalid_parameter, {"callback"}, [&] {
        index.set_runtime({on_cpu(), {}});
      });
    };
    index.add_from(
        [&](std::size_t first) {
          look();
          return data.slice(first, 1000);
        },
        data.rows, {},
        [&](std::uint64_t, std::uint64_t) {
          look();
          return true;
        });
    EXPECT_GE(calls, 4);
    expect_lone_shards(index, data, data.rows);
  }
}

TEST(ShardedAddition, AThrowingSourceAddsNothing) {
  const Matrix data = make_data(Shape::random, 100, kDimension);
  ShardedIndex index(small(), {3, 1}, {on_cpu(2), {}});
  EXPECT_THROW(index.add_from(
                   [&](std::size_t first) -> MatrixView<const float> {
                     if (first > 0) throw std::runtime_error("no more");
                     return data.slice(0, 50);
                   },
                   100),
               std::runtime_error);
  EXPECT_TRUE(index.empty());
  index.add(data.view());
  expect_lone_shards(index, data, 100);
}

TEST(ShardedAddition, AThrowingProgressLeavesWhatCanBeResumed) {
  const Matrix data = make_data(Shape::random, 5000, kDimension);
  for (const unsigned threads : {1U, 4U}) {
    ShardedIndex index(small(), {4, 1}, {on_cpu(threads), {}});
    EXPECT_THROW(
        index.add(data.view(),
                  [&](std::uint64_t, std::uint64_t) -> bool { throw std::runtime_error("stop"); }),
        std::runtime_error);
    expect_sound(index.audit());
    const std::size_t first = index.resume_at();
    ASSERT_LT(first, data.rows);
    EXPECT_EQ(index.add(data.slice(first, data.rows - first)), data.rows - first);
    expect_lone_shards(index, data, data.rows);
  }
}

/// A shard is on devices[s mod D], each device is opened by the shards that it has, and the digests
/// are the CPU's. A device that fails costs nothing but time.
class ShardedDevices : public testing::Test {
 protected:
  ShardedDevices() {
    cuda::set_device_source_for_tests([this](int ordinal) {
      const std::lock_guard lock(mutex_);
      opened_.push_back(ordinal);
      auto device = std::make_unique<cuda::HostDevice>(std::size_t{1} << 30);
      if (ordinal == failing_) {
        device->set_hook([](const char*, std::uint64_t number) {
          if (number > 200) throw Error(ErrorCode::cuda, "lost");
        });
      }
      return cuda::FoundDevice{std::move(device), "host team " + std::to_string(ordinal)};
    });
  }
  ~ShardedDevices() override { cuda::set_device_source_for_tests({}); }

  std::mutex mutex_;
  std::vector<int> opened_;
  int failing_ = -1;
};

TEST_F(ShardedDevices, AreSharedOutAndGiveTheDigestsOfTheCpu) {
  const Matrix data = make_data(Shape::clustered, 4000, kDimension);
  const IndexParams params = make_params(kDimension, 4, 20, 256);
  ShardedIndex index(params, {3, 1}, {on_cpu(3), {"cuda:0", "cuda:1"}});
  std::sort(opened_.begin(), opened_.end());  // shards open theirs side by side
  EXPECT_EQ(opened_, (std::vector<int>{0, 0, 1}));
  index.add(data.view());
  expect_lone_shards(index, data, data.rows);
  for (std::uint32_t s = 0; s < 3; ++s) {
    EXPECT_GT(index.shard(s).stats().device.bytes_in, 0U) << s;
    EXPECT_EQ(index.shard(s).stats().device.name, index.shard(s % 2).stats().device.name);
  }
  ShardedIndex on_host(params, {3, 1}, {on_cpu(2), {}});
  on_host.add(data.view());
  const Matrix queries = make_data(Shape::clustered, 400, kDimension, 4);
  expect_equal(index.search(queries.view()), on_host.search(queries.view()));
  expect_equal(index.exact_search(queries.view(), 7), on_host.exact_search(queries.view(), 7));
}

TEST_F(ShardedDevices, MayFail) {
  failing_ = 1;
  const Matrix data = make_data(Shape::clustered, 6000, kDimension);
  std::vector<std::string> warnings;
  const std::thread::id caller = std::this_thread::get_id();
  RuntimeOptions each = on_cpu(3);
  each.log = [&](LogLevel level, std::string_view message) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    if (level == LogLevel::warning) warnings.emplace_back(message);
  };
  ShardedIndex index(make_params(kDimension, 4, 20, 128), {3, 1},
                     {each, {"cuda:0", "cuda:1", "cuda:2"}});
  index.add(data.view());
  expect_lone_shards(index, data, data.rows);
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_THAT(warnings[0], testing::StartsWith("shard 1: the device failed"));
}

}  // namespace
}  // namespace concord::test
