// The kernels' entry points, run by HostTeam over host memory: the same source, sizes of shared
// memory and results as on a device. For tests and for fault injection; not for speed.
// What CUB does on a device is a plain loop here.
// Thread-safe where the tasks' outputs do not overlap.
#pragma once

#include "cuda/launch_policy.hpp"
#include "cuda/views.hpp"

namespace concord::cuda {

void run_propose(const MirrorView& view, const ProposeTask& task);
void run_score_lists(const MirrorView& view, const ScoreTask& task);
void run_search(const MirrorView& view, const SearchTask& task);
void run_walk_matches(const MirrorView& view, const FilteredTask& task);
void run_scan_matches(const MirrorView& view, const FilteredTask& task);
void run_mark_ids(const MarkTask& task);
void run_select_ids(const SelectTask& task);
void run_write_results(const ResultTask& task);
void run_distances(const MirrorView& view, const DistanceTask& task);
void run_exact(const MirrorView& view, const ExactTask& task);
void run_scatter(const ScatterTask& task);
void run_sort_gains(const SortGainsTask& task);
void run_append_links(const AppendTask& task);
void run_find_largest(const LargestTask& task);
void run_take_rows(const TakeTask& task);

}  // namespace concord::cuda
