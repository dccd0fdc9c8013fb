// (distance, id) as one integer: the total order that decides everything in Concord.
//
// A Key compares as (distance, id) with one unsigned 64-bit comparison: the high half holds the
// float's bits mapped to an order-preserving integer, the low half the id shifted left by one. The
// lowest bit is free for the candidate list's "expanded" mark and is 0 in a plain key.
// Distances are never NaN (vectors are validated when they enter), so the order is total.
// Compiles for host and device.
#pragma once

#include <cstdint>
#include <cstring>

#include "common/base/exact_math.hpp"

#if defined(__CUDACC__)
#define CONCORD_HD __host__ __device__
#else
#define CONCORD_HD
#endif

namespace concord::core {

using NodeId = std::uint32_t;  ///< order of a vector's insertion, from 0
using Key = std::uint64_t;

inline constexpr NodeId kNoNode = 0xFFFFFFFFu;
inline constexpr NodeId kMaxNodes = 0x7FFFFFFEu;  ///< an id must leave room for the expanded mark
inline constexpr Key kExpanded = 1;
inline constexpr Key kWorstKey = ~Key{0};  ///< after every key of a real node

CONCORD_HD inline std::uint32_t ordered_bits(float distance) noexcept {
  std::uint32_t bits;
  memcpy(&bits, &distance, sizeof bits);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

CONCORD_HD inline Key make_key(float distance, NodeId id) noexcept {
  return (static_cast<Key>(ordered_bits(distance)) << 32) | (static_cast<Key>(id) << 1);
}

CONCORD_HD inline NodeId key_id(Key key) noexcept {
  return static_cast<NodeId>(static_cast<std::uint32_t>(key) >> 1);
}

CONCORD_HD inline float key_distance(Key key) noexcept {
  std::uint32_t bits = static_cast<std::uint32_t>(key >> 32);
  bits = (bits & 0x80000000u) != 0 ? bits & 0x7FFFFFFFu : ~bits;
  float distance;
  memcpy(&distance, &bits, sizeof distance);
  return distance;
}

}  // namespace concord::core
