// hnswlib itself, as installed (libhnswlib-dev), behind plain types.
#pragma once

#include <concord/matrix_view.hpp>
#include <concord/params.hpp>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace concord::test {

/// Builds an index with one thread and writes it to `path`. Vectors go in as they are: for cosine
/// the caller normalises. Label of row r is 3·r + 1.
void build_with_stock_hnswlib(const std::filesystem::path& path, MatrixView<const float> vectors,
                              Metric metric, std::size_t M, std::size_t ef_construction,
                              std::span<const std::size_t> deleted_rows = {});

struct StockAnswers {
  std::vector<std::vector<std::uint64_t>> labels;  ///< nearest first
  std::vector<std::vector<float>> distances;
};
/// Loads `path` and searches. Throws std::runtime_error where hnswlib does.
StockAnswers search_with_stock_hnswlib(const std::filesystem::path& path,
                                       MatrixView<const float> queries, Metric metric,
                                       std::size_t k, std::size_t ef);
/// Loads `path`, inserts vectors with labels from `first_label` on, and says how many there are
/// then.
std::size_t grow_with_stock_hnswlib(const std::filesystem::path& path,
                                    MatrixView<const float> vectors, Metric metric,
                                    std::uint64_t first_label);

}  // namespace concord::test
