// Filtered searches on the device: walks, by a warp or a block a query as without a filter, and
// scans of the matches, by a block a query.
#include "cuda/filtered_search.hpp"
#include "cuda/kernels_common.cuh"

namespace concord::cuda {
namespace {

/// Of an SM: 128 registers a thread, because a walk holds the rule beside a search.
constexpr unsigned kWalkWarpsResident = 16;

template <bool kL2, std::uint32_t kThreads, bool kSomeDied>
__global__ void __launch_bounds__(128, kWalkWarpsResident / 4)
    walk_kernel(const MirrorView view, const FilteredTask task, const WalkLayout layout) {
  CudaTeam<kThreads> team;
  const std::uint32_t in_block = threadIdx.x / kThreads;
  const std::uint32_t index = blockIdx.x * search_teams_per_block(kThreads) + in_block;
  if (index >= task.search.count) return;
  walk_query<kL2, kSomeDied>(team, view, task, index, x_shared + in_block * layout.bytes, layout);
}

template <bool kL2, bool kSomeDied>
__global__ void __launch_bounds__(kScanThreads)
    scan_kernel(const MirrorView view, const FilteredTask task, const BeamLayout layout) {
  CudaTeam<kScanThreads> team;
  scan_query<kL2, kSomeDied>(team, view, task, blockIdx.x, x_shared, layout);
}

template <bool kL2, std::uint32_t kThreads>
int launch_walk(const MirrorView& view, const FilteredTask& task, Stream stream) {
  const WalkLayout layout = walk_layout(task.search.ef, view.M, view.dimension);
  constexpr std::uint32_t kTeams = search_teams_per_block(kThreads);
  const std::uint32_t blocks = (task.search.count + kTeams - 1) / kTeams;
  return with_deaths(view.gone != nullptr, [&](auto some_died) {
    walk_kernel<kL2, kThreads, some_died.value>
        <<<blocks, kTeams * kThreads, search_shared_bytes(layout.bytes, kThreads), stream>>>(
            view, task, layout);
    return static_cast<int>(cudaGetLastError());
  });
}

template <bool kL2, bool kSomeDied>
int prepare() {
  return first_error(allow_shared_memory(walk_kernel<kL2, 32, kSomeDied>),
                     allow_shared_memory(walk_kernel<kL2, 128, kSomeDied>),
                     allow_shared_memory(scan_kernel<kL2, kSomeDied>));
}

}  // namespace

int prepare_filter_kernels() {
  return first_error(prepare<true, false>(), prepare<true, true>(), prepare<false, false>(),
                     prepare<false, true>());
}

int launch_walk_matches_async(const MirrorView& view, const FilteredTask& task, Stream stream) {
  if (task.search.count == 0) return 0;
  const WalkLayout layout = walk_layout(task.search.ef, view.M, view.dimension);
  return with_metric(view.metric, [&](auto l2) {
    return search_threads(task.search.threads, task.search.count, layout.bytes) == 32
               ? launch_walk<l2.value, 32>(view, task, stream)
               : launch_walk<l2.value, 128>(view, task, stream);
  });
}

int launch_scan_matches_async(const MirrorView& view, const FilteredTask& task, Stream stream) {
  if (task.search.count == 0) return 0;
  const BeamLayout layout = scan_layout(task.search.k, view.dimension);
  return with_metric(view.metric, [&](auto l2) {
    return with_deaths(view.gone != nullptr, [&](auto some_died) {
      scan_kernel<l2.value, some_died.value>
          <<<task.search.count, kScanThreads, layout.bytes, stream>>>(view, task, layout);
      return static_cast<int>(cudaGetLastError());
    });
  });
}

}  // namespace concord::cuda
