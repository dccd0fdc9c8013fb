// Numbers of 16 bits: IEEE 754 binary16, and bfloat16, the upper half of a float. Each of them is a
// float, and widening is exact. Rounding is to nearest, ties to even, and what is beyond the
// largest becomes an infinity. Thread-safety: pure functions.
#pragma once

#include <bit>
#include <cstdint>

#include "common/base/exact_math.hpp"

namespace concord::core {

struct Half {
  std::uint16_t bits;

  // NOLINTNEXTLINE(google-explicit-constructor): nothing is lost
  operator float() const noexcept {
    // By masks and without a branch, so that several are widened at once.
    const auto mask_of = [](bool condition) { return 0u - static_cast<std::uint32_t>(condition); };
    const std::uint32_t sign = std::uint32_t{bits} >> 15 << 31;
    const std::uint32_t magnitude = bits & 0x7FFFu;
    const std::uint32_t normal = (magnitude << 13) + (112u << 23);
    // Zero and denormals are so many times 2^-24: what they add to 2^-14, which is one more
    // exponent.
    const float denormal = std::bit_cast<float>(normal + (1u << 23)) - 0x1p-14f;
    const std::uint32_t is_denormal = mask_of(magnitude < 0x0400);
    const std::uint32_t finite =
        (std::bit_cast<std::uint32_t>(denormal) & is_denormal) | (normal & ~is_denormal);
    // An exponent of 31 stands for infinity and NaN, which have 255 in a float.
    const std::uint32_t all = finite + ((112u << 23) & mask_of(magnitude >= 0x7C00));
    return std::bit_cast<float>(all | sign);
  }
  static Half nearest(float x) noexcept {
    const auto from = std::bit_cast<std::uint32_t>(x);
    const auto sign = static_cast<std::uint16_t>(from >> 31 << 15);
    const std::uint32_t magnitude = from & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) return {static_cast<std::uint16_t>(sign | 0x7E00)};  // NaN
    if (magnitude >= 0x477FF000u) return {static_cast<std::uint16_t>(sign | 0x7C00)};
    std::uint32_t rounded;
    if (magnitude < 0x38800000u) {  // below 2^-14: the sum has the number of 2^-24 in its last bits
      rounded = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3F000000u;
    } else {
      const std::uint32_t odd = magnitude >> 13 & 1;
      rounded = (magnitude + 0xFFF + odd - (112u << 23)) >> 13;
    }
    return {static_cast<std::uint16_t>(sign | rounded)};
  }
};

struct BFloat16 {
  std::uint16_t bits;

  // NOLINTNEXTLINE(google-explicit-constructor): nothing is lost
  operator float() const noexcept { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
  static BFloat16 nearest(float x) noexcept {
    const auto from = std::bit_cast<std::uint32_t>(x);
    if ((from & 0x7FFFFFFFu) > 0x7F800000u) {  // NaN, which must not become an infinity
      return {static_cast<std::uint16_t>(from >> 16 | 0x40)};
    }
    return {static_cast<std::uint16_t>((from + 0x7FFF + (from >> 16 & 1)) >> 16)};
  }
};

}  // namespace concord::core
