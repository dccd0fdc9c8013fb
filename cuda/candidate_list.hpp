// The candidate list of a beam search, in shared memory, and the batch of keys to merge into it.
//
// Invariants: keys()[0 .. size) ascend strictly, ignoring the expanded bit; size ≤ capacity.
// Every thread of the team holds the same pointers and size in registers; between two syncs the
// list is only read. A merge reads the list and the batch and writes the spare copy, so it needs no
// sync of its own: new key j goes to (keys of the list below it) + (keys of the batch below it),
// and list key i moves up by the number of new keys placed at or before i. Keys that fall off the
// end are dropped.
#pragma once

#include <cstdint>

#include "cuda/launch_policy.hpp"
#include "cuda/team.hpp"

namespace concord::cuda {

using core::kExpanded;
using core::Key;
using core::kWorstKey;
using core::NodeId;

/// Count of a batch and the lowest list position of its keys.
struct BatchState {
  std::uint32_t count;
  std::uint32_t lowest;
};

/// Keys that passed the filter since the last merge, in any order.
///
/// Two states alternate, so that one can be cleared while slow threads still read the other:
/// append … sync … read, next() … sync … append.
class KeyBatch {
 public:
  CONCORD_TEAM_INLINE KeyBatch(Key* keys, std::uint32_t* positions, BatchState* states)
      : keys_(keys), positions_(positions), states_(states) {}

  /// To be followed by a sync.
  template <class Team>
  CONCORD_TEAM_INLINE void clear(Team& team) {
    parity_ = 0;
    if (team.rank() == 0) states_[0] = states_[1] = BatchState{0, kNoPosition};
  }

  /// Adds a key and its position in the list; false if the batch is full.
  template <class Team>
  CONCORD_TEAM_INLINE bool append(Team& team, Key key, std::uint32_t position) {
    const std::uint32_t slot = team.atomic_add(&states_[parity_].count, 1);
    if (slot >= kBatchCapacity) return false;
    team.atomic_min(&states_[parity_].lowest, position);
    keys_[slot] = key;
    positions_[slot] = position;
    return true;
  }

  // After a sync:
  CONCORD_TEAM_INLINE std::uint32_t size() const {
    const std::uint32_t count = states_[parity_].count;
    return count < kBatchCapacity ? count : kBatchCapacity;
  }
  CONCORD_TEAM_INLINE std::uint32_t lowest() const { return states_[parity_].lowest; }
  CONCORD_TEAM_INLINE Key key(std::uint32_t j) const { return keys_[j]; }
  CONCORD_TEAM_INLINE std::uint32_t position(std::uint32_t j) const { return positions_[j]; }

  /// Begins the next batch. To be followed by a sync before an append.
  template <class Team>
  CONCORD_TEAM_INLINE void next(Team& team) {
    parity_ ^= 1;
    if (team.rank() == 0) states_[parity_] = BatchState{0, kNoPosition};
  }

 private:
  static constexpr std::uint32_t kNoPosition = ~0u;

  Key* keys_;
  std::uint32_t* positions_;
  BatchState* states_;
  std::uint32_t parity_ = 0;
};

/// Positions of the two closest unexpanded entries; size() if there is no such entry.
struct Frontier {
  std::uint32_t closest;
  std::uint32_t second;
};

class CandidateList {
 public:
  CONCORD_TEAM_INLINE CandidateList(Key* keys, Key* spare, std::uint32_t capacity)
      : keys_(keys), spare_(spare), capacity_(capacity) {}

  [[nodiscard]] CONCORD_TEAM_INLINE const Key* keys() const { return keys_; }
  [[nodiscard]] CONCORD_TEAM_INLINE std::uint32_t size() const { return size_; }
  [[nodiscard]] CONCORD_TEAM_INLINE Key key(std::uint32_t i) const { return keys_[i] & ~kExpanded; }

