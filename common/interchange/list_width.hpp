// How long the neighbor lists of a file must be that holds every edge of a graph.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/graph/graph.hpp"

namespace concord::interchange {

/// The degree of the longest list in layer 0 (`layer` 0) or in all layers above, but at least
/// max_degree. It exceeds max_degree only while an epoch is open.
inline std::uint32_t list_width(const core::Graph& graph, std::uint32_t layer) {
  const core::LinkTable& lists = graph.table_of(layer);
  std::uint32_t width = lists.max_degree();
  for (std::size_t list = 0; list < lists.size(); ++list) {
    width = std::max(width, lists.degree(static_cast<core::ListIndex>(list)));
  }
  return width;
}

}  // namespace concord::interchange
