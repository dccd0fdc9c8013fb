#include "tests/interchange/stock_hnswlib.hpp"

#include <hnswlib/hnswlib.h>

#include <memory>

namespace concord::test {
namespace {

using Graph = hnswlib::HierarchicalNSW<float>;

std::unique_ptr<hnswlib::SpaceInterface<float>> space_of(Metric metric, std::size_t dimension) {
  if (metric == Metric::l2sq) return std::make_unique<hnswlib::L2Space>(dimension);
  return std::make_unique<hnswlib::InnerProductSpace>(dimension);
}

}  // namespace

void build_with_stock_hnswlib(const std::filesystem::path& path, MatrixView<const float> vectors,
                              Metric metric, std::size_t M, std::size_t ef_construction,
                              std::span<const std::size_t> deleted_rows) {
  const auto space = space_of(metric, vectors.cols);
  Graph graph(space.get(), vectors.rows, M, ef_construction);
  for (std::size_t r = 0; r < vectors.rows; ++r) graph.addPoint(vectors.row(r), 3 * r + 1);
  for (const std::size_t r : deleted_rows) graph.markDelete(3 * r + 1);
  graph.saveIndex(path.string());
}

StockAnswers search_with_stock_hnswlib(const std::filesystem::path& path,
                                       MatrixView<const float> queries, Metric metric,
                                       std::size_t k, std::size_t ef) {
  const auto space = space_of(metric, queries.cols);
  Graph graph(space.get(), path.string());
  graph.setEf(ef);
  StockAnswers answers;
  for (std::size_t q = 0; q < queries.rows; ++q) {
    std::vector<std::uint64_t> labels;
    std::vector<float> distances;
    for (const auto& [distance, label] : graph.searchKnnCloserFirst(queries.row(q), k)) {
      labels.push_back(label);
      distances.push_back(distance);
    }
    answers.labels.push_back(std::move(labels));
    answers.distances.push_back(std::move(distances));
  }
  return answers;
}

std::size_t grow_with_stock_hnswlib(const std::filesystem::path& path,
                                    MatrixView<const float> vectors, Metric metric,
                                    std::uint64_t first_label) {
  const auto space = space_of(metric, vectors.cols);
  Graph graph(space.get(), path.string(), false, 100000);
  for (std::size_t r = 0; r < vectors.rows; ++r) graph.addPoint(vectors.row(r), first_label + r);
  return graph.cur_element_count;
}

}  // namespace concord::test
