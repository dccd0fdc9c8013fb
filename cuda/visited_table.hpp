// The visited set of one beam search: a lossy hash table in shared memory.
//
// It may forget an id, never invent one: a node scored again is found equal in the list or rejected
// by a worst that only improves, so forgetting costs time and no result, and races between lanes
// that lose an entry are harmless. (The forgettable table of CAGRA, arXiv 2308.15136, without its
// periodic reset.)
//
// Three ways a set, all in one 64-bit word, newest first, first in first out. Ids have 31 bits; an
// odd multiplier permutes them, the high bits choose the set, and the low `tag` bits identify the
// id within it exactly. A tag of all ones marks an empty way, so the few ids with that tag are
// never remembered.
#pragma once

#include <cstdint>

#include "cuda/launch_policy.hpp"
#include "cuda/team.hpp"

namespace concord::cuda {

class VisitedTable {
 public:
  /// `sets`: 2^log2_sets words. REQUIRES log2_sets ≥ kMinTableLog2.
  CONCORD_TEAM_INLINE VisitedTable(std::uint64_t* sets, std::uint32_t log2_sets)
      : sets_(sets), log2_sets_(log2_sets) {}

  /// To be followed by a sync.
  template <class Team>
  CONCORD_TEAM_INLINE void clear(Team& team) {
    for (std::uint32_t j = team.rank(); j < (1u << log2_sets_); j += Team::kThreads) {
      sets_[j] = ~std::uint64_t{0};
    }
  }

  /// True if the id is known to have been seen; otherwise notes it.
  template <class Team>
  CONCORD_TEAM_INLINE bool seen(Team& team, core::NodeId id) {
    const std::uint32_t tag_bits = kIdBits - log2_sets_;
    const std::uint32_t mask = (1u << tag_bits) - 1;
    const std::uint32_t mixed = (id * kMultiplier) & ((1u << kIdBits) - 1);
    const std::uint32_t tag = mixed & mask;
    if (tag == mask) return false;
    std::uint64_t* const set = sets_ + (mixed >> tag_bits);
    const std::uint64_t word = team.load_relaxed(set);
    if (tag_at(word, 0, mask) == tag || tag_at(word, tag_bits, mask) == tag ||
        tag_at(word, 2 * tag_bits, mask) == tag) {
      return true;
    }
    team.store_relaxed(set, (word << tag_bits) | tag);
    return false;
  }

 private:
  static constexpr std::uint32_t kIdBits = 31;
  static constexpr std::uint32_t kMultiplier = 0x9E3779B1u;

  static CONCORD_TEAM_INLINE std::uint32_t tag_at(std::uint64_t word, std::uint32_t shift,
                                                  std::uint32_t mask) {
    return static_cast<std::uint32_t>(word >> shift) & mask;
  }

  std::uint64_t* sets_;
  std::uint32_t log2_sets_;
};

}  // namespace concord::cuda
