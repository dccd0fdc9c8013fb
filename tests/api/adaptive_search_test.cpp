// Searches that a slack ends early: the same walk as without, cut off.

#include <limits>

#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord {
namespace {

using test::Matrix;
using test::Shape;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// What an index answered, and with how many hops.
struct Answer {
  SearchResult result;
  std::uint64_t hops;
};

Answer answer(const Index& index, const Matrix& queries, const SearchParams& params) {
  const std::uint64_t before = index.stats().search.hops;
  SearchResult result = index.search(queries.view(), params);
  return {std::move(result), index.stats().search.hops - before};
}

void expect_same(const SearchResult& a, const SearchResult& b) {
  EXPECT_EQ(a.labels, b.labels);
  EXPECT_EQ(a.distances, b.distances);
  EXPECT_EQ(a.counts, b.counts);
}

class AdaptiveSearch : public testing::TestWithParam<std::tuple<Metric, Shape>> {
 protected:
  AdaptiveSearch()
      : data_(test::make_data(std::get<Shape>(GetParam()), test::scaled(2000, 600), 8)),
        queries_(test::make_data(std::get<Shape>(GetParam()), 50, 8, 9)),
        index_(test::make_params(8, 6, 40, 500, std::get<Metric>(GetParam()))) {
    index_.add(data_.view());
  }

  Matrix data_;
  Matrix queries_;
  Index index_;
};

// A greater slack goes on where a smaller one stops, so nothing that was found gets worse.
TEST_P(AdaptiveSearch, MoreSlackWalksFartherAndFindsNoWorse) {
  for (const std::uint32_t k : {1u, 10u}) {
    Answer last = answer(index_, queries_, {k, 300, 0.0f});
    for (const float slack : {0.01f, 0.1f, 0.5f, 3.0f, kInfinity}) {
      const Answer next = answer(index_, queries_, {k, 300, slack});
      EXPECT_GE(next.hops, last.hops) << "slack " << slack;
      EXPECT_EQ(next.result.counts, last.result.counts);
      for (std::size_t i = 0; i < next.result.distances.size(); ++i) {
        ASSERT_LE(next.result.distances[i], last.result.distances[i]) << "slack " << slack;
      }
      last = next;
    }
  }
}

TEST_P(AdaptiveSearch, ASlackThatReachesEverythingIsNone) {
  const Answer plain = answer(index_, queries_, {10, 100});
  for (const float slack : {1e19f, std::numeric_limits<float>::max(), kInfinity}) {
    const Answer found = answer(index_, queries_, {10, 100, slack});
    expect_same(found.result, plain.result);
    EXPECT_EQ(found.hops, plain.hops);
  }
}

TEST_P(AdaptiveSearch, IsTheSameForAnyNumberOfThreadsAndAnySplit) {
  const SearchParams params{7, 200, 0.08f};
  const SearchResult expected = index_.search(queries_.view(), params);
  RuntimeOptions options;
  options.threads = 3;
  index_.set_runtime(options);
  expect_same(index_.search(queries_.view(), params), expected);
  for (std::size_t q = 0; q < queries_.rows; ++q) {
    const SearchResult one = index_.search(queries_.slice(q, 1), params);
    ASSERT_TRUE(std::equal(one.labels.begin(), one.labels.end(),
                           expected.labels.begin() + static_cast<std::ptrdiff_t>(q * params.k)));
  }
}

INSTANTIATE_TEST_SUITE_P(Data, AdaptiveSearch,
                         testing::Combine(testing::Values(Metric::l2sq, Metric::cosine),
                                          testing::Values(Shape::random, Shape::clustered,
                                                          Shape::duplicate)));

// What it is for: more of the true neighbors for the same number of distances.
TEST(AdaptiveSearches, FindMoreWithFewerDistances) {
  const std::size_t n = test::scaled(8000, 4000);
  const Matrix data = test::make_data(Shape::random, n, 12);
  const Matrix queries = test::make_data(Shape::random, 200, 12, 3);
  Index index(test::make_params(12, 12, 100, 500));
  index.add(data.view());
  const SearchResult exact = index.exact_search(queries.view(), 10);
  const auto search = [&](const SearchParams& params) {
    const std::uint64_t before = index.stats().search.distances;
    const SearchResult found = index.search(queries.view(), params);
    std::size_t hits = 0;
    for (std::size_t i = 0; i < exact.distances.size(); ++i) {
      hits += found.distances[i] <= exact.distances[i / 10 * 10 + 9];
    }
    return std::pair(hits, index.stats().search.distances - before);
  };
  const auto [hits, distances] = search({10, 40});
  bool better = false;
  for (float slack = 0.02f; slack < 1.0f && !better; slack *= 1.05f) {
    const auto [adaptive_hits, adaptive_distances] = search({10, 1000, slack});
    better = adaptive_hits >= hits && adaptive_distances < distances;
  }
  EXPECT_TRUE(better) << hits << " of 2,000 with " << distances << " distances at ef 40";
}

}  // namespace
}  // namespace concord
