// The kernels' entry points, run by HostTeam over host memory: the same source, sizes of shared
// memory and results as on a device. For tests and for fault injection; not for speed.
// Thread-safe where the tasks' outputs do not overlap.
#pragma once

#include "cuda/launch_policy.hpp"
#include "cuda/views.hpp"

namespace concord::cuda {

void run_propose(const MirrorView& view, const ProposeTask& task);
void run_score_rows(const MirrorView& view, const PruneTask& task);
void run_search(const MirrorView& view, const SearchTask& task);
void run_distances(const MirrorView& view, const DistanceTask& task);
void run_exact(const MirrorView& view, const ExactTask& task);
void run_scatter(const ScatterTask& task);
void run_take_rows(const TakeTask& task);

}  // namespace concord::cuda
