// Search of the mirror for one query, by a team: the walk of Malkov & Yashunin, Algorithm 5.
#pragma once

#include "cuda/beam_search.hpp"

namespace concord::cuda {

/// Writes the k nearest keys found for query `index` and their number. `shared` has
/// beam_layout(ef, …).bytes.
template <bool kL2, class Team>
CONCORD_HD void search_query(Team& team, const MirrorView& view, const SearchTask& task,
                             std::uint32_t index, unsigned char* shared, const BeamLayout& layout) {
  BeamStorage storage(shared, layout);
  Tally tally;
  storage.load_query(team, task.queries + static_cast<std::size_t>(index) * task.query_stride,
                     view.quads());
  storage.batch.clear(team);
  team.sync();
  if (task.entry.node != kNoNode) {
    Key current = score_one<kL2>(team, view, storage.query, task.entry.node, tally);
    for (std::uint32_t layer = task.entry.level; layer > 0; --layer) {
      current = greedy_descent<kL2>(team, view, layer, current, storage, tally);
    }
    const AdaptiveReach reach{task.k, task.reach_factor};
    beam_search<kL2>(team, view, 0, current, reach, storage, tally);
  }
  const std::uint32_t found = storage.list.count() < task.k ? storage.list.count() : task.k;
  Key* const out = task.out + static_cast<std::size_t>(index) * task.k;
  for (std::uint32_t j = team.rank(); j < task.k; j += Team::kThreads) {
    out[j] = j < found ? storage.list.key(j) : kWorstKey;
  }
  if (team.rank() == 0) task.counts[index] = found;
  tally.report(team, task.counters);
}

}  // namespace concord::cuda
