// A node's list as another library is to have it, which knows no copies
// (common/graph/copies.hpp): there, each copy is linked to the one before it and the one behind it.
// Thread-safety: as Index::write.
#pragma once

#include <array>
#include <cstdint>

#include "common/graph/graph.hpp"

namespace concord::interchange {

using LinkBuffer = std::array<core::NodeId, core::kMaxListCapacity>;

/// A copy is in layer 0 alone.
inline std::uint32_t exported_level(const core::Graph& graph, core::NodeId node) noexcept {
  return graph.copies().is_copy(node) ? 0 : graph.level(node);
}

/// Copies the list to `out`; returns its length, at most `width`. If the list of a node that is
/// full must name a copy, that takes the last place: the node there still names this one.
inline std::uint32_t exported_links(const core::Graph& graph, core::NodeId node,
                                    std::uint32_t layer, std::uint32_t width, LinkBuffer& out) {
  std::uint32_t degree = graph.read(node, layer, out.data());
  if (layer > 0 || !graph.copies().any()) return degree;
  const core::Copies& copies = graph.copies();
  if (copies.is_copy(node)) out[degree++] = copies.previous(node);
  if (copies.next(node) == core::kNoNode) return degree;
  if (degree == width) --degree;
  out[degree++] = copies.next(node);
  return degree;
}

}  // namespace concord::interchange
