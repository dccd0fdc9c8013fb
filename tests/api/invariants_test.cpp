// The index is valid after every single insertion, whatever the data and the parameters.

#include <tuple>

#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

RuntimeOptions threads(unsigned n) {
  RuntimeOptions options;
  options.threads = n;
  options.device = "cpu";
  return options;
}

class Invariants : public testing::TestWithParam<std::tuple<Shape, Metric>> {};

TEST_P(Invariants, HoldAfterEverySingleInsertion) {
  const auto [shape, metric] = GetParam();
  const std::size_t n = scaled(110, 40);
  for (const std::uint32_t dimension : {1u, 3u}) {
    const Matrix data = make_data(shape, n, dimension);
    for (const std::uint32_t M : {2u, 3u, 4u, 16u, 64u}) {
      for (const std::uint32_t ef_construction : {1u, M + 20}) {
        for (const std::uint32_t epoch_limit : {1u, 7u, 4096u}) {
          SCOPED_TRACE(testing::Message() << "d " << dimension << " M " << M << " ef_construction "
                                          << ef_construction << " epoch_limit " << epoch_limit);
          Index index(make_params(dimension, M, ef_construction, epoch_limit, metric), threads(1));
          for (std::size_t i = 0; i < n; ++i) {
            ASSERT_EQ(index.add(data.slice(i, 1)), 1u);
            const AuditReport report = index.audit();
            ASSERT_TRUE(report.ok) << "vector " << i << ": " << report.messages[0];
            ASSERT_EQ(report.nodes, i + 1);
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Data, Invariants,
                         testing::Combine(testing::ValuesIn(kAllShapes),
                                          testing::ValuesIn(kAllMetrics)));

/// Nearly all vectors are nearest to the same two, and nearer to these than to one another.
Matrix hubs(std::size_t rows) {
  Matrix data = make_data(Shape::random, rows, 4);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t e = 0; e < 4; ++e) {
      data.row(r)[e] = (r < 2 ? 1000.0f : 1.0f) * (9.0f + data.row(r)[e]);
    }
  }
  return data;
}

// All propose the same few nodes: rows fill up, links are refused, children move. Or all are copies
// of a few.
class CrowdedData
    : public testing::TestWithParam<std::tuple<std::string, std::uint32_t, std::uint32_t>> {};

TEST_P(CrowdedData, KeepsEveryInvariantAndFindsEveryVector) {
  const auto& [shape, M, epoch_limit] = GetParam();
  const std::size_t n = scaled(6000, 3000);
  const bool are_hubs = shape == "hubs";
  const Matrix data = are_hubs              ? hubs(n)
                      : shape == "constant" ? make_data(Shape::constant, n, 4)
                                            : make_data(Shape::duplicate, n, 4);
  const Metric metric = are_hubs ? Metric::inner_product : Metric::l2sq;
  Index index(make_params(4, M, 30, epoch_limit, metric), threads(2));
  for (std::size_t first = 0; first < n; first += 250) {
    index.add(data.slice(first, std::min<std::size_t>(250, n - first)));
    const AuditReport report = index.audit();
    ASSERT_TRUE(report.ok) << "after " << index.size() << ": " << report.messages[0];
  }
  const Stats stats = index.stats();
  EXPECT_EQ(stats.copies > n / 2, !are_hubs);
  if (are_hubs) {
    EXPECT_GT(stats.build.refused_links, 0u) << "the data do not fill a row";
    EXPECT_GT(stats.build.reanchored, 0u) << "the data do not move a child";
  }
  EXPECT_EQ(stats.size, n);
  // Navigation works: a beam as wide as the index finds all of it.
  SearchParams search;
  search.k = static_cast<std::uint32_t>(n);
  search.ef = search.k;
  EXPECT_EQ(index.search(data.slice(0, 1), search).counts[0], n);
}

INSTANTIATE_TEST_SUITE_P(Data, CrowdedData,
                         testing::Combine(testing::Values("hubs", "constant", "duplicate"),
                                          testing::Values(2u, 4u),
                                          testing::Values(64u, 1024u, 4096u)));

TEST(Invariants, EveryVectorOfDistinctDataFindsItself) {
  for (const Metric metric : {Metric::l2sq, Metric::cosine}) {
    const std::size_t n = scaled(3000, 500);
    const Matrix data = make_data(Shape::random, n, 6);
    Index index(make_params(6, 8, 60, 256, metric), threads(2));
    index.add(data.view());
    SearchParams search;
    search.k = 1;
    search.ef = 64;
    const SearchResult result = index.search(data.view(), search);
    std::size_t found = 0;
    for (std::size_t i = 0; i < n; ++i) found += result.labels[i] == i;
    EXPECT_GT(found * 1000, n * 995);
  }
}

}  // namespace
}  // namespace concord::test
