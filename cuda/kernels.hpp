// Entry points of the CUDA kernels, for code that is compiled without CUDA headers.
//
// Each launch_… enqueues its work on `stream` and returns at once: 0, or the cudaError_t of a
// failed launch. Views and tasks are copied; what they point to must stay until the work is done.
// They keep no state and may be called from any thread. prepare_kernels() comes first, once per
// device.
//
// REQUIRES of every task: can_propose, can_search, can_filter or can_exact (launch_policy.hpp) for
// the device.
#pragma once

#include "cuda/launch_policy.hpp"
#include "cuda/views.hpp"

struct CUstream_st;

namespace concord::cuda {

using Stream = CUstream_st*;
class Temporaries;

/// Allows the kernels the current device's full shared memory; 0 or a cudaError_t.
[[nodiscard]] int prepare_kernels();

[[nodiscard]] int launch_propose_async(const MirrorView& view, const ProposeTask& task,
                                       Stream stream);
[[nodiscard]] int launch_score_lists_async(const MirrorView& view, const ScoreTask& task,
                                           Stream stream);
[[nodiscard]] int launch_search_async(const MirrorView& view, const SearchTask& task,
                                      Stream stream);
[[nodiscard]] int launch_walk_matches_async(const MirrorView& view, const FilteredTask& task,
                                            Stream stream);
[[nodiscard]] int launch_scan_matches_async(const MirrorView& view, const FilteredTask& task,
                                            Stream stream);
[[nodiscard]] int launch_mark_ids_async(const MarkTask& task, Stream stream);
[[nodiscard]] int launch_distances_async(const MirrorView& view, const DistanceTask& task,
                                         Stream stream);
[[nodiscard]] int launch_exact_async(const MirrorView& view, const ExactTask& task, Stream stream);
[[nodiscard]] int launch_scatter_async(const ScatterTask& task, Stream stream);
[[nodiscard]] int launch_write_results_async(const ResultTask& task, Stream stream);
[[nodiscard]] int launch_append_links_async(const AppendTask& task, Stream stream);
/// These three throw what Temporaries::take throws.
[[nodiscard]] int launch_sort_gains_async(const SortGainsTask& task, Temporaries& temporaries,
                                          Stream stream);
[[nodiscard]] int launch_select_ids_async(const SelectTask& task, Temporaries& temporaries,
                                          Stream stream);
[[nodiscard]] int launch_find_largest_async(const LargestTask& task, Temporaries& temporaries,
                                            Stream stream);
[[nodiscard]] int launch_take_rows_async(const TakeTask& task, Stream stream);

}  // namespace concord::cuda
