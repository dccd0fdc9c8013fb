// The level of a node: a pure function of (seed, number of insertion, M), without floating point.
//
// P(level ≥ l) = M^-l, the distribution of floor(-ln(U) / ln(M)) (Malkov & Yashunin, section 4.1),
// drawn from a counter-based hash, so that it depends on no generator's state and no libm.
#pragma once

#include <cstdint>

#include "common/base/mix64.hpp"

namespace concord::core {

inline constexpr unsigned kMaxLevel = 30;

constexpr unsigned level_of(std::uint64_t seed, std::uint64_t order, std::uint32_t M) noexcept {
  const std::uint64_t hash =
      mix64(mix64(seed + 0x9E3779B97F4A7C15ull) + (order + 1) * 0x9E3779B97F4A7C15ull);
  unsigned level = 0;
  for (std::uint64_t threshold = ~std::uint64_t{0} / M; hash < threshold && level < kMaxLevel;
       threshold /= M) {
    ++level;
  }
  return level;
}

}  // namespace concord::core
