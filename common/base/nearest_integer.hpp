// Rounding a small float to the nearest integer, ties to even, quickly and the same everywhere.
// Thread-safety: pure functions.
#pragma once

#include <bit>
#include <cstdint>

#include "common/base/exact_math.hpp"

namespace concord::core {

/// REQUIRES |x| ≤ 2^22, else the result has no meaning. The sum has the integer in its lowest bits.
inline std::int32_t nearest_integer(float x) noexcept {
  constexpr float kShift = 0x1.8p23F;
  return static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(x + kShift) -
                                   std::bit_cast<std::uint32_t>(kShift));
}

}  // namespace concord::core
