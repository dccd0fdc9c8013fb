// Shared by the kernel files: shared memory and its limits, launch results.
#pragma once

#include <cuda_runtime.h>

#include "cuda/cuda_team.cuh"
#include "cuda/kernels.hpp"

namespace concord::cuda {

/// Warps of the proposal kernel that an SM holds: as many as registers allow without spills, 80 a
/// thread where the compiler's allocation is newer, else 96.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
inline constexpr unsigned kWarpsResident = 20;
#else
inline constexpr unsigned kWarpsResident = 24;
#endif

/// The same of kernels that hold a list of tombstones beside their candidates: 128 registers.
inline constexpr unsigned kWarpsOfTwoLists = 16;

extern __shared__ __align__(16) unsigned char x_shared[];

/// Allows a kernel all the shared memory a block of the current device can have.
template <class Kernel>
cudaError_t allow_shared_memory(Kernel* kernel) {
  int device = 0, most = 0;
  if (const cudaError_t error = cudaGetDevice(&device); error != cudaSuccess) return error;
  if (const cudaError_t error =
          cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
      error != cudaSuccess) {
    return error;
  }
  cudaFuncAttributes attributes{};
  if (const cudaError_t error = cudaFuncGetAttributes(&attributes, kernel); error != cudaSuccess) {
    return error;
  }
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                              most - static_cast<int>(attributes.sharedSizeBytes));
}

/// 0, or the first error of several calls.
template <class... Errors>
int first_error(Errors... errors) {
  int first = 0;
  ((first = first != 0 ? first : static_cast<int>(errors)), ...);
  return first;
}

// Each family of kernels prepares its own.
int prepare_propose_kernels();
int prepare_score_kernels();
int prepare_search_kernels();
int prepare_filter_kernels();
int prepare_exact_kernels();

}  // namespace concord::cuda
