// Search on the device: a warp a query for large batches, a block a query for small ones.
#include "cuda/kernels_common.cuh"
#include "cuda/search.hpp"

namespace concord::cuda {
namespace {

/// Of an SM: 96 registers a thread; shared memory allows no more at usual list lengths either.
constexpr unsigned kSearchWarpsResident = 20;

template <bool kL2, std::uint32_t kThreads>
__global__ void __launch_bounds__(128, kSearchWarpsResident / 4)
    search_kernel(const MirrorView view, const SearchTask task, const BeamLayout layout) {
  CudaTeam<kThreads> team;
  const std::uint32_t in_block = threadIdx.x / kThreads;
  const std::uint32_t index = blockIdx.x * search_teams_per_block(kThreads) + in_block;
  if (index >= task.count) return;
  search_query<kL2>(team, view, task, index, x_shared + in_block * layout.bytes, layout);
}

template <bool kL2, std::uint32_t kThreads>
int launch(const MirrorView& view, const SearchTask& task, Stream stream) {
  const BeamLayout layout = beam_layout(task.ef, 2 * view.M, view.dimension);
  constexpr std::uint32_t kTeams = search_teams_per_block(kThreads);
  search_kernel<kL2, kThreads>
      <<<(task.count + kTeams - 1) / kTeams, kTeams * kThreads,
         search_shared_bytes(layout, kThreads), stream>>>(view, task, layout);
  return cudaGetLastError();
}

}  // namespace

int prepare_search_kernels() {
  return first_error(allow_shared_memory(search_kernel<true, 32>),
                     allow_shared_memory(search_kernel<true, 128>),
                     allow_shared_memory(search_kernel<false, 32>),
                     allow_shared_memory(search_kernel<false, 128>));
}

int launch_search_async(const MirrorView& view, const SearchTask& task, Stream stream) {
  if (task.count == 0) return 0;
  const BeamLayout layout = beam_layout(task.ef, 2 * view.M, view.dimension);
  return with_metric(view.metric, [&](auto l2) {
    return search_threads(task.threads, task.count, layout) == 32
               ? launch<l2.value, 32>(view, task, stream)
               : launch<l2.value, 128>(view, task, stream);
  });
}

}  // namespace concord::cuda
