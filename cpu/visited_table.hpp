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

  /// Keeps of `n` nodes those that are not marked, or were forgotten, in their order, and marks
  /// them; returns how many. Without a branch, since which are marked is unpredictable.
  std::uint32_t keep_unmarked(core::NodeId* nodes, std::uint32_t n) noexcept {
    core::NodeId* const slots = slots_.data();
    const unsigned shift = shift_;
    std::uint32_t kept = 0;
    for (std::uint32_t j = 0; j < n; ++j) {
      const core::NodeId node = nodes[j];
      core::NodeId& slot = slots[(node * 0x9E3779B1u) >> shift];
      nodes[kept] = node;
      kept += slot == node ? 0 : 1;
      slot = node;
    }
    return kept;
  }

  [[nodiscard]] std::size_t bytes() const noexcept {
    return slots_.capacity() * sizeof(core::NodeId);
  }

 private:
  std::vector<core::NodeId> slots_;
  unsigned shift_ = 0;
};

}  // namespace concord::cpu
