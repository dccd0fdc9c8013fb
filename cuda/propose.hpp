// The proposal for one node: descent, beam searches, tail and neighbor selection, by a team.
//
// A pure function of (vectors, levels, sealed graph, node): see common/build/proposer.hpp.
// Distances to the tail, which all nodes of an epoch share, come from the distance kernel
// (distance_tile.hpp), which reads each vector once for several nodes; here they are only filtered
// and merged.
#pragma once

#include "cuda/living_ids.hpp"
#include "cuda/merge_distances.hpp"
#include "cuda/select_neighbors.hpp"

namespace concord::cuda {

/// The distances that propose_node(…) expects in task.tail_distances.
CONCORD_HD inline DistanceTask tail_distance_task(const MirrorView& view, const ProposeTask& task) {
  DistanceTask distances;
  distances.queries = view.vector(task.begin);
  distances.query_stride = view.stride;
  distances.query_count = task.end - task.begin;
  distances.first = task.sealed_end;
  distances.count = task.end - task.sealed_end;
  distances.out = task.tail_distances;
  distances.out_stride = tail_stride(task.sealed_end, task.end);
  distances.causal_begin = task.begin;
  return distances;
}

/// Adds the tail's nodes of a layer that `accept` accepts to the list.
template <class Team, class Accept>
CONCORD_TEAM_INLINE void merge_tail(Team& team, const MirrorView& view, const ProposeTask& task,
                                    NodeId node, std::uint32_t layer, const Accept& accept,
                                    BeamStorage& storage) {
  const float* const distances = task.tail_distances + static_cast<std::size_t>(node - task.begin) *
                                                           tail_stride(task.sealed_end, task.end);
  merge_distances(team, storage.list, storage.batch, distances, node - task.sealed_end,
                  task.sealed_end, [&](NodeId id) {
                    return !view.is_copy(id) && (layer == 0 || view.levels[id] >= layer) &&
                           accept(id);
                  });
}

/// Writes the empty lists of a copy.
template <class Team>
CONCORD_TEAM_INLINE void propose_nothing(Team& team, const MirrorView& view,
                                         const ProposeTask& task, std::uint32_t index) {
  const std::uint32_t end = task.first_list[index + 1] * view.M;
  for (std::uint32_t place = task.first_list[index] * view.M + team.rank(); place < end;
       place += Team::kThreads) {
    task.ids[place] = kNoNode;
  }
}

/// Writes the lists of node task.begin + index. `shared` has propose_layout(…).bytes and, where
/// some died, others_bytes(task.others) behind them.
template <bool kL2, bool kSomeDied, class Team>
CONCORD_HD void propose_node(Team& team, const MirrorView& mirror, const ProposeTask& task,
                             std::uint32_t index, unsigned char* shared, const BeamLayout& layout) {
  MirrorView view = mirror;
  view.has_continued = false;  // no sealed list is; said here, it makes the compiler drop that path
  const NodeId node = task.begin + index;
  if (view.is_copy(node)) return propose_nothing(team, view, task, index);
  const auto accept = living_ids<kSomeDied>(view, node + 1, task.others);
  BeamStorage storage(shared, layout, accept.others());
  Tally tally;
  const std::uint32_t level = view.levels[node];
  const bool has_sealed = task.entry.node != kNoNode;
  storage.load_query(team, view.vector(node), view.quads());
  storage.batch.clear(team);
  team.sync();

  Key current = kWorstKey;
  if (has_sealed) {
    current = score_one<kL2>(team, view, storage.query, task.entry.node, tally);
    for (std::uint32_t layer = task.entry.level; layer > level; --layer) {
      current = greedy_descent<kL2>(team, view, layer, current, storage, tally);
    }
  }
  for (std::uint32_t layer = level + 1; layer-- > 0;) {
    storage.list.clear();
    if (has_sealed && layer <= task.entry.level) {
      beam_search<kL2>(team, view, layer, current, core::UnlimitedReach{}, accept, storage, tally);
      if (!kSomeDied || storage.list.size() > 0) current = storage.list.key(0);
    }
    merge_tail(team, view, task, node, layer, accept, storage);
    NodeId* const out =
        task.ids + static_cast<std::size_t>(task.first_list[index] + layer) * view.M;
    NeighborSelection<kL2, Team>(team, view, storage, tally).run(view.M, out);
  }
  tally.report(team, task.counters);
}

}  // namespace concord::cuda
