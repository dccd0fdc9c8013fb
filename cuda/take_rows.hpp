// Vectors in the caller's device memory, brought to the layout of the mirror and of queries: padded
// with zeros and, for cosine, normalised, to the bit as VectorStore writes them on the host.
//
// The squared norm is summed in double and in order by one thread a row: the product of two floats
// is exact in double, and sums, divisions and roots of doubles are rounded the same everywhere. So
// CUB, which adds in another order, does not sum them.
#pragma once

#include <cmath>
#include <cstring>

#include "cuda/launch_policy.hpp"
#include "cuda/team.hpp"
#include "cuda/views.hpp"

namespace concord::cuda {

/// Whether all elements are so small that no row can be refused: nearly always, if they were
/// looked at. Rounding adds less than the factor 2 leaves.
CONCORD_TEAM_INLINE bool all_are_small(const TakeTask& task) {
  if (task.largest == nullptr) return false;
  float largest;
  memcpy(&largest, task.largest, sizeof largest);
  const double square = static_cast<double>(largest) * static_cast<double>(largest);
  return 2.0 * task.dimension * square <= task.most_squared_norm;
}

/// The factor that normalises the row; −1 if the row must be refused.
CONCORD_TEAM_INLINE double row_scale(const TakeTask& task, std::uint32_t row) {
  const float* const from = task.from + row * task.from_stride;
  double squared_norm = 0;
  for (std::uint32_t e = 0; e < task.dimension; ++e) {
    squared_norm += static_cast<double>(from[e]) * static_cast<double>(from[e]);
  }
  if (!(squared_norm <= task.most_squared_norm)) return -1;
  return squared_norm > 0 ? 1 / std::sqrt(squared_norm) : 0;
}

/// The block's share: kTakenRows rows. `scales` is shared memory for as many.
template <class Team>
CONCORD_HD void take_rows_block(Team& team, const TakeTask& task, std::uint32_t block,
                                double* scales) {
  const std::uint32_t first = block * kTakenRows;
  const std::uint32_t count = task.count - first < kTakenRows ? task.count - first : kTakenRows;
  const bool scaled = task.normalise || (task.refused != nullptr && !all_are_small(task));
  if (scaled) {
    for (std::uint32_t r = team.rank(); r < count; r += Team::kThreads) {
      scales[r] = row_scale(task, first + r);
      if (task.refused != nullptr && scales[r] < 0) *task.refused = 1;
    }
    team.sync();
  }
  for (std::uint32_t p = team.rank(); p < count * task.stride; p += Team::kThreads) {
    const std::uint32_t r = p / task.stride;
    const std::uint32_t e = p % task.stride;
    const bool kept = e < task.dimension && !(scaled && scales[r] < 0);
    float value = kept ? task.from[(first + r) * task.from_stride + e] : 0;
    if (kept && task.normalise) {
      value = static_cast<float>(static_cast<double>(value) * scales[r]);
    }
    task.to[(static_cast<std::size_t>(first) + r) * task.stride + e] = value;
  }
}

}  // namespace concord::cuda