  CONCORD_TEAM_INLINE void clear() { size_ = 0; }
  /// The list becomes {start}. To be followed by a sync.
  template <class Team>
  CONCORD_TEAM_INLINE void assign(Team& team, Key start) {
    if (team.rank() == 0) keys_[0] = start;
    size_ = 1;
  }
  /// The list becomes the n ascending keys at `sorted`. To be followed by a sync.
  template <class Team>
  CONCORD_TEAM_INLINE void assign(Team& team, const Key* sorted, std::uint32_t n) {
    for (std::uint32_t i = team.rank(); i < n; i += Team::kThreads) keys_[i] = sorted[i];
    size_ = n;
  }

  /// Keys not below this one need not be offered.
  [[nodiscard]] CONCORD_TEAM_INLINE Key worst() const {
    return size_ < capacity_ ? kWorstKey : key(capacity_ - 1);
  }

  /// Number of entries below `key`.
  [[nodiscard]] CONCORD_TEAM_INLINE std::uint32_t lower_bound(Key key) const {
    std::uint32_t first = 0;
    for (std::uint32_t n = size_; n != 0;) {
      const std::uint32_t half = n / 2;
      const bool below = keys_[first + half] < key;
      first = below ? first + half + 1 : first;
      n = below ? n - half - 1 : half;
    }
    return first;
  }

  /// Offers a key that is below worst(); false if the batch was full. One thread a key.
  template <class Team>
  CONCORD_TEAM_INLINE bool offer(Team& team, KeyBatch& batch, Key key, bool& is_new) const {
    const std::uint32_t position = lower_bound(key);
    is_new = position == size_ || (keys_[position] & ~kExpanded) != key;
    return !is_new || batch.append(team, key, position);
  }

  /// The closest unexpanded entries from position `from` on.
  template <class Team>
  CONCORD_TEAM_INLINE Frontier frontier(Team& team, std::uint32_t from) const {
    Frontier found{size_, size_};
    for (std::uint32_t base = from; base < size_ && found.second == size_;
         base += Team::kWarpSize) {
      const std::uint32_t i = base + team.lane();
      std::uint32_t open = team.ballot(i < size_ && (keys_[i] & kExpanded) == 0);
      if (open != 0 && found.closest == size_) {
        found.closest = base + lowest_bit(open);
        open &= open - 1;
      }
      if (open != 0) found.second = base + lowest_bit(open);
    }
    return found;
  }

  /// Merges the batch and marks the entry at `expanded` (size() or more: none). After a sync that
  /// follows the appends; to be followed by a sync. Not by cub::BlockMergeSort: a few keys go into
  /// a list that is sorted already.
  template <class Team>
  CONCORD_TEAM_INLINE void merge(Team& team, const KeyBatch& batch, std::uint32_t expanded) {
    const std::uint32_t n = batch.size();
    if (n == 0) {
      if (team.rank() == 0 && expanded < size_) keys_[expanded] |= kExpanded;
      return;
    }
    for (std::uint32_t i = team.rank(); i < size_; i += Team::kThreads) {
      std::uint32_t place = i;
      for (std::uint32_t j = 0; j < n; ++j) place += batch.position(j) <= i ? 1 : 0;
      if (place < capacity_) spare_[place] = i == expanded ? keys_[i] | kExpanded : keys_[i];
    }
    for (std::uint32_t j = Team::kThreads - 1 - team.rank(); j < n; j += Team::kThreads) {
      const Key mine = batch.key(j);
      std::uint32_t place = batch.position(j);
      for (std::uint32_t other = 0; other < n; ++other) place += batch.key(other) < mine ? 1 : 0;
      if (place < capacity_) spare_[place] = mine;
    }
    size_ = size_ + n < capacity_ ? size_ + n : capacity_;
    Key* const merged = spare_;
    spare_ = keys_;
    keys_ = merged;
  }

 private:
  Key* keys_;
  Key* spare_;
  std::uint32_t capacity_;
  std::uint32_t size_ = 0;
};

}  // namespace concord::cuda
