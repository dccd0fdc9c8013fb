// CudaTeam: the team as a warp (32 threads) or a block (64, 128, 256 threads).
//
// Eight consecutive lanes compute one distance: lane j of them holds the canonical accumulators
// 4j … 4j+3, and xor-shuffles by 4, 2, 1 are the canonical reduction of the quads.
// A warp team has no block barrier in it, so several warp teams may share a block.
#pragma once

#include <cuda_runtime.h>

#include "cuda/team.hpp"

namespace concord::cuda {

template <std::uint32_t kTeamThreads>
class CudaTeam {
 public:
  static_assert(kTeamThreads % 32 == 0 && kTeamThreads <= 1024);
  static constexpr std::uint32_t kThreads = kTeamThreads;
  static constexpr std::uint32_t kWarpSize = 32;
  static constexpr std::uint32_t kWarps = kThreads / kWarpSize;
  static constexpr std::uint32_t kGroupSize = 8;
  static constexpr std::uint32_t kGroupsPerWarp = kWarpSize / kGroupSize;
  static constexpr std::uint32_t kGroups = kThreads / kGroupSize;
  static constexpr unsigned kWholeWarp = 0xFFFFFFFFu;

  static __device__ __forceinline__ std::uint32_t rank() {
    return kThreads == kWarpSize ? threadIdx.x % kWarpSize : threadIdx.x;
  }
  static __device__ __forceinline__ std::uint32_t warp() {
    return kThreads == kWarpSize ? 0 : threadIdx.x / kWarpSize;
  }
  static __device__ __forceinline__ std::uint32_t lane() { return threadIdx.x % kWarpSize; }
  static __device__ __forceinline__ std::uint32_t group() { return lane() / kGroupSize; }
  static __device__ __forceinline__ std::uint32_t group_lane() { return lane() % kGroupSize; }

  static __device__ __forceinline__ void sync() {
    if constexpr (kThreads == kWarpSize) {
      __syncwarp();
    } else {
      __syncthreads();
    }
  }
  static __device__ __forceinline__ bool any(bool p) {
    if constexpr (kThreads == kWarpSize) {
      __syncwarp();
      return __any_sync(kWholeWarp, p) != 0;
    } else {
      return __syncthreads_or(p) != 0;
    }
  }
  static __device__ __forceinline__ std::uint32_t ballot(bool p) {
    return __ballot_sync(kWholeWarp, p);
  }
  template <class T>
  static __device__ __forceinline__ T shuffle(T v, std::uint32_t from) {
    return __shfl_sync(kWholeWarp, v, static_cast<int>(from));
  }
  template <class T>
  static __device__ __forceinline__ T shuffle_xor(T v, std::uint32_t mask) {
    return __shfl_xor_sync(kWholeWarp, v, static_cast<int>(mask));
  }

  static __device__ __forceinline__ std::uint32_t atomic_add(std::uint32_t* p, std::uint32_t v) {
    return atomicAdd_block(p, v);
  }
  static __device__ __forceinline__ void atomic_min(std::uint32_t* p, std::uint32_t v) {
    atomicMin_block(p, v);
  }
  static __device__ __forceinline__ void atomic_or(std::uint32_t* p, std::uint32_t v) {
    atomicOr_block(p, v);
  }
  static __device__ __forceinline__ void add_counter(unsigned long long* p, unsigned long long v) {
    atomicAdd(p, v);
  }
  static __device__ __forceinline__ std::uint64_t load_relaxed(const std::uint64_t* p) {
    return *static_cast<const volatile std::uint64_t*>(p);
  }
  static __device__ __forceinline__ void store_relaxed(std::uint64_t* p, std::uint64_t v) {
    *static_cast<volatile std::uint64_t*>(p) = v;
  }
  static __device__ __forceinline__ void prefetch(const void* p) {
    asm volatile("prefetch.global.L2 [%0];" ::"l"(p));
  }
  static __device__ __forceinline__ Float4 load4(const float* p) {
    const float4 v = __ldg(reinterpret_cast<const float4*>(p));
    return {v.x, v.y, v.z, v.w};
  }
};

}  // namespace concord::cuda
