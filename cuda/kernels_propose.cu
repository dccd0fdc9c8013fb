// Proposals on the device: a block a node.
#include "cuda/kernels_common.cuh"
#include "cuda/propose.hpp"

namespace concord::cuda {
namespace {

template <bool kL2, std::uint32_t kThreads>
__global__ void __launch_bounds__(kThreads, kWarpsResident * 32 / kThreads)
    propose_kernel(const MirrorView view, const ProposeTask task, const BeamLayout layout) {
  CudaTeam<kThreads> team;
  propose_node<kL2>(team, view, task, blockIdx.x, x_shared, layout);
}

template <bool kL2, std::uint32_t kThreads>
int launch(const MirrorView& view, const ProposeTask& task, Stream stream) {
  const BeamLayout layout = propose_layout(task.ef_construction, view.M, view.dimension);
  propose_kernel<kL2, kThreads>
      <<<task.end - task.begin, kThreads, layout.bytes, stream>>>(view, task, layout);
  return cudaGetLastError();
}

}  // namespace

int prepare_propose_kernels() {
  return first_error(allow_shared_memory(propose_kernel<true, 64>),
                     allow_shared_memory(propose_kernel<true, 128>),
                     allow_shared_memory(propose_kernel<false, 64>),
                     allow_shared_memory(propose_kernel<false, 128>));
}

int launch_propose_async(const MirrorView& view, const ProposeTask& task, Stream stream) {
  if (task.begin == task.end) return 0;
  const int error = launch_distances_async(view, tail_distance_task(view, task), stream);
  if (error != 0) return error;
  return with_metric(view.metric, [&](auto l2) {
    return propose_threads(task.threads, task.end - task.begin) == 64
               ? launch<l2.value, 64>(view, task, stream)
               : launch<l2.value, 128>(view, task, stream);
  });
}

}  // namespace concord::cuda
