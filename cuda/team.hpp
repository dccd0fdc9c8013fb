// The team: the threads that work on one node, query or list together.
//
// Every device algorithm is one SPMD source, a function template over a Team: each thread of the
// team runs it with its own registers, and the team's members exchange values through the
// operations below. CudaTeam (cuda_team.cuh) maps a team to 32 threads of a warp or to a block;
// HostTeam, here, is a team of one thread whose warps and groups are one lane wide, so that the
// same source runs serially on any machine. tests/cuda/simt_team.hpp emulates CudaTeam's widths.
//
// A Team has
//   kThreads, kWarpSize, kWarps = kThreads / kWarpSize
//   kGroupSize            threads that compute one distance together: 8, or 1 on the host
//   kGroupsPerWarp, kGroups
//   rank() < kThreads, warp() < kWarps, lane() < kWarpSize,
//   group() < kGroupsPerWarp, group_lane() < kGroupSize
//   sync()                barrier of the team; shared memory written before is visible after
//   any(p)                barrier; true for all where p is true for one
//   ballot(p)             bit of each lane of the warp
//   shuffle(v, lane)      v of that lane of the warp; shuffle_xor(v, mask)
//   atomic_add/min/or     on shared memory, relaxed; add_counter on global memory
//   load_relaxed/store_relaxed  shared memory that other threads may be writing; 8 bytes, untorn
//   prefetch(p)           hint that global memory at p will be read
//   load4(p)              16 aligned bytes of global memory that no one writes meanwhile
//   min(key)              the smallest of the warp's keys, in every lane
//   sort<kMost>(keys, n, moved)  the n ≤ kMost keys in shared memory ascend; none occurs twice. For
//                         each, one thread calls moved(place, place before). `keys` has
//                         sort_bytes(kMost). A sync was before; one is to follow
// sync, any and sort are called by all threads of the team, ballot, min and shuffles by all lanes
// of a warp. CudaTeam's min and sort are CUB's. CUB does not run on fibers, so these two alone have
// another source in the emulation; the conformance program compares them on a device.
//
// The rest stays ours. A ballot and a count of bits replace what a scan of the warp would do in
// several shuffles. cuda::atomic_ref on shared memory compiled to generic atomics.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>

#include "common/base/key.hpp"

#if defined(__CUDACC__)
#define CONCORD_TEAM_INLINE __host__ __device__ __forceinline__
#define CONCORD_UNROLL _Pragma("unroll")
#define CONCORD_UNROLL_NOT _Pragma("unroll 1")
#else
#define CONCORD_TEAM_INLINE inline
#define CONCORD_UNROLL
#define CONCORD_UNROLL_NOT
#endif

namespace concord::cuda {

/// Four floats that one instruction loads.
struct alignas(16) Float4 {
  float x, y, z, w;
};

class HostTeam {
 public:
  static constexpr std::uint32_t kThreads = 1;
  static constexpr std::uint32_t kWarpSize = 1;
  static constexpr std::uint32_t kWarps = 1;
  static constexpr std::uint32_t kGroupSize = 1;
  static constexpr std::uint32_t kGroupsPerWarp = 1;
  static constexpr std::uint32_t kGroups = 1;

  static CONCORD_TEAM_INLINE std::uint32_t rank() { return 0; }
  static CONCORD_TEAM_INLINE std::uint32_t warp() { return 0; }
  static CONCORD_TEAM_INLINE std::uint32_t lane() { return 0; }
  static CONCORD_TEAM_INLINE std::uint32_t group() { return 0; }
  static CONCORD_TEAM_INLINE std::uint32_t group_lane() { return 0; }

  static CONCORD_TEAM_INLINE void sync() {}
  static CONCORD_TEAM_INLINE bool any(bool p) { return p; }
  static CONCORD_TEAM_INLINE std::uint32_t ballot(bool p) { return p ? 1u : 0u; }
  template <class T>
  static CONCORD_TEAM_INLINE T shuffle(T v, std::uint32_t) {
    return v;
  }
  template <class T>
  static CONCORD_TEAM_INLINE T shuffle_xor(T v, std::uint32_t) {
    return v;
  }

