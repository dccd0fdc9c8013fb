// How far an adaptive beam search goes (Al-Jazzazi et al., "Distance Adaptive Beam Search for
// Provably Accurate Graph-Based Nearest Neighbor Search", arXiv 2505.15636, section 3): on the CPU
// and on a device the same products, so that both end at the same candidate.
// Thread-safety: pure functions.
#pragma once

#include <limits>

#include "common/key.hpp"

namespace concord::core {

/// The factor of a search that only its list ends.
inline constexpr float kUnlimitedReach = std::numeric_limits<float>::infinity();

/// What (1 + slack) is for stored distances, which go with the square of the Euclidean.
inline float reach_factor(float slack) noexcept { return (1.0f + slack) * (1.0f + slack); }

/// The greatest distance that is still expanded, at least `kth` itself: that of a vector to its
/// equal may be a rounding below zero. REQUIRES a factor ≥ 1,
/// not kUnlimitedReach.
CONCORD_HD inline float reach(float kth, float factor) noexcept {
  return kth < 0.0f ? 0.0f : kth * factor;
}

}  // namespace concord::core
