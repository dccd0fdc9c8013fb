// Greedy descent and beam search in one layer of the mirror, by a team.
//
// A hop costs two syncs. Each warp takes every kWarps-th slot of the expanded row, drops the
// visited ones by ballot and scores the rest, two vectors a group at a time with all their loads in
// flight; distances below the list's worst go to the batch with their position in the list (found
// by binary search, which also drops nodes that the visited table forgot); after the first sync all
// threads merge the batch, after the second they look for the next entry to expand. The row of the
// runner-up is loaded early, and rows of new entries are prefetched into L2.
#pragma once

#include "common/reach.hpp"
#include "cuda/candidate_list.hpp"
#include "cuda/device_distance.hpp"
#include "cuda/views.hpp"
#include "cuda/visited_table.hpp"

namespace concord::cuda {

/// Work of one warp, added to the task's counters at the end.
struct Tally {
  std::uint32_t distances = 0;
  std::uint32_t hops = 0;

  template <class Team>
  CONCORD_TEAM_INLINE void report(Team& team, Counters* counters) const {
    if (counters == nullptr || team.lane() != 0) return;
    team.add_counter(&counters->distances, distances);
    if (team.warp() == 0) team.add_counter(&counters->hops, hops);
  }
};

/// Shared memory of one beam search, cut up as the launch policy says.
struct BeamStorage {
  CandidateList list;
  KeyBatch batch;
  VisitedTable visited;
  float* query;
  NodeId* kept;
  std::uint32_t* alive;

  CONCORD_TEAM_INLINE BeamStorage(unsigned char* shared, const BeamLayout& layout)
      : list(reinterpret_cast<Key*>(shared), reinterpret_cast<Key*>(shared + layout.spare_list),
             layout.list_capacity),
        batch(reinterpret_cast<Key*>(shared + layout.batch_keys),
              reinterpret_cast<std::uint32_t*>(shared + layout.batch_positions),
              reinterpret_cast<BatchState*>(shared + layout.batch_states)),
        visited(reinterpret_cast<std::uint64_t*>(shared + layout.table), layout.table_log2),
        query(reinterpret_cast<float*>(shared + layout.query)),
        kept(reinterpret_cast<NodeId*>(shared + layout.kept)),
        alive(reinterpret_cast<std::uint32_t*>(shared + layout.alive)) {}

  /// Copies the query. To be followed by a sync.
  template <class Team>
  CONCORD_TEAM_INLINE void load_query(Team& team, const float* from, std::uint32_t quads) {
    for (std::uint32_t q = team.rank(); q < quads; q += Team::kThreads) {
      reinterpret_cast<Float4*>(query)[q] = team.load4(from + 4 * q);
    }
  }
};

/// Number of 32-element steps of a distance whose loads are in flight together.
inline constexpr std::uint32_t kBeamStage = 4;

/// Scores one or two of the warp's ids a group and hands each (distance, id) to `sink` in one lane.
template <bool kL2, std::uint32_t kEach, class Team, class Sink>
CONCORD_TEAM_INLINE void score_selected(Team& team, const MirrorView& view, const float* query,
                                        std::uint32_t mask, NodeId lane_id, Sink&& sink) {
  const std::uint32_t fallback = lowest_bit(mask);
  std::uint32_t left = drop_lowest<Team::kGroupsPerWarp - 1>(mask, team.group());
  const float* vectors[kEach];
  NodeId ids[kEach];
  bool wanted[kEach];
  CONCORD_UNROLL
  for (std::uint32_t e = 0; e < kEach; ++e) {
    wanted[e] = left != 0;
    ids[e] = team.shuffle(lane_id, wanted[e] ? lowest_bit(left) : fallback);
    vectors[e] = view.vector(ids[e]);
    left = drop_lowest<Team::kGroupsPerWarp>(left, Team::kGroupsPerWarp);
  }
  float distances[kEach];
  row_distances<kL2, kBeamStage, FromShared>(team, view.quads(), query, vectors, distances);
  if constexpr (kEach <= Team::kGroupSize) {
    // Lane e of the group takes distance e, so that the sinks run side by side.
    const bool second = kEach == 2 && team.group_lane() == 1;
    const bool mine = second ? wanted[kEach - 1] : team.group_lane() == 0 && wanted[0];
    if (mine) sink(second ? distances[kEach - 1] : distances[0], second ? ids[kEach - 1] : ids[0]);
  }
}

/// Scores the warp's ids whose bit is in `mask`.
template <bool kL2, class Team, class Sink>
CONCORD_TEAM_INLINE void score_ids(Team& team, const MirrorView& view, const float* query,
                                   std::uint32_t mask, NodeId lane_id, Sink&& sink) {
  while (mask != 0) {
    if constexpr (Team::kGroupSize > 1) {
      if (bit_count(mask) > Team::kGroupsPerWarp) {
        score_selected<kL2, 2>(team, view, query, mask, lane_id, sink);
        mask = drop_lowest<2 * Team::kGroupsPerWarp>(mask, 2 * Team::kGroupsPerWarp);
        continue;
      }
    }
    score_selected<kL2, 1>(team, view, query, mask, lane_id, sink);
    mask = drop_lowest<Team::kGroupsPerWarp>(mask, Team::kGroupsPerWarp);
  }
}

/// The slot of a row that a thread looks after first; neighbors stand at the front of a row, so
/// warps take turns.
template <class Team>
CONCORD_TEAM_INLINE NodeId load_slot(Team& team, const NodeId* row, std::uint32_t width,
                                     std::uint32_t base = 0) {
  const std::uint32_t slot = base + team.lane() * Team::kWarps + team.warp();
  return slot < width ? row[slot] : kNoNode;
}

/// Scores the neighbors in `row` for which `fresh` holds; `first_slot` is load_slot(row, width).
template <bool kL2, class Team, class Fresh, class Sink>
CONCORD_TEAM_INLINE void score_row_neighbors(Team& team, const MirrorView& view, const float* query,
                                             const NodeId* row, std::uint32_t width,
                                             NodeId first_slot, Tally& tally, Fresh&& fresh,
                                             Sink&& sink) {
  NodeId id = first_slot;
  for (std::uint32_t base = 0;;) {
    const std::uint32_t mask = team.ballot(id < kContinued && fresh(id));
    tally.distances += bit_count(mask);
    score_ids<kL2>(team, view, query, mask, id, sink);
    base += Team::kThreads;
    if (base >= width) break;
    id = load_slot(team, row, width, base);
  }
  ++tally.hops;
}

/// Distance of the query to one node, in every thread of the team.
template <bool kL2, class Team>
CONCORD_TEAM_INLINE Key score_one(Team& team, const MirrorView& view, const float* query,
                                  NodeId node, Tally& tally) {
  const float* const columns[1] = {view.vector(node)};
  float distances[1];
  row_distances<kL2, kBeamStage, FromShared>(team, view.quads(), query, columns, distances);
  tally.distances += team.warp() == 0 ? 1 : 0;
  return core::make_key(distances[0], node);
}

/// Moves to the closest neighbor until none is closer. REQUIRES a cleared batch and a sync before;
/// leaves them so.
template <bool kL2, class Team>
CONCORD_HD Key greedy_descent(Team& team, const MirrorView& view, std::uint32_t layer, Key current,
                              BeamStorage& storage, Tally& tally) {
  KeyBatch& batch = storage.batch;
  const std::uint32_t width = view.row_width(layer);
  for (;;) {
    Key best = current;
    for (const NodeId* row = view.row(core::key_id(current), layer); row != nullptr;
         row = view.continuation(row, layer)) {
      score_row_neighbors<kL2>(
          team, view, storage.query, row, width, load_slot(team, row, width), tally,
          [](NodeId) { return true; },
          [&](float distance, NodeId id) {
            const Key key = core::make_key(distance, id);
            if (key < current) batch.append(team, key, 0);
          });
      team.sync();
      for (std::uint32_t j = team.lane(); j < batch.size(); j += Team::kWarpSize) {
        if (batch.key(j) < best) best = batch.key(j);
      }
      batch.next(team);
      team.sync();
    }
    best = warp_min(team, best);
    if (best == current) return current;
    current = best;
  }
}

/// The reach of a beam search that ends only when its whole list is expanded.
struct UnlimitedReach {
  CONCORD_TEAM_INLINE bool ends(const CandidateList& /*list*/, Key /*closest*/) const {
    return false;
  }
};

/// That of an adaptive one (core::reach): it ends before the first candidate that is too far.
struct AdaptiveReach {
  std::uint32_t k;
  float factor;  ///< or core::kUnlimitedReach