  static CONCORD_TEAM_INLINE std::uint32_t atomic_add(std::uint32_t* p, std::uint32_t v) {
    const std::uint32_t old = *p;
    *p += v;
    return old;
  }
  static CONCORD_TEAM_INLINE void atomic_min(std::uint32_t* p, std::uint32_t v) {
    if (v < *p) *p = v;
  }
  static CONCORD_TEAM_INLINE void atomic_or(std::uint32_t* p, std::uint32_t v) { *p |= v; }
  static CONCORD_TEAM_INLINE void add_counter(unsigned long long* p, unsigned long long v) {
    *p += v;
  }
  static CONCORD_TEAM_INLINE std::uint64_t load_relaxed(const std::uint64_t* p) { return *p; }
  static CONCORD_TEAM_INLINE void store_relaxed(std::uint64_t* p, std::uint64_t v) { *p = v; }
  static CONCORD_TEAM_INLINE void prefetch(const void*) {}
  static CONCORD_TEAM_INLINE Float4 load4(const float* p) {
    return *reinterpret_cast<const Float4*>(p);
  }

  static CONCORD_TEAM_INLINE core::Key min(core::Key key) { return key; }
  template <std::uint32_t kMost, class Moved>
  static void sort(core::Key* keys, std::uint32_t n, Moved&& moved) {
    core::Key unsorted[kMost];
    std::uint32_t order[kMost];
    std::copy_n(keys, n, unsorted);
    std::iota(order, order + n, 0u);
    std::sort(order, order + n, [&](auto a, auto b) { return unsorted[a] < unsorted[b]; });
    for (std::uint32_t place = 0; place < n; ++place) {
      keys[place] = unsorted[order[place]];
      moved(place, order[place]);
    }
  }
};

// --- bits of a ballot ---

CONCORD_TEAM_INLINE std::uint32_t bit_count(std::uint32_t mask) {
#if defined(__CUDA_ARCH__)
  return static_cast<std::uint32_t>(__popc(mask));
#else
  return static_cast<std::uint32_t>(__builtin_popcount(mask));
#endif
}

/// Index of the lowest set bit. REQUIRES mask != 0.
CONCORD_TEAM_INLINE std::uint32_t lowest_bit(std::uint32_t mask) {
#if defined(__CUDA_ARCH__)
  return static_cast<std::uint32_t>(__ffs(mask) - 1);
#else
  return static_cast<std::uint32_t>(__builtin_ctz(mask));
#endif
}

/// `mask` without its n lowest set bits, n ≤ kMost.
template <std::uint32_t kMost>
CONCORD_TEAM_INLINE std::uint32_t drop_lowest(std::uint32_t mask, std::uint32_t n) {
  CONCORD_UNROLL
  for (std::uint32_t j = 0; j < kMost; ++j) {
    if (j < n) mask &= mask - 1;
  }
  return mask;
}

/// Position of the n-th (from 0) set bit of a 64-bit set. REQUIRES it has more than n bits.
CONCORD_TEAM_INLINE std::uint32_t select_bit(std::uint32_t low, std::uint32_t high,
                                             std::uint32_t n) {
  const std::uint32_t in_low = bit_count(low);
  const bool upper = n >= in_low;
  std::uint32_t mask = upper ? high : low;
  std::uint32_t position = upper ? 32 : 0;
  if (upper) n -= in_low;
  CONCORD_UNROLL
  for (std::uint32_t width = 16; width != 0; width /= 2) {
    const std::uint32_t below = bit_count(mask & ((1u << width) - 1));
    if (n >= below) {
      n -= below;
      mask >>= width;
      position += width;
    }
  }
  return position;
}

}  // namespace concord::cuda
