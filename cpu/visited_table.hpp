// The visited set of a beam search, as a small table that may forget.
//
// Forgetting is harmless: a node scored again has the same key, so it is found in the candidate
// list, or is rejected by a worst candidate that has only improved. A direct-mapped table of a size
// that depends on ef alone stays in the nearest caches where an array over all nodes would not, and
// no search allocates anything of the index's size.
// Thread-safety: none; one per search.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "common/key.hpp"

namespace concord::cpu {

class VisitedTable {
 public:
  /// Forgets everything and sizes the table for a search with `ef` candidates.
  void reset(std::size_t ef) {
    const std::size_t size = std::bit_ceil(std::clamp<std::size_t>(ef * 64, 1024, 65536));
    shift_ = 32 - static_cast<unsigned>(std::bit_width(size) - 1);
    slots_.assign(size, core::kNoNode);
  }

  /// True if the node was marked and not forgotten since; marks it.
  bool test_and_set(core::NodeId node) noexcept {
    core::NodeId& slot = slots_[(node * 0x9E3779B1u) >> shift_];
    if (slot == node) return true;
    slot = node;
    return false;
  }

  [[nodiscard]] std::size_t bytes() const noexcept {
    return slots_.capacity() * sizeof(core::NodeId);
  }

 private:
  std::vector<core::NodeId> slots_;
  unsigned shift_ = 0;
};

}  // namespace concord::cpu
