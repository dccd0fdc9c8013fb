// Epochs: the stretches of insertion order between two seals.
//
// Epoch k inserts [begin, end) with end − begin = clamp(begin / 4, 1, epoch_limit): boundaries
// depend on insertion order alone, never on how calls to add were split. Write G_k for the graph
// after epoch k is sealed. Proposals of epoch k read G_{k−2}, which holds [0, sealed_end), and find
// their neighbors in the tail [sealed_end, i) exactly. Reading two epochs back, not one, lets a
// device propose epoch k while the CPU commits and seals epoch k−1.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/key.hpp"

namespace concord::core {

struct Epoch {
  std::uint32_t number = 0;
  NodeId sealed_end = 0;  ///< begin of epoch number − 1: what proposals of this epoch see sealed
  NodeId begin = 0;
  NodeId end = 1;

  [[nodiscard]] Epoch next(std::uint32_t epoch_limit) const noexcept {
    const NodeId length = std::clamp<NodeId>(end / 4, 1, epoch_limit);
    return {number + 1, begin, end, end + length};
  }

  /// The epoch in which the node of this insertion order falls. O(order / epoch_limit).
  static Epoch of(NodeId order, std::uint32_t epoch_limit) noexcept {
    Epoch epoch;
    while (order >= epoch.end) epoch = epoch.next(epoch_limit);
    return epoch;
  }
};

}  // namespace concord::core
