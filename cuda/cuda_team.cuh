// CudaTeam: the team as a warp (32 threads) or a block (64, 128, 256 threads).
//
// Eight consecutive lanes compute one distance: lane j of them holds the canonical accumulators
// 4j … 4j+3, and xor-shuffles by 4, 2, 1 are the canonical reduction of the quads.
// A warp team has no block barrier in it, so several warp teams may share a block.
#pragma once

#include <cuda_runtime.h>

#include <cub/block/block_merge_sort.cuh>
#include <cub/warp/warp_merge_sort.cuh>
#include <cub/warp/warp_reduce.cuh>
#include <cuda/functional>

#include "cuda/cccl.cuh"
#include "cuda/launch_policy.hpp"
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

  /// The halves one after the other, because the processor has an instruction for 32 bits. Keys in
  /// one piece take registers that the proposal kernel does not have: it spilled 20 bytes.
  static __device__ __forceinline__ core::Key min(core::Key key) {
    const auto distance = static_cast<std::uint32_t>(key >> 32);
    const std::uint32_t nearest = min(distance);
    const auto id = distance == nearest ? static_cast<std::uint32_t>(key) : ~0u;
    return core::Key{nearest} << 32 | min(id);
  }
  /// A warp sorts what it can hold alone: it needs no barriers of the block.
  template <std::uint32_t kMost, class Moved>
  static __device__ __forceinline__ void sort(core::Key* keys, std::uint32_t n, Moved&& moved) {
    constexpr std::uint32_t kOfWarp = 2 * kWarpSize;
    using ByWarp = cub::WarpMergeSort<core::Key, kOfWarp / kWarpSize, kWarpSize, Place>;
    using ByBlock = cub::BlockMergeSort<core::Key, kThreads, kMost / kThreads, Place>;
    static_assert(kThreads > kWarpSize && kMost > kOfWarp && kMost <= 256);
    if (n > kOfWarp) {
      sort_held<kMost, ByBlock, kMost / kThreads>(
          keys, n, rank(), [] { __syncthreads(); }, moved);
    } else if (warp() == 0) {
      sort_held<kMost, ByWarp, kOfWarp / kWarpSize>(
          keys, n, lane(), [] { __syncwarp(); }, moved);
    }
  }

 private:
  static __device__ __forceinline__ std::uint32_t min(std::uint32_t bits) {
    using Reduce = cub::WarpReduce<std::uint32_t>;
    typename Reduce::TempStorage none;  // a whole warp needs no memory
    return shuffle(Reduce(none).Reduce(bits, ::cuda::minimum<>{}), 0);  // lane 0 has the result
  }

  using Place = std::uint8_t;
  struct Less {
    __device__ bool operator()(core::Key a, core::Key b) const { return a < b; }
  };

  /// Each of the sorter's threads holds kHeld keys in registers meanwhile, so that the keys' memory
  /// is CUB's temporary storage.
  template <std::uint32_t kMost, class Sorter, std::uint32_t kHeld, class Sync, class Moved>
  static __device__ __forceinline__ void sort_held(core::Key* keys, std::uint32_t n,
                                                   std::uint32_t thread, Sync&& barrier,
                                                   Moved&& moved) {
    using Storage = typename Sorter::TempStorage;
    static_assert(sizeof(Storage) <= sort_bytes(kMost) && alignof(Storage) <= 16);
    core::Key held[kHeld];
    Place from[kHeld];
    CONCORD_UNROLL
    for (std::uint32_t j = 0; j < kHeld; ++j) {
      const std::uint32_t place = thread * kHeld + j;
      held[j] = place < n ? keys[place] : core::kWorstKey;
      from[j] = static_cast<Place>(place);
    }
    barrier();
    Sorter(*reinterpret_cast<Storage*>(keys)).Sort(held, from, Less{});
    barrier();
    CONCORD_UNROLL
    for (std::uint32_t j = 0; j < kHeld; ++j) {
      const std::uint32_t place = thread * kHeld + j;
      if (place >= n) continue;
      keys[place] = held[j];
      moved(place, from[j]);
    }
  }
};

}  // namespace concord::cuda