  CONCORD_TEAM_INLINE bool ends(const CandidateList& list, Key closest) const {
    if (factor == core::kUnlimitedReach || list.count() < k) return false;
    return core::key_distance(closest) > core::reach(core::key_distance(list.key(k - 1)), factor);
  }
};

/// Fills the list with the closest nodes of the layer that a beam search from `start` finds within
/// `reach`. REQUIRES a cleared batch; leaves it so. The list may be read after return.
template <bool kL2, class Team, class Reach>
CONCORD_HD void beam_search(Team& team, const MirrorView& view, std::uint32_t layer, Key start,
                            const Reach& reach, BeamStorage& storage, Tally& tally) {
  CandidateList& list = storage.list;
  KeyBatch& batch = storage.batch;
  const std::uint32_t width = view.row_width(layer);
  list.assign(team, start);
  storage.visited.clear(team);
  team.sync();

  NodeId ready_node = kNoNode;  // whose row's slot is in ready_slot
  NodeId ready_slot = kNoNode;
  for (std::uint32_t from = 0;;) {
    const Frontier frontier = list.frontier(team, from);
    if (frontier.closest == list.count()) break;
    const Key closest = list.key(frontier.closest);
    if (reach.ends(list, closest)) break;
    const NodeId node = core::key_id(closest);
    const NodeId* row = view.row(node, layer);
    NodeId slot = node == ready_node ? ready_slot : load_slot(team, row, width);
    ready_node = kNoNode;
    if (frontier.second < list.count()) {
      ready_node = core::key_id(list.key(frontier.second));
      ready_slot = load_slot(team, view.row(ready_node, layer), width);
    }
    from = frontier.closest + 1;
    for (std::uint32_t expanded = frontier.closest;; expanded = list.count()) {
      score_row_neighbors<kL2>(
          team, view, storage.query, row, width, slot, tally,
          [&](NodeId id) { return !storage.visited.seen(team, id); },
          [&](float distance, NodeId id) {
            const Key key = core::make_key(distance, id);
            if (key >= list.worst()) return;
            bool is_new = false;
            list.offer(team, batch, key, is_new);
            if (is_new && layer == 0) team.prefetch(view.row(id, 0));
          });
      team.sync();
      list.merge(team, batch, expanded);
      if (batch.lowest() < from) from = batch.lowest();
      batch.next(team);
      team.sync();
      row = view.continuation(row, layer);
      if (row == nullptr) break;
      slot = load_slot(team, row, width);
    }
  }
}

}  // namespace concord::cuda
