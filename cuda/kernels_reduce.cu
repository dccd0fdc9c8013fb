// Reductions over device input, by CUB.
#include <thrust/iterator/counting_iterator.h>

#include <cub/device/device_reduce.cuh>
#include <cuda/functional>

#include "cuda/cccl.cuh"
#include "cuda/kernels.hpp"
#include "cuda/temporaries.hpp"

namespace concord::cuda {
namespace {

/// Magnitude of an element by its number, gaps between rows left out.
struct MagnitudeOf {
  LargestTask task;

  __device__ std::uint32_t operator()(std::uint32_t element) const {
    const std::uint32_t row = element / task.dimension;
    const std::uint32_t place = element % task.dimension;
    return magnitude_bits(task.from[row * task.from_stride + place]);
  }
};

}  // namespace

int launch_find_largest_async(const LargestTask& task, Temporaries& temporaries, Stream stream) {
  std::size_t bytes = 0;
  const auto reduce = [&](void* storage) {
    return cub::DeviceReduce::TransformReduce(storage, bytes,
                                              thrust::counting_iterator<std::uint32_t>(0), task.out,
                                              task.count * task.dimension, ::cuda::maximum<>{},
                                              MagnitudeOf{task}, std::uint32_t{0}, stream);
  };
  if (const cudaError_t error = reduce(nullptr); error != cudaSuccess) return error;
  const Temporary storage(temporaries, stream, bytes);
  return reduce(storage.data());
}

}  // namespace concord::cuda
