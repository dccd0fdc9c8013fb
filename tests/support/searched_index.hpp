// The indexes and masks that tests of searches share.
#pragma once

#include <algorithm>
#include <concord/index.hpp>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord::test {

inline RuntimeOptions on_threads(unsigned threads) { return {threads, "cpu", 0, {}}; }

/// The first `n` rows, in a graph of low ef_construction, so that searches miss something.
inline Index index_of(const Matrix& data, std::uint32_t M, Metric metric = Metric::l2sq,
                      std::size_t n = ~std::size_t{0}, std::uint32_t epoch_limit = 1024) {
  Index index(make_params(static_cast<std::uint32_t>(data.cols), M, 40, epoch_limit, metric),
              on_threads(2));
  index.add(data.slice(0, std::min(n, data.rows)));
  return index;
}

inline std::vector<std::uint8_t> random_mask(std::size_t n, std::size_t per_mille,
                                             std::uint64_t seed) {
  std::vector<std::uint8_t> mask(n);
  for (std::size_t i = 0; i < n; ++i) mask[i] = hash(seed, i) % 1000 < per_mille ? 1 : 0;
  return mask;
}

}  // namespace concord::test
