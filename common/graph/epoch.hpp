// Epochs: fixed ranges of insertion order whose vectors are proposed against the same older graph.
//
// Epoch k inserts [begin, end) with end − begin = clamp(living / 4, 1, epoch_limit), where `living`
// counts the vectors at its beginning: begin itself, until one was removed. Each removal in epoch k
// takes one from its end, and a replacement counts as a removal and an insertion. Boundaries depend
// on the sequence of operations alone, never on how calls were split. Write G_k for the graph
// after epoch k is sealed. Proposals of epoch k read G_{k−2}, which holds [0, sealed_end), and find
// their neighbors in the tail [sealed_end, i) exactly. Reading two epochs back, not one, lets a
// device propose epoch k while the CPU commits and seals epoch k−1.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/base/key.hpp"

namespace concord::core {

struct Epoch {
  std::uint32_t number = 0;
  NodeId sealed_end = 0;  ///< begin of epoch number − 1: what proposals of this epoch see sealed
  NodeId begin = 0;
  NodeId end = 1;

  /// The epoch behind this one, if `dead` of the nodes before its end are dead then.
  [[nodiscard]] Epoch next(std::uint32_t epoch_limit, NodeId dead = 0) const noexcept {
    const NodeId length = std::clamp<NodeId>((end - dead) / 4, 1, epoch_limit);
    return {number + 1, begin, end, end + length};
  }

  /// The epoch in which the node of this insertion order falls where none was ever removed.
  /// O(order / epoch_limit).
  static Epoch of(NodeId order, std::uint32_t epoch_limit) noexcept {
    Epoch epoch;
    while (order >= epoch.end) epoch = epoch.next(epoch_limit);
    return epoch;
  }
};

}  // namespace concord::core
