// Row scoring on the device: a block a row.
#include "cuda/kernels_common.cuh"
#include "cuda/score_row.hpp"

namespace concord::cuda {
namespace {

template <bool kL2>
__global__ void __launch_bounds__(kScoreThreads)
    score_row_kernel(const MirrorView view, const PruneTask task, const ScoreLayout layout) {
  CudaTeam<kScoreThreads> team;
  score_row<kL2>(team, view, task, blockIdx.x, x_shared, layout);
}

}  // namespace

int prepare_score_kernels() {
  return first_error(allow_shared_memory(score_row_kernel<true>),
                     allow_shared_memory(score_row_kernel<false>));
}

int launch_score_rows_async(const MirrorView& view, const PruneTask& task, Stream stream) {
  if (task.row_count == 0) return 0;
  const ScoreLayout layout = score_layout(task.words);
  return with_metric(view.metric, [&](auto l2) {
    score_row_kernel<l2.value>
        <<<task.row_count, kScoreThreads, layout.bytes, stream>>>(view, task, layout);
    return static_cast<int>(cudaGetLastError());
  });
}

}  // namespace concord::cuda
