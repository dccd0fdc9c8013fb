// Tiles of distances and exact search on the device.
#include "cuda/distance_tile.hpp"
#include "cuda/exact_knn.hpp"
#include "cuda/kernels_common.cuh"

namespace concord::cuda {
namespace {

using DistanceTeam = CudaTeam<kDistanceThreads>;

template <bool kL2>
__global__ void __launch_bounds__(kDistanceThreads, 4)
    distance_kernel(const MirrorView view, const DistanceTask task) {
  DistanceTeam team;
  distance_block<kL2>(team, view, task, blockIdx.y, blockIdx.x);
}

template <bool kSomeDied>
__global__ void __launch_bounds__(kMergeThreads)
    exact_merge_kernel(const MirrorView view, const ExactTask task, const ExactStretch stretch,
                       const BeamLayout layout) {
  CudaTeam<kMergeThreads> team;
  exact_merge<kSomeDied>(team, view, task, stretch, blockIdx.x, x_shared, layout);
}

}  // namespace

int prepare_exact_kernels() {
  return first_error(allow_shared_memory(exact_merge_kernel<false>),
                     allow_shared_memory(exact_merge_kernel<true>));
}

int launch_distances_async(const MirrorView& view, const DistanceTask& task, Stream stream) {
  if (task.query_count == 0 || task.count == 0) return 0;
  constexpr std::uint32_t kQueries = kQueriesPerBlock<DistanceTeam>;
  const dim3 blocks((task.count + kVectorsPerBlock - 1) / kVectorsPerBlock,
                    (task.query_count + kQueries - 1) / kQueries);
  return with_metric(view.metric, [&](auto l2) {
    distance_kernel<l2.value><<<blocks, kDistanceThreads, 0, stream>>>(view, task);
    return static_cast<int>(cudaGetLastError());
  });
}

int launch_exact_async(const MirrorView& view, const ExactTask& task, Stream stream) {
  if (task.count == 0 || task.k == 0) return 0;
  const BeamLayout layout = merge_layout(task.k);
  int error = 0;
  for_each_stretch(task, view.n, [&](const ExactStretch& stretch) {
    error = launch_distances_async(view, exact_distance_task(task, stretch), stream);
    if (error != 0) return false;
    with_deaths(view.gone != nullptr, [&](auto some_died) {
      exact_merge_kernel<some_died.value>
          <<<stretch.query_count, kMergeThreads, layout.bytes, stream>>>(view, task, stretch,
                                                                         layout);
    });
    error = cudaGetLastError();
    return error == 0;
  });
  return error;
}

}  // namespace concord::cuda
