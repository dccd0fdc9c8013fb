// Search on the device: a warp a query for large batches, a block a query for small ones.
#include "cuda/kernels_common.cuh"
#include "cuda/search.hpp"

namespace concord::cuda {
namespace {

/// Of an SM: 96 registers a thread; shared memory allows no more at usual list lengths either.
constexpr unsigned kSearchWarpsResident = 20;

template <bool kL2, std::uint32_t kThreads, bool kSomeDied>
__global__ void __launch_bounds__(128, (kSomeDied ? kWarpsOfTwoLists : kSearchWarpsResident) / 4)
    search_kernel(const MirrorView view, const SearchTask task, const BeamLayout layout) {
  CudaTeam<kThreads> team;
  const std::uint32_t in_block = threadIdx.x / kThreads;
  const std::uint32_t index = blockIdx.x * search_teams_per_block(kThreads) + in_block;
  if (index >= task.count) return;
  const std::uint32_t bytes = layout.bytes + (kSomeDied ? others_bytes(task.others) : 0);
  search_query<kL2, kSomeDied>(team, view, task, index, x_shared + in_block * bytes, layout);
}

template <bool kL2, std::uint32_t kThreads>
int launch(const MirrorView& view, const SearchTask& task, const BeamLayout& layout,
           Stream stream) {
  constexpr std::uint32_t kTeams = search_teams_per_block(kThreads);
  const std::uint32_t blocks = (task.count + kTeams - 1) / kTeams;
  const std::size_t bytes = search_shared_bytes(layout.bytes + others_bytes(task.others), kThreads);
  return with_deaths(task.others > 0, [&](auto some_died) {
    search_kernel<kL2, kThreads, some_died.value>
        <<<blocks, kTeams * kThreads, bytes, stream>>>(view, task, layout);
    return static_cast<int>(cudaGetLastError());
  });
}

template <bool kL2, bool kSomeDied>
int prepare() {
  return first_error(allow_shared_memory(search_kernel<kL2, 32, kSomeDied>),
                     allow_shared_memory(search_kernel<kL2, 128, kSomeDied>));
}

}  // namespace

int prepare_search_kernels() {
  return first_error(prepare<true, false>(), prepare<true, true>(), prepare<false, false>(),
                     prepare<false, true>());
}

int launch_search_async(const MirrorView& view, const SearchTask& task, Stream stream) {
  if (task.count == 0) return 0;
  const BeamLayout layout = beam_layout(task.ef, 2 * view.M, view.dimension);
  return with_metric(view.metric, [&](auto l2) {
    return search_threads(task.threads, task.count, layout.bytes + others_bytes(task.others)) == 32
               ? launch<l2.value, 32>(view, task, layout, stream)
               : launch<l2.value, 128>(view, task, layout, stream);
  });
}

}  // namespace concord::cuda
