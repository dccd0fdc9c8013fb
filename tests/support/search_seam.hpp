// What comes through the seam of common/search besides all ids and the k nearest: a set of ids that
// may be results, and a collector of all candidates within a radius. For the CPU and for teams.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/base/key.hpp"

namespace concord::test {

/// Accepts the ids of a set. See common/search/accept.hpp.
class IdSet {
 public:
  /// The ids before n for which `is_in` holds.
  template <class Predicate>
  IdSet(core::NodeId n, const Predicate& is_in) : bits_(n) {
    for (core::NodeId id = 0; id < n; ++id) bits_[id] = is_in(id);
  }

  bool operator()(core::NodeId id) const { return bits_[id]; }
  [[nodiscard]] std::uint32_t others() const {
    return static_cast<std::uint32_t>(std::count(bits_.begin(), bits_.end(), false));
  }

 private:
  std::vector<bool> bits_;
};

/// Collects the candidates no farther than a radius. See common/search/results.hpp.
struct WithinRadius {
  float radius;
  std::uint32_t room;     ///< of a query in `out`: the width of the search
  core::Key* out;         ///< [queries × room]
  std::uint32_t* counts;  ///< [queries]

  template <class List>
  void collect(std::size_t query, const List& list, std::uint32_t rank = 0,
               std::uint32_t threads = 1) const {
    std::uint32_t found = 0;
    while (found < list.size() && core::key_distance(list.key(found)) <= radius) ++found;
    for (std::uint32_t j = rank; j < found; j += threads) out[query * room + j] = list.key(j);
    if (rank == 0) counts[query] = found;
  }
};

}  // namespace concord::test
