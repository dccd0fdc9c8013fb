// What the tests of foreign files compare: the edges of an index, recall.
#pragma once

#include <algorithm>
#include <concord/interchange.hpp>

#include "common/index/index_access.hpp"
#include "tests/support/graph_builder.hpp"

namespace concord::test {

/// The rows of all layers, each sorted: two indexes with equal edges have the same edges.
inline Links edges_of(const Index& index) {
  Links rows = all_links(IndexAccess::stand_still(index).contents.graph);
  for (auto& node : rows) {
    for (auto& row : node) std::sort(row.begin(), row.end());
  }
  return rows;
}

/// Share of the exact 10 nearest that a search with `ef` finds.
inline double recall_at_10(const Index& index, const Matrix& queries, std::uint32_t ef) {
  const SearchResult exact = index.exact_search(queries.view(), 10);
  const SearchResult found = index.search(queries.view(), {10, ef});
  std::size_t hits = 0;
  for (std::size_t q = 0; q < queries.rows; ++q) {
    const auto first = exact.labels.begin() + static_cast<std::ptrdiff_t>(q * 10);
    for (std::size_t j = 0; j < 10; ++j) {
      hits += std::find(first, first + 10, found.labels[q * 10 + j]) != first + 10 ? 1u : 0u;
    }
  }
  return static_cast<double>(hits) / static_cast<double>(10 * queries.rows);
}

inline RuntimeOptions on_cpu(unsigned threads = 1) {
  RuntimeOptions options;
  options.threads = threads;
  options.device = "cpu";
  return options;
}

}  // namespace concord::test
