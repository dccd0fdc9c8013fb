// Upkeep of the device mirror, and the preparation of all kernels.
#include "cuda/kernels_common.cuh"
#include "cuda/scatter.hpp"
#include "cuda/take_rows.hpp"

namespace concord::cuda {
namespace {

constexpr unsigned kScatterThreads = 256;

__global__ void __launch_bounds__(kScatterThreads) scatter_kernel(const ScatterTask task) {
  const std::size_t position = std::size_t{blockIdx.x} * kScatterThreads + threadIdx.x;
  if (position < std::size_t{task.count} * task.width) scatter_id(task, position);
}

__global__ void __launch_bounds__(kTakeThreads) take_rows_kernel(const TakeTask task) {
  __shared__ double scales[kTakenRows];
  CudaTeam<kTakeThreads> team;
  take_rows_block(team, task, blockIdx.x, scales);
}

}  // namespace

int prepare_kernels() {
  return first_error(prepare_propose_kernels(), prepare_score_kernels(), prepare_search_kernels(),
                     prepare_exact_kernels());
}

int launch_scatter_async(const ScatterTask& task, Stream stream) {
  const std::size_t ids = std::size_t{task.count} * task.width;
  if (ids == 0) return 0;
  const auto blocks = static_cast<unsigned>((ids + kScatterThreads - 1) / kScatterThreads);
  scatter_kernel<<<blocks, kScatterThreads, 0, stream>>>(task);
  return cudaGetLastError();
}

int launch_take_rows_async(const TakeTask& task, Stream stream) {
  if (task.count == 0) return 0;
  const unsigned blocks = (task.count + kTakenRows - 1) / kTakenRows;
  take_rows_kernel<<<blocks, kTakeThreads, 0, stream>>>(task);
  return cudaGetLastError();
}

}  // namespace concord::cuda
