// What codes are computed by: sums and magnitudes that have the same bits everywhere.
// Thread-safety: pure functions.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "common/base/exact_math.hpp"

namespace concord::core {

/// The sum of term(e), e < n: in double and in this order, so that it is the same everywhere and
/// several are added at once.
template <class Term>
double sum_of(std::size_t n, const Term& term) noexcept {
  std::array<double, 8> sums{};
  std::size_t e = 0;
  for (; e + sums.size() <= n; e += sums.size()) {
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += term(e + i);
  }
  for (; e < n; ++e) sums[0] += term(e);
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

/// The largest |term(e)|, e < n; by bits, which order magnitudes and are compared several at once.
template <class Term>
float largest_of(std::size_t n, const Term& term) noexcept {
  std::uint32_t most = 0;
  for (std::size_t e = 0; e < n; ++e) {
    most = std::max(most, std::bit_cast<std::uint32_t>(term(e)) & 0x7FFFFFFFu);
  }
  return std::bit_cast<float>(most);
}

/// 1 / step, or 0 where elements hardly differ: then one code serves all.
inline float inverse_of(float step) noexcept {
  return step >= std::numeric_limits<float>::min() ? 1 / step : 0;
}

}  // namespace concord::core
