// Files exchanged with hnswlib itself (libhnswlib-dev).

#include "tests/interchange/stock_hnswlib.hpp"

#include "tests/interchange/edges.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using interchange::Adopt;

class StockHnswlib : public testing::TestWithParam<Metric> {};
INSTANTIATE_TEST_SUITE_P(All, StockHnswlib, testing::ValuesIn(kAllMetrics),
                         [](const auto& test) { return std::string(to_string(test.param)); });

// Rows as the index stores them: normalised for cosine.
Matrix stored_rows(const Index& index) {
  Matrix rows(index.size(), index.params().dimension);
  std::size_t r = 0;
  for (const std::uint64_t label : index.labels()) {
    const std::vector<float> vector = index.vector(label);
    std::copy(vector.begin(), vector.end(), rows.row(r++));
  }
  return rows;
}

Matrix prepared(const Matrix& data, Metric metric) {
  Index index(make_params(static_cast<std::uint32_t>(data.cols), 4, 4, 1024, metric), on_cpu());
  index.add(data.view());
  return stored_rows(index);
}

// Both walk the same graph; only the rounding of distances may differ, where two are nearly equal.
TEST_P(StockHnswlib, FindsWhatWeFindInOurFile) {
  Index index(make_params(12, 8, 60, 1024, GetParam()), on_cpu());
  index.add(make_data(Shape::random, 3000, 12).view());
  TempPath path;
  interchange::save_hnswlib(index, path);
  const Matrix queries = prepared(make_data(Shape::random, 200, 12, 77), GetParam());
  for (const std::uint32_t ef : {10u, 40u, 200u}) {
    const SearchResult ours = index.search(queries.view(), {10, ef});
    const StockAnswers theirs = search_with_stock_hnswlib(path, queries.view(), GetParam(), 10, ef);
    std::size_t same = 0;
    for (std::size_t q = 0; q < queries.rows; ++q) {
      ASSERT_EQ(theirs.labels[q].size(), ours.counts[q]);
      for (std::size_t j = 0; j < ours.counts[q]; ++j) {
        same += theirs.labels[q][j] == ours.labels[q * 10 + j] ? 1u : 0u;
        EXPECT_NEAR(theirs.distances[q][j], ours.distances[q * 10 + j],
                    1e-3f * (1 + std::abs(ours.distances[q * 10 + j])));
      }
    }
    EXPECT_GE(same, 10 * queries.rows * 99 / 100) << "ef " << ef;
  }
}

TEST_P(StockHnswlib, GrowsOurFile) {
  Index index(make_params(6, 4, 30, 1024, GetParam()), on_cpu());
  index.add(make_data(Shape::random, 500, 6).view());
  TempPath path;
  interchange::save_hnswlib(index, path);
  const Matrix more = prepared(make_data(Shape::random, 100, 6, 5), GetParam());
  EXPECT_EQ(grow_with_stock_hnswlib(path, more.view(), GetParam(), 1000), 600u);
}

TEST_P(StockHnswlib, FileIsAdoptedWithoutLossOfRecall) {
  const Matrix data = prepared(make_data(Shape::random, 3000, 12), GetParam());
  const Matrix queries = prepared(make_data(Shape::random, 200, 12, 77), GetParam());
  TempPath path;
  build_with_stock_hnswlib(path, data.view(), GetParam(), 8, 60);
  Index adopted = interchange::load_hnswlib(path, {12, GetParam()}, Adopt::graph, on_cpu());
  expect_sound(adopted.audit());
  ASSERT_EQ(adopted.size(), 3000u);
  EXPECT_EQ(adopted.params().M, 8u);
  EXPECT_EQ(adopted.params().ef_construction, 60u);
  EXPECT_EQ(adopted.labels()[2], 7u);

  const Index built = interchange::load_hnswlib(path, {12, GetParam()}, Adopt::vectors, on_cpu());
  expect_sound(built.audit());
  EXPECT_EQ(built.labels(), adopted.labels());
  EXPECT_LT(adopted.stats().build.distances, built.stats().build.distances / 2);
  const SearchResult exact = adopted.exact_search(queries.view(), 10);
  EXPECT_EQ(exact.labels, built.exact_search(queries.view(), 10).labels);

  const StockAnswers theirs = search_with_stock_hnswlib(path, queries.view(), GetParam(), 10, 60);
  std::size_t hits = 0;
  for (std::size_t q = 0; q < queries.rows; ++q) {
    for (std::size_t j = 0; j < 10; ++j) {
      const auto& found = theirs.labels[q];
      hits +=
          std::find(found.begin(), found.end(), exact.labels[q * 10 + j]) != found.end() ? 1u : 0u;
    }
  }
  const double their_recall = static_cast<double>(hits) / static_cast<double>(10 * queries.rows);
  EXPECT_GE(recall_at_10(adopted, queries, 60), their_recall - 0.01);

  std::vector<std::uint64_t> labels(500);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = 100000 + i;
  adopted.add(make_data(Shape::random, 500, 12, 3).view(), labels);
  expect_sound(adopted.audit());
}

