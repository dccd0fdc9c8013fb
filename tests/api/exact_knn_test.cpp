// exact_knn against the exact search of an index of the same vectors, and ThreadLimit.

#include <algorithm>
#include <cmath>
#include <concord/exact.hpp>
#include <concord/thread_limit.hpp>

#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/process_threads.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

void expect_equal(const SearchResult& found, const SearchResult& expected) {
  EXPECT_EQ(found.queries, expected.queries);
  EXPECT_EQ(found.k, expected.k);
  EXPECT_EQ(found.labels, expected.labels);
  EXPECT_EQ(found.distances, expected.distances);
  EXPECT_EQ(found.counts, expected.counts);
}

TEST(ExactKnn, IsTheExactSearchOfAnIndex) {
  for (const std::string& isa : supported_isas()) {
    const ScopedEnvironment environment("CONCORD_ISA", isa);
    for (const Metric metric : kAllMetrics) {
      for (const Shape shape : {Shape::random, Shape::duplicate, Shape::zero, Shape::u8}) {
        const Matrix data = make_data(shape, 700, 19);
        const Matrix queries = make_data(Shape::random, 37, 19, 2);
        Index index(make_params(19, 4, 10, 64, metric));
        index.add(data.view());
        for (const std::uint32_t k : {0u, 1u, 10u, 701u}) {
          const SearchResult expected = index.exact_search(queries.view(), k);
          for (const unsigned threads : {1u, 3u}) {
            expect_equal(exact_knn(data.view(), queries.view(), k,
                                   {.metric = metric, .threads = threads, .progress = {}}),
                         expected);
          }
        }
      }
    }
  }
}

TEST(ExactKnn, TakesNoVectorsAndNoQueries) {
  const Matrix data = make_data(Shape::random, 5, 3);
  const SearchResult none = exact_knn(data.slice(0, 0), data.view(), 2);
  EXPECT_EQ(none.counts, std::vector<std::uint32_t>(5, 0));
  EXPECT_EQ(none.labels, std::vector<std::uint64_t>(10, kNoLabel));
  EXPECT_EQ(exact_knn(data.view(), {}, 2).queries, 0u);
}

TEST(ExactKnn, StopsWhenItsCallerWants) {
  const Matrix data = make_data(Shape::random, scaled(20000, 2000), 64);
  std::size_t calls = 0;
  const SearchResult stopped = exact_knn(data.view(), data.view(), 3,
                                         {.metric = Metric::l2sq,
                                          .threads = 2,
                                          .progress = [&](std::uint64_t done, std::uint64_t total) {
                                            EXPECT_LE(done, total);
                                            EXPECT_EQ(total, data.rows);
                                            return ++calls < 2;
                                          }});
  EXPECT_EQ(calls, 2u);
  std::size_t answered = 0;
  for (std::size_t q = 0; q < data.rows; ++q) {
    const std::uint64_t first = stopped.labels[q * 3];
    ASSERT_TRUE(stopped.counts[q] == 3 ? first == q : first == kNoLabel) << q;
    answered += stopped.counts[q] == 3 ? 1 : 0;
  }
  EXPECT_GT(answered, 0u);
  EXPECT_LT(answered, data.rows);
}

TEST(ExactKnn, ReportsTheEndOnce) {
  const Matrix data = make_data(Shape::random, 50, 3);
  std::vector<std::uint64_t> done;
  const auto progress = [&](std::uint64_t some, std::uint64_t) {
    done.push_back(some);
    return true;
  };
  static_cast<void>(exact_knn(data.view(), data.view(), 3,
                              {.metric = Metric::l2sq, .threads = 1, .progress = progress}));
  ASSERT_FALSE(done.empty());
  EXPECT_EQ(done.back(), 50u);
  EXPECT_EQ(std::count(done.begin(), done.end(), 50u), 1);
}

TEST(ExactKnn, RefusesWhatAnIndexRefuses) {
  const Matrix data = make_data(Shape::random, 20, 3);
  const Matrix wide = make_data(Shape::random, 2, 4);
  const auto run = [](MatrixView<const float> vectors, MatrixView<const float> queries,
                      std::uint32_t k, unsigned threads = 1) {
    return [=] {
      static_cast<void>(exact_knn(vectors, queries, k,
                                  {.metric = Metric::l2sq, .threads = threads, .progress = {}}));
    };
  };
  expect_error(ErrorCode::dimension_mismatch, {"queries", "4", "3"},
               run(data.view(), wide.view(), 1));
  expect_error(ErrorCode::invalid_parameter, {"k is 65537"}, run(data.view(), data.view(), 65537));
  expect_error(ErrorCode::invalid_parameter, {"threads is 1025"},
               run(data.view(), data.view(), 1, 1025));
  expect_error(ErrorCode::invalid_parameter, {"dimension"}, run({}, {}, 1));
  expect_error(ErrorCode::capacity, {"2147483646"},
               run({data.row(0), std::size_t{1} << 31, 3}, data.view(), 1));
  Matrix bad = data;
  bad.row(7)[1] = std::nanf("");
  expect_error(ErrorCode::invalid_vector, {"7"}, run(bad.view(), data.view(), 1));
  expect_error(ErrorCode::invalid_vector, {"query 7"}, run(data.view(), bad.view(), 1, 3));
}

// Worker threads start when a loop has work for them, and end with the last pool.
TEST(ThreadLimit, LowersTheThreadsAndChangesNoResult) {
  const Matrix data = make_data(Shape::random, 1500, 16);
  RuntimeOptions three;
  three.threads = 3;
  const std::size_t at_rest = threads_at_rest();
  std::string digest;
  SearchResult found;
  SearchResult exact;
  for (const unsigned most : {0u, 1u, 2u, 9u}) {
    SCOPED_TRACE(most);
    ASSERT_EQ(threads_left(at_rest), at_rest);
    const ThreadLimit limit(most);
    Index index(make_params(16, 8, 40, 64), three);
    index.add(data.view());
    if (most == 0) {  // no limit
      digest = index.digest();
      found = index.search(data.view());
      exact = index.exact_search(data.view(), 3);
    }
    EXPECT_EQ(index.digest(), digest);
    expect_equal(index.search(data.view()), found);
    expect_equal(index.exact_search(data.view(), 3), exact);
    const std::size_t others = most == 1 || most == 2 ? most - 1 : 2;
    EXPECT_EQ(threads_of_process(), at_rest + others);
  }
}

}  // namespace
}  // namespace concord::test
