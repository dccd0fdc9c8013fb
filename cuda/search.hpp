// Search of the mirror for one query, by a team: the walk of Malkov & Yashunin, Algorithm 5.
#pragma once

#include "common/search/results.hpp"
#include "cuda/beam_search.hpp"
#include "cuda/living_ids.hpp"

namespace concord::cuda {

/// Collects the results of query `index`. `shared` has beam_layout(ef, …).bytes and, unless
/// all ids are accepted by their type, merge_layout(accept.others()).bytes behind them.
template <bool kL2, class Team, class Accept, class Results>
CONCORD_HD void search_query(Team& team, const MirrorView& view, const SearchTask& task,
                             const Accept& accept, const Results& results, std::uint32_t index,
                             unsigned char* shared, const BeamLayout& layout) {
  BeamStorage storage(shared, layout, accept.others());
  Tally tally;
  storage.load_query(team, task.queries + static_cast<std::size_t>(index) * task.query_stride,
                     view.quads());
  storage.batch.clear(team);
  team.sync();
  if (task.entry.node != kNoNode) {
    const Key current = descend<kL2>(team, view, task.entry, storage, tally);
    const core::AdaptiveReach reach{task.k, task.reach_factor};
    beam_search<kL2>(team, view, 0, current, reach, accept, storage, tally);
  }
  results.collect(index, storage.list, team.rank(), Team::kThreads);
  tally.report(team, task.counters);
}

/// What the kernel does: the k nearest of all ids that live.
template <bool kL2, bool kSomeDied, class Team>
CONCORD_HD void search_query(Team& team, const MirrorView& view, const SearchTask& task,
                             std::uint32_t index, unsigned char* shared, const BeamLayout& layout) {
  const core::KNearest results{task.k, task.out, task.counts};
  search_query<kL2>(team, view, task, living_ids<kSomeDied>(view, view.n, task.others), results,
                    index, shared, layout);
}

}  // namespace concord::cuda