// As if the vectors had been removed here: their neighbors are linked with one another.
TEST_P(StockHnswlib, AFileOfWhichHalfIsDeletedLosesNoRecall) {
  const std::size_t n = scaled(4000, 1000);
  const Matrix data = prepared(make_data(Shape::random, n, 12), GetParam());
  std::vector<std::size_t> deleted;
  for (std::size_t r = 0; r < n; r += 2) deleted.push_back(r);
  TempPath path;
  build_with_stock_hnswlib(path, data.view(), GetParam(), 8, 80, deleted);
  const Matrix queries = prepared(make_data(Shape::random, 200, 12, 8), GetParam());
  const auto load = [&](Adopt adopt, unsigned threads) {
    return interchange::load_hnswlib(path, {12, GetParam()}, adopt, on_cpu(threads));
  };
  const Index adopted = load(Adopt::graph, 1);
  expect_sound(adopted.audit());
  EXPECT_EQ(adopted.size(), n - deleted.size());
  EXPECT_EQ(adopted.stats().tombstones, 0u);
  EXPECT_EQ(load(Adopt::graph, 2).digest(), adopted.digest());
  EXPECT_GE(recall_at_10(adopted, queries, 40),
            recall_at_10(load(Adopt::vectors, 1), queries, 40) - 0.02);
}

TEST_P(StockHnswlib, ElementsMarkedAsDeletedAreLeftOut) {
  const Matrix data = prepared(make_data(Shape::random, 400, 6), GetParam());
  std::vector<std::size_t> deleted = {0, 1, 2};  // an entry point may be among them
  for (std::size_t r = 5; r < 400; r += 3) deleted.push_back(r);
  TempPath path;
  build_with_stock_hnswlib(path, data.view(), GetParam(), 5, 30, deleted);
  const Index index = interchange::load_hnswlib(path, {6, GetParam()}, Adopt::graph, on_cpu());
  expect_sound(index.audit());
  EXPECT_EQ(index.size(), 400 - deleted.size());
  for (std::size_t r = 0; r < 400; ++r) {
    const bool is_deleted = std::find(deleted.begin(), deleted.end(), r) != deleted.end();
    EXPECT_EQ(index.contains(3 * r + 1), !is_deleted);
  }
  EXPECT_GE(recall_at_10(index, prepared(make_data(Shape::random, 100, 6, 8), GetParam()), 50),
            0.95);
}

TEST(StockHnswlibEmpty, IndexIsAdopted) {
  TempPath path;
  const Matrix none(0, 6);
  build_with_stock_hnswlib(path, none.view(), Metric::l2sq, 5, 30);
  const Index index = interchange::load_hnswlib(path, {6, Metric::l2sq}, Adopt::graph, on_cpu());
  EXPECT_EQ(index.size(), 0u);
  EXPECT_EQ(index.params().M, 5u);
}

TEST(StockHnswlibEfConstruction, AboveOursIsTakenDown) {
  TempPath path;
  const Matrix data = make_data(Shape::random, 50, 6);
  build_with_stock_hnswlib(path, data.view(), Metric::l2sq, 5, 5000);
  EXPECT_EQ(interchange::load_hnswlib(path, {6, Metric::l2sq}, Adopt::graph, on_cpu())
                .params()
                .ef_construction,
            1024u);
  build_with_stock_hnswlib(path, data.view(), Metric::l2sq, 65, 100);
  expect_error(ErrorCode::unsupported, {"M is 65", "2 to 64", "vectors"}, [&] {
    interchange::load_hnswlib(path, {6, Metric::l2sq}, Adopt::graph, on_cpu());
  });
  const Index index = interchange::load_hnswlib(path, {6, Metric::l2sq}, Adopt::vectors, on_cpu());
  EXPECT_EQ(index.params().M, 64u);
  EXPECT_EQ(index.size(), 50u);
}

}  // namespace
}  // namespace concord::test
