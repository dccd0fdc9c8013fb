// The nearest of several sorted lists: merging what independent graphs found.
//
// An id is the number of a vector in its own list alone, so ties are decided by a number that is
// the same for all lists, the vector's position. Thread-safety: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "common/base/key.hpp"

namespace concord::core {

/// A vector that one list holds, as all lists name it.
struct Hit {
  std::uint64_t label = 0;
  std::uint64_t position = 0;
  std::uint32_t distance = 0;  ///< its ordered bits: the high half of a Key

  /// By (distance, position).
  [[nodiscard]] bool comes_before(const Hit& other) const noexcept {
    return distance != other.distance ? distance < other.distance : position < other.position;
  }
};

/// As the metric defines it.
inline float distance_of(const Hit& hit) noexcept { return key_distance(Key{hit.distance} << 32); }

/// Calls take(hit) for the hits of all lists by (distance, position), nearest first, until `most`
/// of them were taken; take tells whether it takes one. Returns how many it were. Each list is
/// sorted so, and is used up. O(lists) comparisons a hit: fewer than the distances that the lists
/// took, for each holds its own nearest.
template <class Take>
std::size_t merge_nearest(std::span<std::span<const Hit>> lists, std::size_t most,
                          const Take& take) {
  std::size_t taken = 0;
  while (taken < most) {
    std::span<const Hit>* nearest = nullptr;
    for (std::span<const Hit>& list : lists) {
      if (list.empty()) continue;
      if (nearest == nullptr || list.front().comes_before(nearest->front())) nearest = &list;
    }
    if (nearest == nullptr) break;
    const Hit& hit = nearest->front();
    *nearest = nearest->subspan(1);
    if (take(hit)) ++taken;
  }
  return taken;
}

}  // namespace concord::core
