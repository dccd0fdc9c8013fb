// What searches find, against a naive search in double.

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

double naive_distance(Metric metric, const float* x, const float* y, std::size_t d) {
  double product = 0;
  double xx = 0;
  double yy = 0;
  double difference = 0;
  for (std::size_t e = 0; e < d; ++e) {
    product += double{x[e]} * y[e];
    xx += double{x[e]} * x[e];
    yy += double{y[e]} * y[e];
    difference += (double{x[e]} - y[e]) * (double{x[e]} - y[e]);
  }
  switch (metric) {
    case Metric::l2sq:
      return difference;
    case Metric::inner_product:
      return 1 - product;
    case Metric::cosine:
      return xx == 0 || yy == 0 ? 1 : 1 - product / std::sqrt(xx * yy);
  }
  return 0;
}

// An error bound for float distances of data of this size.
double tolerance(Metric metric, std::size_t d) {
  return metric == Metric::cosine ? 1e-5 : 1e-5 * 64 * static_cast<double>(d);
}

void expect_well_formed(const SearchResult& result, std::size_t size) {
  for (std::size_t q = 0; q < result.queries; ++q) {
    const std::uint32_t count = result.counts[q];
    ASSERT_LE(count, std::min(result.k, size));
    std::set<std::uint64_t> labels;
    for (std::size_t j = 0; j < result.k; ++j) {
      const std::uint64_t label = result.labels[q * result.k + j];
      const float distance = result.distances[q * result.k + j];
      if (j >= count) {
        ASSERT_EQ(label, kNoLabel);
        ASSERT_EQ(distance, std::numeric_limits<float>::infinity());
        continue;
      }
      ASSERT_TRUE(labels.insert(label).second) << "label " << label << " twice for query " << q;
      if (j == 0) continue;
      const std::size_t place = q * result.k + j;
      ASSERT_LE(result.distances[place - 1], distance);
      // Labels are insertion numbers here: ties go to the earlier.
      ASSERT_TRUE(result.distances[place - 1] < distance || result.labels[place - 1] < label);
    }
  }
}

class Recall : public testing::TestWithParam<Metric> {};

TEST_P(Recall, OfTheIndexIsHighAndTheExactSearchIsExact) {
  const Metric metric = GetParam();
  constexpr std::size_t kDimension = 24;
  constexpr std::uint32_t k = 10;
  const std::size_t n = scaled(4000, 800);
  const Matrix all = make_data(Shape::clustered, n + 100, kDimension);
  const MatrixView<const float> queries = all.slice(n, 100);
  RuntimeOptions options;
  options.device = "cpu";
  Index index(make_params(kDimension, 12, 100, 512, metric), options);
  index.add(all.slice(0, n));
  SearchParams search;
  search.k = k;
  search.ef = 100;
  const SearchResult found = index.search(queries, search);
  const SearchResult exact = index.exact_search(queries, k);
  expect_well_formed(found, n);
  expect_well_formed(exact, n);
  std::size_t hits = 0;
  for (std::size_t q = 0; q < queries.rows; ++q) {
    std::vector<double> naive(n);
    for (std::size_t i = 0; i < n; ++i) {
      naive[i] = naive_distance(metric, queries.row(q), all.row(i), kDimension);
    }
    std::vector<double> sorted = naive;
    std::sort(sorted.begin(), sorted.end());
    const double bound = tolerance(metric, kDimension);
    ASSERT_EQ(exact.counts[q], k);
    ASSERT_EQ(found.counts[q], k);
    for (std::size_t j = 0; j < k; ++j) {
      const std::size_t place = q * k + j;
      // Ties and roundings may swap ids; distances may not differ.
      ASSERT_NEAR(exact.distances[place], sorted[j], bound);
      ASSERT_NEAR(exact.distances[place], naive[exact.labels[place]], bound);
      ASSERT_NEAR(found.distances[place], naive[found.labels[place]], bound);
      ASSERT_GE(found.distances[place], exact.distances[place]);
      hits += naive[found.labels[place]] <= sorted[k - 1] + bound;
    }
  }
  EXPECT_GE(static_cast<double>(hits) / static_cast<double>(queries.rows * k), 0.97);
}

INSTANTIATE_TEST_SUITE_P(Metrics, Recall, testing::ValuesIn(kAllMetrics),
                         [](const auto& test) { return to_string(test.param); });

TEST(Recall, OfABeamAsWideAsTheIndexIsExact) {
  for (const Shape shape : {Shape::random, Shape::duplicate, Shape::constant}) {
    const Matrix data = make_data(shape, 600, 5);
    Index index(make_params(5, 4, 20, 64));
    index.add(data.view());
    SearchParams search;
    search.k = 600;
    search.ef = 600;
    const SearchResult found = index.search(data.slice(0, 40), search);
    const SearchResult exact = index.exact_search(data.slice(0, 40), 600);
    expect_well_formed(found, 600);
    EXPECT_EQ(found.labels, exact.labels);
    EXPECT_EQ(found.distances, exact.distances);
    EXPECT_EQ(found.counts, exact.counts);
  }
}

TEST(Recall, DoesNotDependOnTheBatch) {
  const Matrix data = make_data(Shape::clustered, 1500, 12);
  Index index(make_params(12, 8, 50, 128));
  index.add(data.view());
  SearchParams search;
  search.k = 7;
  search.ef = 20;
  const SearchResult together = index.search(data.slice(0, 300), search);
  const SearchResult exact_together = index.exact_search(data.slice(0, 50), 7);
  for (std::size_t q = 0; q < 300; ++q) {
    const SearchResult alone = index.search(data.slice(q, 1), search);
    const SearchResult exact_alone =
        index.exact_search(data.slice(std::min<std::size_t>(q, 49), 1), 7);
    for (std::size_t j = 0; j < 7; ++j) {
      ASSERT_EQ(alone.labels[j], together.labels[q * 7 + j]);
      ASSERT_EQ(alone.distances[j], together.distances[q * 7 + j]);
      ASSERT_TRUE(q >= 50 || exact_alone.labels[j] == exact_together.labels[q * 7 + j]);
    }
  }
}

}  // namespace
}  // namespace concord::test
