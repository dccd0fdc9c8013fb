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

/// Where a merge stands in one list.
struct MergeHead {
  std::span<const Key> rest;   ///< not taken yet
  std::uint64_t position = 0;  ///< of the first of them
  std::uint32_t distance = 0;  ///< its ordered bits
};

/// Calls take(list, key) for the k smallest keys of all lists by (distance, position), smallest
/// first; for all of them if there are fewer. Returns how many it were. position(list, id) must
/// grow with the id within a list, and no two may be equal. `heads` holds the lists and is used up.
/// O(k · lists) comparisons: fewer than the distances that the lists took, for each holds its own k
/// nearest.
template <class Position, class Take>
std::uint32_t merge_nearest(std::span<MergeHead> heads, std::uint32_t k, const Position& position,
                            const Take& take) {
  const auto read = [&](std::size_t list) {
    MergeHead& head = heads[list];
    if (head.rest.empty()) return;
    head.distance = static_cast<std::uint32_t>(head.rest.front() >> 32);
    head.position = position(list, key_id(head.rest.front()));
  };
  for (std::size_t list = 0; list < heads.size(); ++list) read(list);
  std::uint32_t taken = 0;
  for (; taken < k; ++taken) {
    std::size_t nearest = heads.size();
    for (std::size_t list = 0; list < heads.size(); ++list) {
      const MergeHead& head = heads[list];
      if (head.rest.empty()) continue;
      if (nearest == heads.size() || head.distance < heads[nearest].distance ||
          (head.distance == heads[nearest].distance && head.position < heads[nearest].position)) {
        nearest = list;
      }
    }
    if (nearest == heads.size()) break;
    take(nearest, heads[nearest].rest.front());
    heads[nearest].rest = heads[nearest].rest.subspan(1);
    read(nearest);
  }
  return taken;
}

}  // namespace concord::core
