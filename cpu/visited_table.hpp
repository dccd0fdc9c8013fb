// The visited set of a beam search, as a small table that may forget.
//
// Forgetting is harmless: a node scored again has the same key, so it is found in the candidate
// list, or is rejected by a worst candidate that has only improved. A direct-mapped table of a size
// that depends on the hops alone stays in the nearest caches where an array over all nodes would
// not, and no search allocates anything of the index's size. Thread-safety: none; one per search.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "common/key.hpp"

namespace concord::cpu {

class VisitedTable {
 public:
  /// Forgets everything and sizes the table for a search of about so many hops.
  void reset(std::size_t hops) {
    const std::size_t size = std::bit_ceil(std::clamp<std::size_t>(hops * 64, 1024, kMostSlots));
    shift_ = 32 - static_cast<unsigned>(std::bit_width(size) - 1);
    slots_.assign(size, core::kNoNode);
  }

  /// To be told the number of hops so far: a search of more than twice what was expected gets a
  /// larger table.
  void make_room(std::size_t hops) {
    if (hops * 32 > slots_.size() && slots_.size() < kMostSlots) grow();
  }

  /// Keeps of `n` nodes those that are not marked, or were forgotten, in their order, and marks
  /// them; returns how many. Without a branch, since which are marked is unpredictable.
  std::uint32_t keep_unmarked(core::NodeId* nodes, std::uint32_t n) noexcept {
    core::NodeId* const slots = slots_.data();
    const unsigned shift = shift_;
    std::uint32_t kept = 0;
    for (std::uint32_t j = 0; j < n; ++j) {
      const core::NodeId node = nodes[j];
      core::NodeId& slot = slots[place_of(node, shift)];
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
  static constexpr std::size_t kMostSlots = 65536;

  static std::size_t place_of(core::NodeId node, unsigned shift) noexcept {
    return (node * 0x9E3779B1u) >> shift;
  }

  // Doubles the table. What was in place i belongs to 2i or 2i + 1, so the places are moved where
  // they stand, from the last one on.
  void grow() {
    std::size_t i = slots_.size();
    slots_.resize(2 * i);
    --shift_;
    while (i-- > 0) {
      const core::NodeId node = slots_[i];
      slots_[2 * i] = slots_[2 * i + 1] = core::kNoNode;
      if (node != core::kNoNode) slots_[place_of(node, shift_)] = node;
    }
  }

  std::vector<core::NodeId> slots_;
  unsigned shift_ = 0;
};

}  // namespace concord::cpu
