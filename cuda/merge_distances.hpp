// Merges many precomputed distances into a candidate list: tails of proposals, exact search.
//
// Each thread walks its own share of the distances and offers those that beat the list's worst. If
// the batch is full, the thread waits until the batch is merged and goes on with the better worst.
// So a stretch without candidates costs no sync, and one in which all pass costs one merge per full
// batch. A sort of CUB would move 8 bytes a distance several times; this reads 4 once.
#pragma once

#include "cuda/candidate_list.hpp"

namespace concord::cuda {

/// Offers (distances[j], first + j), j < n, for which `accept(id)` holds. `distances` is 16-byte
/// aligned and readable up to whole 16 bytes. REQUIRES a cleared batch and a sync before; leaves
/// both so. The list holds none of the ids.
template <class Team, class Accept>
CONCORD_HD void merge_distances(Team& team, CandidateList& list, KeyBatch& batch,
                                const float* distances, std::uint32_t n, NodeId first,
                                Accept&& accept) {
  const std::uint32_t quads = (n + 3) / 4;
  std::uint32_t quad = team.rank();
  std::uint32_t todo = 0xF;  // elements of the quad not yet dealt with
  for (;;) {
    const Key worst = list.worst();
    bool full = false;
    while (quad < quads) {
      const Float4 four = team.load4(distances + std::size_t{quad} * 4);
      const float values[4] = {four.x, four.y, four.z, four.w};
      CONCORD_UNROLL
      for (std::uint32_t e = 0; e < 4; ++e) {
        const NodeId id = first + quad * 4 + e;
        const Key key = core::make_key(values[e], id);
        if ((todo >> e & 1) == 0 || quad * 4 + e >= n || key >= worst || !accept(id)) continue;
        bool is_new = false;
        if (list.offer(team, batch, key, is_new)) {
          todo &= ~(1u << e);
        } else {
          full = true;
        }
      }
      if (full) break;
      quad += Team::kThreads;
      todo = 0xF;
    }
    const bool again = team.any(full);
    const bool changed = batch.size() != 0;
    if (changed) {
      list.merge(team, batch, list.size());
      batch.next(team);
      team.sync();
    }
    if (!again) return;
  }
}

}  // namespace concord::cuda
