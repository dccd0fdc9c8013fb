// Many indexes in one process, and indexes in a process that may use little.

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <numeric>

#include "tests/support/child.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/process_threads.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

std::size_t mappings_of_process() {
  std::ifstream maps("/proc/self/maps");
  return static_cast<std::size_t>(
      std::count(std::istreambuf_iterator<char>(maps), std::istreambuf_iterator<char>(), '\n'));
}

TEST(ManyIndexes, ThousandsOfSmallOnesShareAFewThreads) {
  const std::size_t count = scaled(5000, 500);
  const Matrix data = make_data(Shape::random, 100, 16);
  RuntimeOptions options;
  options.threads = 4;
  std::vector<Index> indexes;
  const std::size_t mappings = mappings_of_process();
  for (std::size_t i = 0; i < count; ++i) {
    indexes.emplace_back(make_params(16, 8, 20, 4096), options);
    indexes.back().add(data.slice(0, 50));
    indexes.back().add(data.slice(50, 50));
    ASSERT_EQ(indexes.back().search(data.view(), {.k = 3, .ef = 30}).counts[99], 3u);
  }
  EXPECT_LE(threads_of_process(), 64u);
  EXPECT_LE(mappings_of_process(), mappings + count);
  EXPECT_EQ(indexes.front().digest(), indexes.back().digest());
}

TEST(ManyIndexes, ThreadsStartForWorkAndEndWithTheLastIndex) {
  const std::size_t before = threads_at_rest();
  const Matrix data = make_data(Shape::random, 2000, 16);
  {
    RuntimeOptions options;
    options.threads = 3;
    Index index(make_params(16, 8, 20, 4096), options);
    const Index other(make_params(16, 8, 20, 4096), options);
    EXPECT_EQ(threads_of_process(), before);
    index.add(data.slice(0, 1));
    EXPECT_EQ(threads_of_process(), before);
    index.add(data.slice(1, 1999));
    EXPECT_EQ(threads_of_process(), before + 2);
    (void)other.search(data.view(), {});
    EXPECT_EQ(threads_of_process(), before + 2);
  }
  EXPECT_EQ(threads_left(before), before);
}

#if !defined(CONCORD_UNDER_ASAN) && !defined(CONCORD_UNDER_TSAN)  // they need addresses
TEST(LimitedAddresses, TwoGigabytesHoldAnIndex) {
  in_a_child([] {
    constexpr rlim_t kBytes = rlim_t{2'000'000} * 1024;
    const rlimit limit{kBytes, kBytes};
    ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    const Matrix data = make_data(Shape::random, scaled(100000, 1000), 64);
    RuntimeOptions options;
    options.threads = 2;
    Index index(make_params(64, 4, 8, 4096), options);
    for (std::size_t i = 0; i < data.rows; i += data.rows / 4) {
      index.add(data.slice(i, data.rows / 4));
    }
    EXPECT_EQ(index.size(), data.rows);
    EXPECT_EQ(index.search(data.slice(0, 10), {}).counts[9], 10u);
  });
}

TEST(LimitedAddresses, AreNamedWhereTheyRunOut) {
  in_a_child([] {
    const Matrix data = make_data(Shape::random, 1000, 256);
    Index index(make_params(256, 4, 8, 4096), {});
    index.add(data.view());
    const std::string digest = index.digest();
    const rlimit limit{rlim_t{1} << 20, RLIM_INFINITY};
    ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    expect_error(ErrorCode::out_of_memory, {"address space", "ulimit -v"}, [&] {
      for (std::uint64_t i = 0; i < 100; ++i) {
        std::vector<std::uint64_t> labels(data.rows);
        std::iota(labels.begin(), labels.end(), 1000000 + i * 1000);
        index.add(data.view(), labels);
      }
    });
    const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
    ASSERT_EQ(setrlimit(RLIMIT_AS, &none), 0);
    expect_sound(index.audit());
  });
}
#endif

}  // namespace
}  // namespace concord::test
