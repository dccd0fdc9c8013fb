// Filters on the device: bits from ids, and ids from bits in order, by CUB.
#include <thrust/iterator/counting_iterator.h>

#include <cub/device/device_for.cuh>
#include <cub/device/device_select.cuh>

#include "cuda/cccl.cuh"
#include "cuda/kernels.hpp"
#include "cuda/temporaries.hpp"

namespace concord::cuda {
namespace {

struct MarkId {
  MarkTask task;

  __device__ void operator()(std::uint32_t j) const {
    const NodeId id = task.ids[j];
    atomicOr(task.bits + id / FilterView::kBits, 1u << id % FilterView::kBits);
  }
};

struct IsMarked {
  const std::uint32_t* bits;

  __device__ bool operator()(NodeId id) const {
    return (bits[id / FilterView::kBits] >> id % FilterView::kBits & 1) != 0;
  }
};

}  // namespace

int launch_mark_ids_async(const MarkTask& task, Stream stream) {
  return cub::DeviceFor::Bulk(task.count, MarkId{task}, stream);
}

// Not thrust::copy_if, which waits for the device to return how many there are.
int launch_select_ids_async(const SelectTask& task, Temporaries& temporaries, Stream stream) {
  std::size_t bytes = 0;
  const auto select = [&](void* storage) {
    return cub::DeviceSelect::If(storage, bytes, thrust::counting_iterator<NodeId>(0), task.ids,
                                 task.count, task.end, IsMarked{task.bits}, stream);
  };
  if (const cudaError_t error = select(nullptr); error != cudaSuccess) return error;
  const Temporary storage(temporaries, stream, bytes);
  return select(storage.data());
}

}  // namespace concord::cuda
