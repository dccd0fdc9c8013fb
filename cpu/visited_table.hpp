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

#include "common/base/key.hpp"

namespace concord::cpu {

class VisitedTable {
 public:
  /// A power of two bounds the slots; a small one is for tests of forgetting.
  explicit VisitedTable(std::size_t most_slots = 65536) noexcept : most_slots_(most_slots) {}

  /// Forgets everything and sizes the table for a search of about so many hops.
  void reset(std::size_t hops) {
    const std::size_t least = std::min<std::size_t>(1024, most_slots_);
    const std::size_t size = std::bit_ceil(std::clamp(hops * 64, least, most_slots_));
    shift_ = 32 - static_cast<unsigned>(std::bit_width(size) - 1);
    slots_.assign(size, core::kNoNode);
  }

  /// To be told the number of hops so far: a search of more than twice what was expected gets a
  /// larger table. Each hop asks, so the question is inlined and the answer is not.
  [[gnu::always_inline]] void make_room(std::size_t hops) {
    if (hops * 32 > slots_.size() && slots_.size() < most_slots_) grow();
  }

  /// Marks nodes until the table is reset or grows. A copy of what the table is, so that the
  /// compiler need not fear that a marked slot is the table's size.
  class Marker {
   public:
    /// 1 for a node that was not marked, or was forgotten, else 0. Without a branch, since which
    /// are marked is unpredictable.
    std::uint32_t mark(core::NodeId node) const noexcept {
      core::NodeId& slot = slots_[place_of(node, shift_)];
      const std::uint32_t is_new = slot == node ? 0 : 1;
      slot = node;
      return is_new;
    }

   private:
    friend class VisitedTable;
    Marker(core::NodeId* slots, unsigned shift) : slots_(slots), shift_(shift) {}
    core::NodeId* slots_;
    unsigned shift_;
  };
  [[nodiscard]] Marker marker() noexcept { return {slots_.data(), shift_}; }

  [[nodiscard]] std::size_t bytes() const noexcept {
    return slots_.capacity() * sizeof(core::NodeId);
  }

 private:
  static std::size_t place_of(core::NodeId node, unsigned shift) noexcept {
    return (node * 0x9E3779B1u) >> shift;
  }

  // Doubles the table. What was in place i belongs to 2i or 2i + 1, so the places are moved where
  // they stand, from the last one on; without a branch, since any may be empty, which is all ones.
  [[gnu::noinline]] void grow() {
    static_assert(core::kNoNode == ~core::NodeId{0});
    std::size_t i = slots_.size();
    slots_.resize(2 * i);
    const unsigned shift = --shift_;
    core::NodeId* const slots = slots_.data();
    while (i-- > 0) {
      const core::NodeId node = slots[i];
      const core::NodeId odd =
          core::NodeId{0} - static_cast<core::NodeId>(place_of(node, shift) & 1);
      slots[2 * i] = node | odd;
      slots[2 * i + 1] = node | ~odd;
    }
  }

  std::vector<core::NodeId> slots_;
  unsigned shift_ = 0;
  std::size_t most_slots_;
};

}  // namespace concord::cpu
