// How the results of searches are collected: of each query the k nearest.
//
// A search ends with a candidate list in order, of which every id may be a result (accept.hpp). A
// collector has collect(query, list, rank, threads): each of the threads that work on the query
// calls it with its rank. A list has size() and key(i).
// Thread-safety: different queries may be collected at once.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/key.hpp"

namespace concord::core {

struct KNearest {
  CONCORD_HD KNearest(std::uint32_t k_, Key* out_, std::uint32_t* counts_)
      : k(k_), out(out_), counts(counts_) {}

  std::uint32_t k;
  Key* out;               ///< [queries × k]: nearest first, then kWorstKey
  std::uint32_t* counts;  ///< [queries]: keys found

  template <class List>
  CONCORD_HD void collect(std::size_t query, const List& list, std::uint32_t rank = 0,
                          std::uint32_t threads = 1) const {
    const std::uint32_t found = list.size() < k ? static_cast<std::uint32_t>(list.size()) : k;
    Key* const to = out + query * k;
    for (std::uint32_t j = rank; j < k; j += threads) to[j] = j < found ? list.key(j) : kWorstKey;
    if (rank == 0) counts[query] = found;
  }
};

}  // namespace concord::core
