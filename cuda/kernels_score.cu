// List scoring on the device: a block a list.
#include "cuda/kernels_common.cuh"
#include "cuda/score_list.hpp"

namespace concord::cuda {
namespace {

template <bool kL2>
__global__ void __launch_bounds__(kScoreThreads)
    score_list_kernel(const MirrorView view, const ScoreTask task, const ScoreLayout layout) {
  CudaTeam<kScoreThreads> team;
  score_list<kL2>(team, view, task, blockIdx.x, x_shared, layout);
}

}  // namespace

int prepare_score_kernels() {
  return first_error(allow_shared_memory(score_list_kernel<true>),
                     allow_shared_memory(score_list_kernel<false>));
}

int launch_score_lists_async(const MirrorView& view, const ScoreTask& task, Stream stream) {
  if (task.count == 0) return 0;
  const ScoreLayout layout = score_layout(task.words);
  return with_metric(view.metric, [&](auto l2) {
    score_list_kernel<l2.value>
        <<<task.count, kScoreThreads, layout.bytes, stream>>>(view, task, layout);
    return static_cast<int>(cudaGetLastError());
  });
}

}  // namespace concord::cuda
