// Searches, audits and digests beside an addition to all shards: each answer is one that some
// prefix of each shard explains, and nobody waits for the addition's end.

#include <algorithm>
#include <atomic>
#include <thread>

#include "tests/shards/sharded_world.hpp"

namespace concord::test {
namespace {

constexpr std::uint32_t kDimension = 6;
constexpr std::uint32_t kK = 8;

/// Distances that are true, neighbors in order, each label once, none from beyond what was asked
/// for: whatever an answer says of the vectors that it names.
void expect_true(const SearchResult& found, const Index& all, MatrixView<const float> queries) {
  const auto n = static_cast<std::uint32_t>(all.size());
  const SearchResult truth = all.exact_search(queries, n);
  for (std::size_t q = 0; q < queries.rows; ++q) {
    std::vector<float> distance_of(n);
    for (std::uint32_t j = 0; j < n; ++j) {
      distance_of[truth.labels[q * n + j]] = truth.distances[q * n + j];
    }
    std::pair<float, std::uint64_t> last{-std::numeric_limits<float>::infinity(), 0};
    for (std::uint32_t j = 0; j < found.counts[q]; ++j) {
      const std::uint64_t label = found.labels[q * kK + j];
      ASSERT_LT(label, n);
      const std::pair here(found.distances[q * kK + j], label);  // labels are positions
      ASSERT_EQ(here.first, distance_of[label]);
      ASSERT_LT(last, here);
      last = here;
    }
  }
}

TEST(ShardedBesideWriter, ReadersSeeTheTruthAndDoNotWait) {
  const std::size_t n = scaled(6000, 2000);
  const Matrix data = make_data(Shape::clustered, n, kDimension);
  const Matrix queries = make_data(Shape::clustered, 5, kDimension, 8);
  Index all(make_params(kDimension, 4, 20, 64), on_cpu());
  all.add(data.view());
  ShardedIndex index(make_params(kDimension, 4, 20, 64), {3, 1}, {on_cpu(2), {}});
  index.add(data.slice(0, 300));
  std::atomic<bool> over{false};
  std::vector<SearchResult> answers;
  std::thread searcher([&] {
    do {
      answers.push_back(index.search(queries.view(), {kK, 32}));
      if (answers.size() % 8 == 0) answers.push_back(index.exact_search(queries.view(), kK));
    } while (!over);
  });
  std::size_t inspections = 0;
  std::thread inspector([&] {
    do {
      expect_sound(index.audit());
      EXPECT_EQ(index.digest().size(), 32U);
      EXPECT_EQ(index.labels().size() >= 300, true);
      EXPECT_TRUE(index.contains(299));
      ++inspections;
    } while (!over);
  });
  index.add(data.slice(300, n - 300));
  over = true;
  searcher.join();
  inspector.join();
  EXPECT_GT(answers.size(), 3U);
  EXPECT_GT(inspections, 1U);
  for (const SearchResult& answer : answers) {
    ASSERT_EQ(answer.counts, std::vector<std::uint32_t>(queries.rows, kK));
    ASSERT_NO_FATAL_FAILURE(expect_true(answer, all, queries.view()));
  }
  expect_lone_shards(index, data, n);
}

// Two threads add: one waits for the other, and both get what they asked for.
TEST(ShardedBesideWriter, WritersTakeTurns) {
  const Matrix data = make_data(Shape::random, 800, kDimension);
  ShardedIndex index(make_params(kDimension, 4, 20, 16), {3, 1}, {on_cpu(2), {}});
  const auto add = [&] {
    for (std::size_t i = 0; i < 400; i += 100) index.add(data.slice(i, 100));
  };
  std::thread other(add);
  add();
  other.join();
  EXPECT_EQ(index.size(), 800U);
  EXPECT_EQ(index.resume_at(), 800U);
  expect_sound(index.audit());
}

}  // namespace
}  // namespace concord::test
