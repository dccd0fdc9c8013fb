// The neighbor selection heuristic (Malkov & Yashunin, Algorithm 4, without extensions) by a team.
//
// Candidates are taken in windows of 64. First, those that a neighbor kept in an earlier window
// dominates are dropped. Then, round by round, the first one alive is kept and all later ones of
// the window are scored against it in parallel. This does the comparisons of the sequential loop in
// another order: a candidate is compared with the kept neighbors in the order in which they were
// kept, until the first that dominates it. The sets of those alive are three rotating bit masks, so
// a round costs one sync.
#pragma once

#include "cuda/beam_search.hpp"

namespace concord::cuda {

/// Is c, at `distance` from the node, dominated by a kept neighbor s: d(s, c) < d(node, c)?
CONCORD_TEAM_INLINE bool dominates(float between, Key candidate) {
  return between < core::key_distance(candidate);
}

template <bool kL2, class Team>
class NeighborSelection {
 public:
  CONCORD_TEAM_INLINE NeighborSelection(Team& team, const MirrorView& view, BeamStorage& storage,
                                        Tally& tally)
      : team_(team),
        view_(view),
        keys_(storage.list.keys()),
        count_(storage.list.size()),
        kept_(storage.kept),
        alive_(storage.alive),
        tally_(tally) {}

  /// Writes at most `limit` ids, nearest first, then kNoNode, to out[0 .. limit). REQUIRES a sync
  /// since the list was merged; the list may be changed after return.
  CONCORD_TEAM_INLINE void run(std::uint32_t limit, NodeId* out) {
    for (std::uint32_t base = 0; base < count_ && kept_count_ < limit; base += kSelectionWindow) {
      const std::uint32_t size =
          count_ - base < kSelectionWindow ? count_ - base : kSelectionWindow;
      team_.sync();
      if (team_.rank() == 0) {
        store(set(0), kept_count_ == 0 ? Bits::first(size) : Bits{0, 0});
        store(set(1), Bits{0, 0});
      }
      team_.sync();
      if (kept_count_ != 0) screen(base, size);
      keep_round_by_round(base, limit, out);
    }
    for (std::uint32_t j = kept_count_ + team_.rank(); j < limit; j += Team::kThreads) {
      out[j] = kNoNode;
    }
    team_.sync();
  }

 private:
  struct Bits {
    std::uint32_t low;
    std::uint32_t high;
    static CONCORD_TEAM_INLINE Bits first(std::uint32_t n) {
      return {n >= 32 ? ~0u : (1u << n) - 1, n <= 32 ? 0u : (n == 64 ? ~0u : (1u << (n - 32)) - 1)};
    }
    CONCORD_TEAM_INLINE std::uint32_t count() const { return bit_count(low) + bit_count(high); }
  };
  static_assert(kSelectionWindow == 64);

  CONCORD_TEAM_INLINE std::uint32_t* set(std::uint32_t j) { return alive_ + 2 * (j % 3); }
  static CONCORD_TEAM_INLINE void store(std::uint32_t* set, Bits bits) {
    set[0] = bits.low;
    set[1] = bits.high;
  }
  CONCORD_TEAM_INLINE void mark(std::uint32_t* set, std::uint32_t position) {
    if (team_.group_lane() == 0) team_.atomic_or(set + position / 32, 1u << (position % 32));
  }
  CONCORD_TEAM_INLINE const float* vector_at(std::uint32_t position) const {
    return view_.vector(core::key_id(keys_[position]));
  }

  /// Set 0 becomes the candidates of the window that no neighbor kept so far dominates.
  CONCORD_TEAM_INLINE void screen(std::uint32_t base, std::uint32_t size) {
    for (std::uint32_t of_warp = team_.warp() * Team::kGroupsPerWarp; of_warp < size;
         of_warp += Team::kGroups) {
      const std::uint32_t position = of_warp + team_.group();
      const std::uint32_t safe = position < size ? position : size - 1;
      bool alive = position < size;
      for (std::uint32_t k = 0; k < kept_count_ && team_.ballot(alive) != 0; k += 2) {
        const std::uint32_t next = k + 1 < kept_count_ ? k + 1 : k;
        const float* const columns[2] = {view_.vector(kept_[k]), view_.vector(kept_[next])};
        float between[2];
        row_distances<kL2, kPairStage, FromGlobal>(team_, view_.quads(), vector_at(base + safe),
                                                   columns, between);
        tally_.distances += bit_count(team_.ballot(alive && team_.group_lane() == 0)) * 2;
        const Key candidate = keys_[base + safe];
        alive = alive && !dominates(between[0], candidate) && !dominates(between[1], candidate);
      }
      if (alive) mark(set(0), position);
    }
    team_.sync();
  }

  CONCORD_TEAM_INLINE void keep_round_by_round(std::uint32_t base, std::uint32_t limit,
                                               NodeId* out) {
    for (std::uint32_t round = 0;; ++round) {
      Bits left{set(round)[0], set(round)[1]};
      if ((left.low | left.high) == 0) return;
      const std::uint32_t nearest = base + select_bit(left.low, left.high, 0);
      if (team_.rank() == 0) {
        const NodeId id = core::key_id(keys_[nearest]);
        kept_[kept_count_] = id;
        out[kept_count_] = id;
        store(set(round + 2), Bits{0, 0});
      }
      if (++kept_count_ == limit) return;
      if (left.low != 0) {
        left.low &= left.low - 1;
      } else {
        left.high &= left.high - 1;
      }
      drop_dominated(base, nearest, left, set(round + 1));
      team_.sync();
    }
  }

  /// Marks in `survivors` those of `left` that the neighbor just kept does not dominate.
  CONCORD_TEAM_INLINE void drop_dominated(std::uint32_t base, std::uint32_t kept, Bits left,
                                          std::uint32_t* survivors) {
    const std::uint32_t total = left.count();
    const float* const row = vector_at(kept);
    for (std::uint32_t of_warp = team_.warp() * Team::kGroupsPerWarp; of_warp < total;
         of_warp += 2 * Team::kGroups) {
      const std::uint32_t rank = of_warp + team_.group();
      if (of_warp + Team::kGroups < total) {
        compare<2>(base, row, left, total, rank, survivors);
      } else {
        compare<1>(base, row, left, total, rank, survivors);
      }
    }
    tally_.distances += team_.warp() == 0 ? total : 0;
  }

  template <std::uint32_t kEach>
  CONCORD_TEAM_INLINE void compare(std::uint32_t base, const float* row, Bits left,
                                   std::uint32_t total, std::uint32_t rank,
                                   std::uint32_t* survivors) {
    std::uint32_t positions[kEach];
    const float* columns[kEach];
    CONCORD_UNROLL
    for (std::uint32_t e = 0; e < kEach; ++e) {
      const std::uint32_t wanted = rank + e * Team::kGroups;
      positions[e] = select_bit(left.low, left.high, wanted < total ? wanted : total - 1);
      columns[e] = vector_at(base + positions[e]);
    }
    float between[kEach];
    row_distances<kL2, kPairStage, FromGlobal>(team_, view_.quads(), row, columns, between);
    CONCORD_UNROLL
    for (std::uint32_t e = 0; e < kEach; ++e) {
      const bool real = rank + e * Team::kGroups < total;
      if (real && !dominates(between[e], keys_[base + positions[e]])) mark(survivors, positions[e]);
    }
  }

  Team& team_;
  const MirrorView& view_;
  const Key* keys_;
  std::uint32_t count_;
  NodeId* kept_;
  std::uint32_t* alive_;
  Tally& tally_;
  std::uint32_t kept_count_ = 0;
};

}  // namespace concord::cuda
