// The links of an epoch: what lists gain by its proposals, sorted and appended (append_links.hpp).
#include <bit>
#include <cub/device/device_for.cuh>
#include <cub/device/device_radix_sort.cuh>
#include <cuda/std/mdspan>

#include "cuda/append_links.hpp"
#include "cuda/cccl.cuh"
#include "cuda/kernels_common.cuh"
#include "cuda/temporaries.hpp"

namespace concord::cuda {
namespace {

struct GatherGains {
  SortGainsTask task;

  __device__ void operator()(std::size_t, std::uint32_t index, std::uint32_t place) const {
    gather_gains(task, index, place);
  }
};

struct WriteOwnLinks {
  AppendTask task;

  __device__ void operator()(std::size_t, std::uint32_t index, std::uint32_t place) const {
    write_own_links(task, index, place);
  }
};

struct AppendGains {
  Gains gains;
  NodeId* table;
  std::uint32_t width;

  __device__ void operator()(std::uint32_t position) const {
    append_gains(gains, table, width, position);
  }
};

using Extents = ::cuda::std::dextents<std::uint32_t, 2>;

/// Radix sort is stable, as the order of commits asks. Only bits that lists have are looked at.
int sort_gains(const Gains& found, const Gains& sorted, Temporaries& temporaries, Stream stream) {
  if (found.count == 0) return 0;
  std::size_t bytes = 0;
  const auto sort = [&](void* storage) {
    return cub::DeviceRadixSort::SortPairs(storage, bytes, found.list, sorted.list, found.id,
                                           sorted.id, found.count, 0,
                                           static_cast<int>(std::bit_width(found.none)), stream);
  };
  if (const cudaError_t error = sort(nullptr); error != cudaSuccess) return error;
  const Temporary storage(temporaries, stream, bytes);
  return sort(storage.data());
}

}  // namespace

int launch_sort_gains_async(const SortGainsTask& task, Temporaries& temporaries, Stream stream) {
  const Extents places(task.links.nodes, task.links.M);
  int error = cub::DeviceFor::ForEachInExtents(places, GatherGains{task}, stream);
  for (unsigned t = 0; t < kTables && error == 0; ++t) {
    error = sort_gains(task.found[t], task.sorted[t], temporaries, stream);
  }
  return error;
}

int launch_append_links_async(const AppendTask& task, Stream stream) {
  const Extents places(task.links.nodes, 2 * task.links.M);
  int error = cub::DeviceFor::ForEachInExtents(places, WriteOwnLinks{task}, stream);
  for (unsigned t = 0; t < kTables && error == 0; ++t) {
    const AppendGains append{task.sorted[t], task.tables[t], task.width(t)};
    error = cub::DeviceFor::Bulk(task.sorted[t].count, append, stream);
  }
  return error;
}

}  // namespace concord::cuda
