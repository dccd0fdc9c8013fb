// Const members of one index from many threads at once.

#include <atomic>
#include <thread>

#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

TEST(Concurrency, SearchesFromManyThreadsGiveTheSerialResults) {
  const std::size_t n = scaled(3000, 600);
  const Matrix data = make_data(Shape::clustered, n, 10);
  RuntimeOptions options;
  options.threads = 3;
  Index index(make_params(10, 6, 40, 128), options);
  index.add(data.view());
  const auto params_of = [](std::size_t i) {
    SearchParams params;
    params.k = static_cast<std::uint32_t>(1 + i % 12);
    params.ef = static_cast<std::uint32_t>(1 + i * 7 % 90);
    return params;
  };
  constexpr std::size_t kTasks = 40;
  std::vector<SearchResult> expected;
  for (std::size_t i = 0; i < kTasks; ++i) {
    expected.push_back(index.search(data.slice(i * 5, 1 + i), params_of(i)));
  }
  const SearchResult exact = index.exact_search(data.slice(0, 20), 5);
  const std::string digest = index.digest();

  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t round = 0; round < scaled(6, 2); ++round) {
        for (std::size_t j = 0; j < kTasks; ++j) {
          const std::size_t i = (j + t * 11) % kTasks;
          const SearchResult result = index.search(data.slice(i * 5, 1 + i), params_of(i));
          wrong += result.labels != expected[i].labels || result.distances != expected[i].distances;
        }
        wrong += index.exact_search(data.slice(0, 20), 5).labels != exact.labels;
        if (t == 0) wrong += !index.audit().ok || index.digest() != digest;
        if (t == 1) wrong += index.stats().size != n || index.memory().total() == 0;
        if (t == 2) wrong += !index.contains(n - 1) || index.vector(3).size() != 10;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Concurrency, SearchingAllocatesByEfNotByTheIndex) {
  const Matrix data = make_data(Shape::random, 4000, 4);
  Index index(make_params(4, 4, 20, 512));
  index.add(data.slice(0, 500));
  static_cast<void>(index.search(data.slice(0, 1)));
  const std::uint64_t small = index.memory().scratch;
  EXPECT_GT(small, 0u);
  index.add(data.slice(500, 3500));
  static_cast<void>(index.search(data.slice(0, 1)));
  EXPECT_EQ(index.memory().scratch, small);
}

TEST(Concurrency, IndexesDoNotShareState) {
  const Matrix data = make_data(Shape::clustered, 800, 7);
  const IndexParams params = make_params(7, 5, 30, 100);
  Index alone(params);
  alone.add(data.view());
  const std::string digest = alone.digest();
  std::vector<std::string> digests(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Index index(params);
      for (std::size_t i = 0; i < 800; i += 50 * (t + 1)) {
        index.add(data.slice(i, std::min<std::size_t>(50 * (t + 1), 800 - i)));
      }
      digests[t] = index.digest();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& other : digests) EXPECT_EQ(other, digest);
}

}  // namespace
}  // namespace concord::test
