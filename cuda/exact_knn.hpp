// Exact nearest neighbors: a tile of distances (distance_tile.hpp), then one merge a query.
//
// The vectors are gone through in stretches; out[query] carries the k nearest so far from one to
// the next, and its worst is the filter, so a distance is touched once after it was written.
#pragma once

#include "cuda/beam_search.hpp"
#include "cuda/living_ids.hpp"
#include "cuda/merge_distances.hpp"

namespace concord::cuda {

/// A stretch of the exact search: queries [first_query, +query_count) × vectors [first, +count).
struct ExactStretch {
  std::uint32_t first_query = 0;
  std::uint32_t query_count = 0;
  NodeId first = 0;
  std::uint32_t count = 0;
  std::uint32_t out_stride = 0;  ///< of the scratch
};

/// Calls f(stretch) for the stretches of a task in order, while it returns true.
template <class F>
bool for_each_stretch(const ExactTask& task, NodeId n, F&& f) {
  const ExactTile tile = exact_tile(task.count, n, task.scratch_floats);
  for (std::uint32_t query = 0; query < task.count; query += tile.queries) {
    ExactStretch stretch;
    stretch.first_query = query;
    stretch.query_count = task.count - query < tile.queries ? task.count - query : tile.queries;
    stretch.out_stride = tile.vectors;
    // An index without vectors still has answers to write: none found.
    do {
      stretch.count = n - stretch.first < tile.vectors ? n - stretch.first : tile.vectors;
      if (!f(stretch)) return false;
      stretch.first += stretch.count;
    } while (stretch.first < n);
  }
  return true;
}

CONCORD_HD inline DistanceTask exact_distance_task(const ExactTask& task,
                                                   const ExactStretch& stretch) {
  DistanceTask distances;
  distances.queries =
      task.queries + static_cast<std::size_t>(stretch.first_query) * task.query_stride;
  distances.query_stride = task.query_stride;
  distances.query_count = stretch.query_count;
  distances.first = stretch.first;
  distances.count = stretch.count;
  distances.out = task.scratch;
  distances.out_stride = stretch.out_stride;
  return distances;
}

/// How many of `n` ascending keys are no kWorstKey.
CONCORD_TEAM_INLINE std::uint32_t count_found(const Key* keys, std::uint32_t n) {
  std::uint32_t first = 0;
  while (first < n) {
    const std::uint32_t middle = first + (n - first) / 2;
    if (keys[middle] == kWorstKey) {
      n = middle;
    } else {
      first = middle + 1;
    }
  }
  return first;
}

/// Merges the living nodes of the stretch into the nearest so far of one of its queries. `shared`
/// has merge_layout(k).bytes.
template <bool kSomeDied, class Team>
CONCORD_HD void exact_merge(Team& team, const MirrorView& view, const ExactTask& task,
                            const ExactStretch& stretch, std::uint32_t index, unsigned char* shared,
                            const BeamLayout& layout) {
  auto [list, batch] = ListStorage(shared, layout);
  Key* const out = task.out + static_cast<std::size_t>(stretch.first_query + index) * task.k;
  const std::uint32_t most = stretch.first < task.k ? stretch.first : task.k;
  list.assign(team, out, count_found(out, most));
  batch.clear(team);
  team.sync();
  const auto lives = living_ids<kSomeDied>(view, view.n, 0);
  merge_distances(
      team, list, batch, task.scratch + static_cast<std::size_t>(index) * stretch.out_stride,
      stretch.count, stretch.first, [&](NodeId id) { return !view.is_copy(id) && lives(id); });
  for (std::uint32_t j = team.rank(); j < task.k; j += Team::kThreads) {
    out[j] = j < list.size() ? list.key(j) : kWorstKey;
  }
}

}  // namespace concord::cuda
