// Upkeep of the device mirror, results in the caller's memory, and the preparation of all kernels.
#include <cub/device/device_for.cuh>
#include <cuda/std/mdspan>

#include "cuda/cccl.cuh"
#include "cuda/kernels_common.cuh"
#include "cuda/take_rows.hpp"
#include "cuda/write_results.hpp"

namespace concord::cuda {
namespace {

/// Copies one id. CUB finds list and place of a position without dividing.
struct ScatterId {
  ScatterTask task;

  __device__ void operator()(std::size_t position, std::size_t list, std::size_t place) const {
    task.links[std::size_t{task.list_index[list]} * task.width + place] = task.ids[position];
  }
};

struct WriteResult {
  ResultTask task;

  __device__ void operator()(std::size_t, std::uint32_t query, std::uint32_t place) const {
    write_result(task, query, place);
  }
};

__global__ void __launch_bounds__(kTakeThreads) take_rows_kernel(const TakeTask task) {
  __shared__ double scales[kTakenRows];
  CudaTeam<kTakeThreads> team;
  take_rows_block(team, task, blockIdx.x, scales);
}

}  // namespace

int prepare_kernels() {
  return first_error(prepare_propose_kernels(), prepare_score_kernels(), prepare_search_kernels(),
                     prepare_filter_kernels(), prepare_exact_kernels());
}

int launch_scatter_async(const ScatterTask& task, Stream stream) {
  if (task.count == 0 || task.width == 0) return 0;
  const ::cuda::std::dextents<std::size_t, 2> ids(task.count, task.width);
  return cub::DeviceFor::ForEachInExtents(ids, ScatterId{task}, stream);
}

int launch_write_results_async(const ResultTask& task, Stream stream) {
  const ::cuda::std::dextents<std::uint32_t, 2> places(task.count, task.k);
  return cub::DeviceFor::ForEachInExtents(places, WriteResult{task}, stream);
}

int launch_take_rows_async(const TakeTask& task, Stream stream) {
  if (task.count == 0) return 0;
  const unsigned blocks = (task.count + kTakenRows - 1) / kTakenRows;
  take_rows_kernel<<<blocks, kTakeThreads, 0, stream>>>(task);
  return cudaGetLastError();
}

}  // namespace concord::cuda
