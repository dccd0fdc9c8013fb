// How far a beam search goes: to the end of its candidate list, or adaptively (Al-Jazzazi et al.,
// "Distance Adaptive Beam Search for Provably Accurate Graph-Based Nearest Neighbor Search", arXiv
// 2505.15636, section 3). The CPU and a device use this one definition, so both end at the same
// candidate. A List has size() and key(i), in order, without marks.
// Thread-safety: pure functions.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "common/base/key.hpp"

namespace concord::core {

/// The factor of a search that only its list ends.
inline constexpr float kUnlimitedReach = std::numeric_limits<float>::infinity();

/// What (1 + slack) is for stored distances, which go with the square of the Euclidean.
inline float reach_factor(float slack) noexcept { return (1.0f + slack) * (1.0f + slack); }

/// The greatest distance that is still expanded, at least `kth` itself: that of a vector to its
/// equal may be a rounding below zero. REQUIRES a factor ≥ 1 that is not kUnlimitedReach.
CONCORD_HD inline float reach(float kth, float factor) noexcept {
  return kth < 0.0f ? 0.0f : kth * factor;
}

/// The reach of a beam search that ends only when its whole list is expanded.
struct UnlimitedReach {
  /// Hops to be expected of a search of width `ef`.
  [[nodiscard]] static std::size_t hops(std::size_t ef) noexcept { return ef; }
  template <class List>
  [[nodiscard]] CONCORD_HD static bool ends(const List& /*list*/, Key /*closest*/) noexcept {
    return false;
  }
  template <class List>
  [[nodiscard]] static float narrow(const List& /*list*/, float worst) noexcept {
    return worst;
  }
};

/// That of an adaptive beam search: no candidate farther than (1 + slack) times the k-th nearest
/// found is expanded. That distance only shrinks, so none of them need be kept.
struct AdaptiveReach {
  std::uint32_t k;
  float factor;  ///< reach_factor(slack)

  /// Hops to be expected of a search of width `ef`.
  [[nodiscard]] std::size_t hops(std::size_t ef) const noexcept {
    return std::min(ef, 4 * std::size_t{k});
  }
  /// Whether the search ends before `closest`, the closest candidate that is not expanded.
  template <class List>
  [[nodiscard]] CONCORD_HD bool ends(const List& list, Key closest) const noexcept {
    if (factor == kUnlimitedReach || list.size() < k) return false;
    return key_distance(closest) > reach(key_distance(list.key(k - 1)), factor);
  }
  /// The distance beyond which no candidate need enter a list with a worst distance of `worst`.
  template <class List>
  [[nodiscard]] float narrow(const List& list, float worst) const noexcept {
    if (factor == kUnlimitedReach || list.size() < k) return worst;
    return std::min(worst, reach(key_distance(list.key(k - 1)), factor));
  }
};

/// The least slack, from `least` on, with which an adaptive beam search expands a candidate at the
/// distance `closest` while its k-th nearest is at `kth`; infinity if only an unlimited one does.
/// The reach does not shrink with the slack, so a bisection of floats finds it. REQUIRES least ≥ 0.
inline float least_slack(float closest, float kth, float least) noexcept {
  const auto is_unlimited = [](float slack) { return reach_factor(slack) == kUnlimitedReach; };
  const auto expands = [&](float slack) {
    return is_unlimited(slack) || !(closest > reach(kth, reach_factor(slack)));
  };
  if (expands(least)) return least;
  auto below = std::bit_cast<std::uint32_t>(least);
  auto enough = std::bit_cast<std::uint32_t>(kUnlimitedReach);
  while (enough - below > 1) {
    const std::uint32_t middle = below + (enough - below) / 2;
    (expands(std::bit_cast<float>(middle)) ? enough : below) = middle;
  }
  const auto found = std::bit_cast<float>(enough);
  return is_unlimited(found) ? kUnlimitedReach : found;
}

}  // namespace concord::core
