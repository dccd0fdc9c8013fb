// Makes a failing sequence short: leaves out what it does not take to fail (delta debugging; Zeller
// & Hildebrandt 2002, without the complement step).
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace concord::test {

/// A subsequence of `operations`, which fails, for which `fails` holds and of which no single
/// operation can be left out. Calls `fails` O(n²) times at worst, O(n log n) usually.
template <class Operation, class Fails>
std::vector<Operation> shrink(std::vector<Operation> operations, const Fails& fails) {
  for (std::size_t chunk = std::max<std::size_t>(1, operations.size() / 2);;) {
    bool shorter = false;
    for (std::size_t first = 0; first < operations.size();) {
      std::vector<Operation> rest;
      const std::size_t last = std::min(operations.size(), first + chunk);
      rest.insert(rest.end(), operations.begin(),
                  operations.begin() + static_cast<std::ptrdiff_t>(first));
      rest.insert(rest.end(), operations.begin() + static_cast<std::ptrdiff_t>(last),
                  operations.end());
      if (fails(rest)) {
        operations = std::move(rest);
        shorter = true;
      } else {
        first = last;
      }
    }
    if (chunk == 1 && !shorter) return operations;
    chunk = std::max<std::size_t>(1, chunk / 2);
  }
}

}  // namespace concord::test
