// Greedy descent and beam search in one layer of the mirror, by a team.
//
// A hop costs two syncs. Each warp takes every kWarps-th slot of the neighbor list, drops the
// visited ids by ballot and scores the rest, two vectors a group at a time with all their loads in
// flight. Keys below the candidate list's worst go to the batch with their position in that list. A
// binary search finds the position, and drops nodes that the visited table forgot. After the first
// sync all threads merge the batch; after the second they look for the next entry to expand. The
// links of the runner-up are loaded early, and those of new entries are prefetched into L2.
#pragma once

#include "common/search/reach.hpp"
#include "cuda/candidates.hpp"
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

/// Copies a query to shared memory. To be followed by a sync.
template <class Team>
CONCORD_TEAM_INLINE void load_query(Team& team, float* to, const float* from, std::uint32_t quads) {
  for (std::uint32_t q = team.rank(); q < quads; q += Team::kThreads) {
    reinterpret_cast<Float4*>(to)[q] = team.load4(from + 4 * q);
  }
}

/// Shared memory of one beam search, cut up as the launch policy says.
struct BeamStorage : ListStorage {
  VisitedTable visited;
  float* query;
  NodeId* kept;
  std::uint32_t* alive;
  ListStorage others;  ///< of ids that may not be results; after the layout's bytes

  /// `capacity_of_others` 0: the search needs none.
  CONCORD_TEAM_INLINE BeamStorage(unsigned char* shared, const BeamLayout& layout,
                                  std::uint32_t capacity_of_others = 0)
      : ListStorage(shared, layout),
        visited(reinterpret_cast<std::uint64_t*>(shared + layout.table), layout.table_log2),
        query(reinterpret_cast<float*>(shared + layout.query)),
        kept(reinterpret_cast<NodeId*>(shared + layout.kept)),
        alive(reinterpret_cast<std::uint32_t*>(shared + layout.alive)),
        others(shared + layout.bytes, merge_layout(capacity_of_others)) {}

  /// Copies the query. To be followed by a sync.
  template <class Team>
  CONCORD_TEAM_INLINE void load_query(Team& team, const float* from, std::uint32_t quads) {
    cuda::load_query(team, query, from, quads);
  }
};

CONCORD_TEAM_INLINE Candidates candidates_of(const core::AllIds& /*accept*/, BeamStorage& storage) {
  return Candidates(storage);
}
template <class Accept>
CONCORD_TEAM_INLINE SplitCandidates<Accept> candidates_of(const Accept& accept,
                                                          BeamStorage& storage) {
  return SplitCandidates<Accept>(accept, storage, storage.others);
}

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

/// The id in the slot of a neighbor list that a thread takes first. Ids are at the front of a list,
/// so warps take turns.
template <class Team>
CONCORD_TEAM_INLINE NodeId load_slot(Team& team, const NodeId* links, std::uint32_t width,
                                     std::uint32_t base = 0) {
  const std::uint32_t slot = base + team.lane() * Team::kWarps + team.warp();
  return slot < width ? links[slot] : kNoNode;
}

/// Scores the ids in `links` for which `fresh` holds; `first_slot` is load_slot(links, width).
template <bool kL2, class Team, class Fresh, class Sink>
CONCORD_TEAM_INLINE void score_neighbors(Team& team, const MirrorView& view, const float* query,
                                         const NodeId* links, std::uint32_t width,
                                         NodeId first_slot, Tally& tally, Fresh&& fresh,
                                         Sink&& sink) {
  NodeId id = first_slot;
  for (std::uint32_t base = 0;;) {
    const std::uint32_t mask = team.ballot(id < kContinued && fresh(id));
    tally.distances += bit_count(mask);
    score_ids<kL2>(team, view, query, mask, id, sink);
    base += Team::kThreads;
    if (base >= width) break;
    id = load_slot(team, links, width, base);
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
  const std::uint32_t width = view.list_width(layer);
  for (;;) {
    Key best = current;
    for (const NodeId* links = view.links_of(core::key_id(current), layer); links != nullptr;
         links = view.continuation(links, layer)) {
      score_neighbors<kL2>(
          team, view, storage.query, links, width, load_slot(team, links, width), tally,
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
    best = team.min(best);
    if (best == current) return current;
    current = best;
  }
}

/// The descent through the upper layers to the closest node found above layer 0. REQUIRES a cleared
/// batch and a sync before; leaves both so.
template <bool kL2, class Team>
CONCORD_HD Key descend(Team& team, const MirrorView& view, const EntryView& entry,
                       BeamStorage& storage, Tally& tally) {
  Key current = score_one<kL2>(team, view, storage.query, entry.node, tally);
  for (std::uint32_t layer = entry.level; layer > 0; --layer) {
    current = greedy_descent<kL2>(team, view, layer, current, storage, tally);
  }
  return current;
}

/// Fills the list with the closest nodes of the layer that a beam search from `start` finds within
/// `reach` and that `accept` accepts. REQUIRES an empty list, a cleared batch and room for
/// accept.others(); leaves the batch cleared. The list may be read after return.
template <bool kL2, class Team, class Reach, class Accept>
CONCORD_HD void beam_search(Team& team, const MirrorView& view, std::uint32_t layer, Key start,
                            const Reach& reach, const Accept& accept, BeamStorage& storage,
                            Tally& tally) {
  auto candidates = candidates_of(accept, storage);
  const std::uint32_t width = view.list_width(layer);
  candidates.assign(team, start);
  storage.visited.clear(team);
  team.sync();

  NodeId ready_node = kNoNode;  // whose slot is in ready_slot
  NodeId ready_slot = kNoNode;
  for (;;) {
    candidates.look(team);
    if (candidates.is_done()) break;
    const Key closest = candidates.closest();
    if (reach.ends(storage.list, closest)) break;
    const NodeId node = core::key_id(closest);
    const NodeId* links = view.links_of(node, layer);
    NodeId slot = node == ready_node ? ready_slot : load_slot(team, links, width);
    ready_node = kNoNode;
    if (candidates.has_runner_up()) {
      ready_node = candidates.runner_up();
      ready_slot = load_slot(team, view.links_of(ready_node, layer), width);
    }
    candidates.expand();
    for (;;) {
      score_neighbors<kL2>(
          team, view, storage.query, links, width, slot, tally,
          [&](NodeId id) { return !storage.visited.seen(team, id); },
          [&](float distance, NodeId id) {
            const Key key = core::make_key(distance, id);
            if (!candidates.admits(key)) return;
            if (candidates.offer(team, key) && layer == 0) team.prefetch(view.links_of(id, 0));
          });
      team.sync();
      candidates.merge(team);
      team.sync();
      links = view.continuation(links, layer);
      if (links == nullptr) break;
      slot = load_slot(team, links, width);
    }
  }
}

}  // namespace concord::cuda
