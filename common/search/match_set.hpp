// The ids that a filter lets a search return, as of one moment of one index.
//
// Invariant: ids are sorted, unique, and in the snapshot: before its end, and alive at its moment.
// A set that every search scans (common/search/filter_rule.hpp) is its sorted ids alone: 4 bytes a
// match. A larger one has a bit for each id of the snapshot as well.
// Thread-safety: immutable, but for a count that it remembers.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/base/key.hpp"

namespace concord::core {

/// What there was when a filter was made. Ids from `end` on never match.
struct FilterSnapshot {
  std::uint64_t index = 0;  ///< number of the index, different for each of the process
  NodeId end = 0;
  NodeId deaths = 0;  ///< nodes that had died by then
  std::size_t stride = 0;
  /// Those before `end` that had died, sorted; null if none had.
  std::shared_ptr<const std::vector<NodeId>> dead;
  std::shared_ptr<const void> ids_kept;  ///< so that ids stay what they are

  /// How many were alive.
  [[nodiscard]] NodeId living() const noexcept;
};

class MatchSet {
 public:
  /// REQUIRES ids as the invariant says.
  MatchSet(FilterSnapshot snapshot, std::vector<NodeId> ids);

  [[nodiscard]] const FilterSnapshot& snapshot() const noexcept { return snapshot_; }
  [[nodiscard]] std::span<const NodeId> ids() const noexcept { return ids_; }
  [[nodiscard]] bool has_bits() const noexcept { return !bits_.empty(); }
  /// Tells which ids match: 1 or 0. Without a branch, because which do is unpredictable. A copy of
  /// where the bits are, for loops.
  class Bits {
   public:
    [[nodiscard]] std::uint32_t operator[](NodeId id) const noexcept {
      const std::size_t word = id / 64 < last_word_ ? id / 64 : last_word_;
      return static_cast<std::uint32_t>(words_[word] >> (id % 64)) & 1;
    }

   private:
    friend class MatchSet;
    Bits(const std::uint64_t* words, std::size_t last_word) noexcept
        : words_(words), last_word_(last_word) {}
    const std::uint64_t* words_;
    std::size_t last_word_;
  };
  /// REQUIRES has_bits().
  [[nodiscard]] Bits bits() const noexcept { return {bits_.data(), bits_.size() - 1}; }
  /// How many match and are alive where `deaths` nodes have died, of which is_dead(id) tells. O(1),
  /// but for the first call after a death.
  template <class IsDead>
  [[nodiscard]] NodeId living(NodeId deaths, const IsDead& is_dead) const {
    if (deaths == snapshot_.deaths) return static_cast<NodeId>(ids_.size());
    const std::uint64_t counted = counted_.load(std::memory_order_relaxed);
    if (counted >> 32 == deaths) return static_cast<NodeId>(counted);
    NodeId count = 0;
    for (const NodeId id : ids_) count += is_dead(id) ? 0 : 1;
    counted_.store((std::uint64_t{deaths} << 32) | count, std::memory_order_relaxed);
    return count;
  }
  [[nodiscard]] std::size_t bytes() const noexcept;

 private:
  FilterSnapshot snapshot_;
  std::vector<NodeId> ids_;
  std::vector<std::uint64_t> bits_;  ///< and a last word of zeros, for ids beyond the snapshot
  mutable std::atomic<std::uint64_t> counted_;  ///< deaths and what was alive then
};

/// Combinations. The snapshot of two is what both have seen, so that the laws of sets hold.
/// REQUIRES sets of one index.
std::shared_ptr<const MatchSet> both(const MatchSet& a, const MatchSet& b);
std::shared_ptr<const MatchSet> either(const MatchSet& a, const MatchSet& b);
std::shared_ptr<const MatchSet> complement(const MatchSet& a);

}  // namespace concord::core
