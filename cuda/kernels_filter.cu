// Filtered searches on the device: walks, by a warp or a block a query as without a filter, and
// scans of the matches, by a block a query.
#include "cuda/filtered_search.hpp"
#include "cuda/kernels_common.cuh"

namespace concord::cuda {
namespace {

/// Of an SM: 128 registers a thread, because a walk holds the rule beside a search.
constexpr unsigned kWalkWarpsResident = 16;

template <bool kL2, std::uint32_t kThreads>
__global__ void __launch_bounds__(128, kWalkWarpsResident / 4)
    walk_kernel(const MirrorView view, const FilteredTask task, const WalkLayout layout) {
  CudaTeam<kThreads> team;
  const std::uint32_t in_block = threadIdx.x / kThreads;
  const std::uint32_t index = blockIdx.x * search_teams_per_block(kThreads) + in_block;
  if (index >= task.search.count) return;
  walk_query<kL2>(team, view, task, index, x_shared + in_block * layout.bytes, layout);
}

template <bool kL2>
__global__ void __launch_bounds__(kScanThreads)
    scan_kernel(const MirrorView view, const FilteredTask task, const BeamLayout layout) {
  CudaTeam<kScanThreads> team;
  scan_query<kL2>(team, view, task, blockIdx.x, x_shared, layout);
}

template <bool kL2, std::uint32_t kThreads>
int launch_walk(const MirrorView& view, const FilteredTask& task, Stream stream) {
  const WalkLayout layout = walk_layout(task.search.ef, view.M, view.dimension);
  constexpr std::uint32_t kTeams = search_teams_per_block(kThreads);
  walk_kernel<kL2, kThreads><<<(task.search.count + kTeams - 1) / kTeams, kTeams * kThreads,
                               search_shared_bytes(layout, kThreads), stream>>>(view, task, layout);
  return cudaGetLastError();
}

}  // namespace

int prepare_filter_kernels() {
  return first_error(
      allow_shared_memory(walk_kernel<true, 32>), allow_shared_memory(walk_kernel<true, 128>),
      allow_shared_memory(walk_kernel<false, 32>), allow_shared_memory(walk_kernel<false, 128>),
      allow_shared_memory(scan_kernel<true>), allow_shared_memory(scan_kernel<false>));
}

int launch_walk_matches_async(const MirrorView& view, const FilteredTask& task, Stream stream) {
  if (task.search.count == 0) return 0;
  const WalkLayout layout = walk_layout(task.search.ef, view.M, view.dimension);
  return with_metric(view.metric, [&](auto l2) {
    return search_threads(task.search.threads, task.search.count, layout) == 32
               ? launch_walk<l2.value, 32>(view, task, stream)
               : launch_walk<l2.value, 128>(view, task, stream);
  });
}

int launch_scan_matches_async(const MirrorView& view, const FilteredTask& task, Stream stream) {
  if (task.search.count == 0) return 0;
  const BeamLayout layout = scan_layout(task.search.k, view.dimension);
  return with_metric(view.metric, [&](auto l2) {
    scan_kernel<l2.value>
        <<<task.search.count, kScanThreads, layout.bytes, stream>>>(view, task, layout);
    return static_cast<int>(cudaGetLastError());
  });
}

}  // namespace concord::cuda
