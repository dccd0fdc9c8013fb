// Distances of many queries to a stretch of vectors: tails of an epoch, exact search.
//
// A matrix product in the canonical order: a group of 8 threads holds the accumulators of 4 × 4
// pairs, so each piece it loads is used four times; the groups of a warp share the queries and the
// warps of a block share the vectors, which the first-level cache serves. The last step scatters
// the reduction over the lanes. Distances go to memory (4 bytes a pair, against 4 × dimension read
// without tiling); what is near enough is picked later, by merge_distances.
#pragma once

#include "cuda/device_distance.hpp"
#include "cuda/launch_policy.hpp"
#include "cuda/views.hpp"

namespace concord::cuda {

/// Queries a block serves.
template <class Team>
inline constexpr std::uint32_t kQueriesPerBlock = kTileRows* Team::kWarps;

/// 16 distances of one group: queries [query, query + 4) × vectors [vector, vector + 4).
template <bool kL2, class Team>
CONCORD_TEAM_INLINE void distance_group(Team& team, const MirrorView& view,
                                        const DistanceTask& task, std::uint32_t query,
                                        std::uint32_t vector) {
  const float* rows[kTileRows];
  const float* columns[kTileColumns];
  CONCORD_UNROLL
  for (std::uint32_t r = 0; r < kTileRows; ++r) {
    const std::uint32_t q = query + r < task.query_count ? query + r : task.query_count - 1;
    rows[r] = task.queries + static_cast<std::size_t>(q) * task.query_stride;
  }
  CONCORD_UNROLL
  for (std::uint32_t c = 0; c < kTileColumns; ++c) {
    columns[c] = view.vector(task.first + (vector + c < task.count ? vector + c : task.count - 1));
  }
  QuadSums<Team, kTileRows * kTileColumns> sums;
  accumulate_tile<kL2, 1, FromGlobal>(team, view.quads(), rows, columns, sums);
  const auto mine = reduce_scattered<kL2>(team, sums);
  const std::uint32_t first_pair = mine.first_pair(team);
  CONCORD_UNROLL
  for (std::uint32_t j = 0; j < mine.kPerLane; ++j) {
    const std::uint32_t q = query + (first_pair + j) / kTileColumns;
    const std::uint32_t v = vector + (first_pair + j) % kTileColumns;
    if (q < task.query_count && v < task.count) {
      task.out[static_cast<std::size_t>(q) * task.out_stride + v] = mine.distance[j];
    }
  }
}

/// The block's share: kQueriesPerBlock queries × kVectorsPerBlock vectors.
template <bool kL2, class Team>
CONCORD_HD void distance_block(Team& team, const MirrorView& view, const DistanceTask& task,
                               std::uint32_t query_block, std::uint32_t vector_block) {
  const std::uint32_t first_query = query_block * kQueriesPerBlock<Team>;
  const std::uint32_t first_vector = vector_block * kVectorsPerBlock;
  if (task.causal_begin != kNoNode) {
    const std::uint32_t end = first_query + kQueriesPerBlock<Team>;
    const std::uint32_t last = (end < task.query_count ? end : task.query_count) - 1;
    if (task.first + first_vector >= task.causal_begin + last) return;
  }
  const std::uint32_t query = first_query + team.warp() * kTileRows;
  if (query >= task.query_count) return;
  for (std::uint32_t step = 0; step < kVectorsPerBlock && first_vector + step < task.count;
       step += Team::kGroupsPerWarp * kTileColumns) {
    distance_group<kL2>(team, view, task, query, first_vector + step + team.group() * kTileColumns);
  }
}

}  // namespace concord::cuda
