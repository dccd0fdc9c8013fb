// Exact distances for what a walk by estimates has found (common/store/scalar_code.hpp).
// Thread-safety: one Scratch per thread.
#pragma once

#include <algorithm>
#include <cstddef>

#include "cpu/beam_search.hpp"

namespace concord::cpu {

/// Keeps the first `most` candidates of scratch.list, which is ordered by estimates, and orders
/// them by distances to the query.
inline void rescore(const Scorer& scorer, const Query& query, std::size_t most, Scratch& scratch) {
  const std::size_t n = std::min(most, scratch.list.size());
  scratch.keys.resize(n);
  for (std::size_t first = 0; first < n; first += scratch.ids.size()) {
    const std::size_t count = std::min(scratch.ids.size(), n - first);
    for (std::size_t j = 0; j < count; ++j) {
      scratch.ids[j] = core::key_id(scratch.list.key(first + j));
      scorer.prefetch(scratch.ids[j]);
    }
    scorer.score_few(query, scratch.ids.data(), count, scratch.distances.data(), scratch.rows);
    for (std::size_t j = 0; j < count; ++j) {
      scratch.keys[first + j] = core::make_key(scratch.distances[j], scratch.ids[j]);
    }
  }
  scratch.counts.distances += n;
  scratch.counts.rescored += n;
  std::sort(scratch.keys.begin(), scratch.keys.end());
  scratch.list.assign(scratch.keys);
}

}  // namespace concord::cpu
