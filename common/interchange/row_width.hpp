// How wide the rows of a file must be that holds every edge of a graph.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/graph.hpp"

namespace concord::interchange {

/// The degree of the longest row in layer 0 (`layer` 0) or in all layers above, but at least
/// max_degree. It exceeds max_degree only while an epoch is open.
inline std::uint32_t row_width(const core::Graph& graph, std::uint32_t layer) {
  const core::RowTable& rows = graph.table(layer);
  std::uint32_t width = rows.max_degree();
  for (std::size_t row = 0; row < rows.size(); ++row) {
    width = std::max(width, rows.degree(static_cast<core::RowIndex>(row)));
  }
  return width;
}

}  // namespace concord::interchange
