// Scores one list that a seal must cut: order by distance and pairwise domination, by a team.
// The result's definition is core::ListScores.
#pragma once

#include <cmath>

#include "cuda/beam_search.hpp"

namespace concord::cuda {

/// Shared memory of a list being scored.
struct ScoreStorage {
  Key* keys;            ///< by place in the list, then by (distance, id)
  std::uint32_t* bits;  ///< [count × 2·words]: dominators, lower half of a word first

  CONCORD_TEAM_INLINE ScoreStorage(unsigned char* shared, const ScoreLayout& layout)
      : keys(reinterpret_cast<Key*>(shared)),
        bits(reinterpret_cast<std::uint32_t*>(shared + layout.bits)) {}
};

/// Distances of the list's node to its neighbors, two a group at a time.
template <bool kL2, class Team>
CONCORD_TEAM_INLINE void score_to_node(Team& team, const MirrorView& view, const ScoreTask& task,
                                       const core::OverfullList& list, Key* keys) {
  const float* const node = view.vector(list.node);
  for (std::uint32_t of_warp = team.warp() * Team::kGroupsPerWarp; of_warp < list.count;
       of_warp += 2 * Team::kGroups) {
    NodeId ids[2];
    const float* columns[2];
    float distances[2];
    CONCORD_UNROLL
    for (std::uint32_t e = 0; e < 2; ++e) {
      const std::uint32_t j = of_warp + team.group() + e * Team::kGroups;
      ids[e] = task.ids[list.first + (j < list.count ? j : list.count - 1)];
      columns[e] = view.vector(ids[e]);
    }
    row_distances<kL2, kPairStage, FromGlobal>(team, view.quads(), node, columns, distances);
    CONCORD_UNROLL
    for (std::uint32_t e = 0; e < 2; ++e) {
      const std::uint32_t j = of_warp + team.group() + e * Team::kGroups;
      if (team.group_lane() == 0 && j < list.count) keys[j] = core::make_key(distances[e], ids[e]);
    }
  }
}

/// Tile t of the upper triangle of tiles (row ≤ column), column by column.
CONCORD_TEAM_INLINE void tile_of(std::uint32_t t, std::uint32_t& row, std::uint32_t& column) {
  column = static_cast<std::uint32_t>((sqrtf(8.0f * static_cast<float>(t) + 1.0f) - 1.0f) * 0.5f);
  while (column * (column + 1) / 2 > t) --column;
  while ((column + 1) * (column + 2) / 2 <= t) ++column;
  row = t - column * (column + 1) / 2;
}

/// Pairwise distances of 4 × 4 neighbors by a group; sets the bits of those that dominate.
template <bool kL2, class Team>
CONCORD_TEAM_INLINE void score_tile(Team& team, const MirrorView& view, std::uint32_t count,
                                    std::uint32_t words, std::uint32_t tile,
                                    const ScoreStorage& storage) {
  std::uint32_t tile_row, tile_column;
  tile_of(tile, tile_row, tile_column);
  const float* rows[kTileRows];
  const float* columns[kTileColumns];
  CONCORD_UNROLL
  for (std::uint32_t j = 0; j < 4; ++j) {
    const std::uint32_t a = 4 * tile_row + j, b = 4 * tile_column + j;
    rows[j] = view.vector(core::key_id(storage.keys[a < count ? a : count - 1]));
    columns[j] = view.vector(core::key_id(storage.keys[b < count ? b : count - 1]));
  }
  QuadSums<Team, kTileRows * kTileColumns> sums;
  accumulate_tile<kL2, 1, FromGlobal>(team, view.quads(), rows, columns, sums);
  const auto mine = reduce_scattered<kL2>(team, sums);
  const std::uint32_t first_pair = mine.first_pair(team);
  CONCORD_UNROLL
  for (std::uint32_t j = 0; j < mine.kPerLane; ++j) {
    const std::uint32_t a = 4 * tile_row + (first_pair + j) / kTileColumns;
    const std::uint32_t b = 4 * tile_column + (first_pair + j) % kTileColumns;
    if (a < b && b < count && mine.distance[j] < core::key_distance(storage.keys[b])) {
      team.atomic_or(&storage.bits[b * 2 * words + a / 32], 1u << (a % 32));
    }
  }
}

/// Scores list `index` of the task. `shared` has score_layout(words).bytes.
template <bool kL2, class Team>
CONCORD_HD void score_list(Team& team, const MirrorView& view, const ScoreTask& task,
                           std::uint32_t index, unsigned char* shared, const ScoreLayout& layout) {
  const ScoreStorage storage(shared, layout);
  const core::OverfullList list = task.lists[index];
  const std::uint32_t count = list.count;
  score_to_node<kL2>(team, view, task, list, storage.keys);
  for (std::uint32_t w = team.rank(); w < count * 2 * task.words; w += Team::kThreads) {
    storage.bits[w] = 0;
  }
  team.sync();
  team.template sort<kMaxListCapacity>(
      storage.keys, count, [&](std::uint32_t place, std::uint32_t from) {
        task.ranking[list.first + place] = static_cast<std::uint8_t>(from);
      });
  team.sync();
  const std::uint32_t side = (count + 3) / 4;
  const std::uint32_t tiles = side * (side + 1) / 2;
  for (std::uint32_t of_warp = team.warp() * Team::kGroupsPerWarp; of_warp < tiles;
       of_warp += Team::kGroups) {
    const std::uint32_t tile = of_warp + team.group();
    score_tile<kL2>(team, view, count, task.words, tile < tiles ? tile : tiles - 1, storage);
  }
  team.sync();
  std::uint64_t* const out = task.dominators + static_cast<std::size_t>(list.first) * task.words;
  for (std::uint32_t w = team.rank(); w < count * task.words; w += Team::kThreads) {
    out[w] = storage.bits[2 * w] | static_cast<std::uint64_t>(storage.bits[2 * w + 1]) << 32;
  }
  if (task.counters != nullptr && team.rank() == 0) {
    team.add_counter(&task.counters->distances, count + count * (count - 1) / 2);
  }
}

}  // namespace concord::cuda
