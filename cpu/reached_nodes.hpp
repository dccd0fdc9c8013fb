// The candidate list of a closure (common/search/range.hpp): every node within a distance that a
// walk meets, in the order in which it was met. It has the face of a CandidateList, so that a
// closure is a beam search with this list.
//
// Invariant: no id stands there twice, whatever a visited table has forgotten, because the number
// of ids decides whether the closure is given up. Memory: at most 24 bytes a node.
// Thread-safety: none; one per search.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

#include "common/base/key.hpp"

namespace concord::cpu {

class ReachedNodes {
 public:
  /// Empties the list. It takes keys within `reach` and is done when it has more than `most`.
  void reset(float reach, std::size_t most) {
    reach_ = reach;
    most_ = most;
    cursor_ = 0;
    keys_.clear();
    slots_.assign(kLeastSlots, core::kNoNode);
  }

  [[nodiscard]] std::size_t size() const noexcept { return keys_.size(); }
  [[nodiscard]] core::Key key(std::size_t i) const noexcept { return keys_[i]; }
  [[nodiscard]] float worst_distance() const noexcept { return reach_; }
  [[nodiscard]] bool is_too_many() const noexcept { return keys_.size() > most_; }

  /// Inserts a plain key unless it is there already or beyond the reach. Returns its place behind
  /// the first that is not expanded, or the largest number where it did not enter. Throws
  /// std::bad_alloc.
  std::size_t insert(core::Key key) {
    constexpr std::size_t kNowhere = std::numeric_limits<std::size_t>::max();
    if (core::key_distance(key) > reach_) return kNowhere;
    core::NodeId& slot = slot_of(core::key_id(key));
    if (slot != core::kNoNode) return kNowhere;
    slot = core::key_id(key);
    keys_.push_back(key);
    if (2 * keys_.size() > slots_.size()) grow();
    return keys_.size() - 1 - cursor_;
  }

  [[nodiscard]] bool is_done() const noexcept { return cursor_ == keys_.size() || is_too_many(); }
  /// The first that is not expanded. REQUIRES !is_done().
  [[nodiscard]] core::Key closest() const noexcept { return keys_[cursor_]; }
  core::NodeId expand_closest() noexcept { return core::key_id(keys_[cursor_++]); }

  [[nodiscard]] std::size_t bytes() const noexcept {
    return keys_.capacity() * sizeof(core::Key) + slots_.capacity() * sizeof(core::NodeId);
  }

 private:
  static constexpr std::size_t kLeastSlots = 256;

  /// Where an id is, or where it belongs.
  [[nodiscard]] core::NodeId& slot_of(core::NodeId id) noexcept {
    const std::size_t mask = slots_.size() - 1;
    const int shift = 32 - std::countr_zero(slots_.size());
    std::size_t at = (id * 0x9E3779B1u) >> shift;
    while (slots_[at] != core::kNoNode && slots_[at] != id) at = (at + 1) & mask;
    return slots_[at];
  }
  void grow() {
    slots_.assign(2 * slots_.size(), core::kNoNode);
    for (const core::Key key : keys_) slot_of(core::key_id(key)) = core::key_id(key);
  }

  std::vector<core::Key> keys_;
  std::vector<core::NodeId> slots_;  ///< ids of keys_, by a hash; at most half are taken
  std::size_t most_ = 0;
  std::size_t cursor_ = 0;  ///< all before it are expanded
  float reach_ = 0;
};

}  // namespace concord::cpu
