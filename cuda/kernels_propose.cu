// Proposals on the device: a block a node.
#include "cuda/kernels_common.cuh"
#include "cuda/propose.hpp"

namespace concord::cuda {
namespace {

template <bool kL2, std::uint32_t kThreads, bool kSomeDied>
__global__ void __launch_bounds__(kThreads,
                                  (kSomeDied ? kWarpsOfTwoLists : kWarpsResident) * 32 / kThreads)
    propose_kernel(const MirrorView view, const ProposeTask task, const BeamLayout layout) {
  CudaTeam<kThreads> team;
  propose_node<kL2, kSomeDied>(team, view, task, blockIdx.x, x_shared, layout);
}

template <bool kL2, std::uint32_t kThreads>
int launch(const MirrorView& view, const ProposeTask& task, Stream stream) {
  const BeamLayout layout = propose_layout(task.ef_construction, view.M, view.dimension);
  const std::uint32_t bytes = layout.bytes + others_bytes(task.others);
  return with_deaths(task.others > 0, [&](auto some_died) {
    propose_kernel<kL2, kThreads, some_died.value>
        <<<task.end - task.begin, kThreads, bytes, stream>>>(view, task, layout);
    return static_cast<int>(cudaGetLastError());
  });
}

template <bool kL2, bool kSomeDied>
int prepare() {
  return first_error(allow_shared_memory(propose_kernel<kL2, 64, kSomeDied>),
                     allow_shared_memory(propose_kernel<kL2, 128, kSomeDied>));
}

}  // namespace

int prepare_propose_kernels() {
  return first_error(prepare<true, false>(), prepare<true, true>(), prepare<false, false>(),
                     prepare<false, true>());
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
