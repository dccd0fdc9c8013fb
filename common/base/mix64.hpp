// A hash of 64 bits to 64 bits, one to one, and the same on every machine.
#pragma once

#include <cstdint>

namespace concord::core {

/// Finaliser of SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number generators").
constexpr std::uint64_t mix64(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

}  // namespace concord::core
