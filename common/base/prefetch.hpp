// Fetching memory that will be read or changed soon.
#pragma once

#include <cstddef>

namespace concord::core {

enum class Access { read, change };

/// Begins to fetch the cache lines of [begin, begin + bytes). Never fails, whatever the address.
template <Access access = Access::read>
inline void prefetch(const void* begin, std::size_t bytes) noexcept {
  constexpr std::size_t kCacheLine = 64;
  const auto* p = static_cast<const char*>(begin);
  for (std::size_t b = 0; b < bytes; b += kCacheLine) {
    __builtin_prefetch(p + b, access == Access::change ? 1 : 0);
  }
  // GCC 12 takes a function that only prefetches for one without effects and drops calls to it.
  asm volatile("");
}

}  // namespace concord::core
