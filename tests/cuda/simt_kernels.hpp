// The kernels' entry points run by SimtTeam, block after block: what a device would do, emulated.
#pragma once

#include <algorithm>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "cuda/append_links.hpp"
#include "cuda/distance_tile.hpp"
#include "cuda/exact_knn.hpp"
#include "cuda/filtered_search.hpp"
#include "cuda/propose.hpp"
#include "cuda/score_list.hpp"
#include "cuda/search.hpp"
#include "cuda/take_rows.hpp"
#include "tests/cuda/simt_team.hpp"

namespace concord::cuda::testing {

/// A block's shared memory, filled with rubbish as on a device.
class SimtShared {
 public:
  explicit SimtShared(std::size_t bytes) : pieces_((bytes + 15) / 16) { spoil(); }
  unsigned char* data() { return reinterpret_cast<unsigned char*>(pieces_.data()); }
  void spoil() { std::memset(static_cast<void*>(pieces_.data()), 0x5A, pieces_.size() * 16); }

 private:
  std::vector<Float4> pieces_;
};

/// Runs f(team, block index, shared memory) for each block.
template <std::uint32_t kThreads, class F>
void simt_launch(std::uint32_t blocks, std::size_t shared_bytes, std::uint64_t seed, F&& f) {
  SimtShared shared(shared_bytes);
  SimtBlock block(kThreads, seed);
  for (std::uint32_t b = 0; b < blocks; ++b) {
    shared.spoil();
    block.run([&](SimtBlock& self, std::uint32_t thread) {
      SimtTeam<kThreads> team(self, thread);
      f(team, b, shared.data());
    });
  }
}

/// Runs f(j) for each j below `count`, by a thread of its own.
template <class F>
void simt_for_each(std::uint32_t count, std::uint64_t seed, F&& f) {
  constexpr std::uint32_t kThreads = 64;
  simt_launch<kThreads>((count + kThreads - 1) / kThreads, 16, seed,
                        [&](auto& team, std::uint32_t b, unsigned char*) {
                          const std::uint32_t j = b * kThreads + team.rank();
                          if (j < count) f(j);
                        });
}

inline void simt_sort_gains(const SortGainsTask& task, std::uint64_t seed) {
  const std::uint32_t M = task.links.M;
  simt_for_each(task.links.nodes * M, seed,
                [&](std::uint32_t j) { gather_gains(task, j / M, j % M); });
  for (unsigned t = 0; t < kTables; ++t) {
    const Gains& found = task.found[t];
    std::vector<std::pair<std::uint32_t, NodeId>> gains;
    for (std::uint32_t j = 0; j < found.count; ++j) gains.emplace_back(found.list[j], found.id[j]);
    std::stable_sort(gains.begin(), gains.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (std::uint32_t j = 0; j < found.count; ++j) {
      std::tie(task.sorted[t].list[j], task.sorted[t].id[j]) = gains[j];
    }
  }
}

inline void simt_append_links(const AppendTask& task, std::uint64_t seed) {
  const std::uint32_t width = task.width(0);
  simt_for_each(task.links.nodes * width, seed,
                [&](std::uint32_t j) { write_own_links(task, j / width, j % width); });
  for (unsigned t = 0; t < kTables; ++t) {
    simt_for_each(task.sorted[t].count, seed, [&](std::uint32_t j) {
      append_gains(task.sorted[t], task.tables[t], task.width(t), j);
    });
  }
}

inline void simt_distances(const MirrorView& view, const DistanceTask& task, std::uint64_t seed) {
  using Team = SimtTeam<kDistanceThreads>;
  const std::uint32_t queries =
      (task.query_count + kQueriesPerBlock<Team> - 1) / kQueriesPerBlock<Team>;
  const std::uint32_t vectors = (task.count + kVectorsPerBlock - 1) / kVectorsPerBlock;
  with_metric(view.metric, [&](auto l2) {
    simt_launch<kDistanceThreads>(
        queries * vectors, 16, seed, [&](auto& team, std::uint32_t b, unsigned char*) {
          distance_block<l2.value>(team, view, task, b % queries, b / queries);
        });
  });
}

/// Calls run(l2, some_died) with the instance of an algorithm that a task needs.
template <class Run>
void in_instance(const MirrorView& view, bool some_died, const Run& run) {
  with_metric(view.metric,
              [&](auto l2) { with_deaths(some_died, [&](auto died) { run(l2, died); }); });
}

template <std::uint32_t kThreads>
void simt_propose(const MirrorView& view, const ProposeTask& task, std::uint64_t seed) {
  simt_distances(view, tail_distance_task(view, task), seed);
  const BeamLayout layout = propose_layout(task.ef_construction, view.M, view.dimension);
  in_instance(view, task.others > 0, [&](auto l2, auto some_died) {
    simt_launch<kThreads>(task.end - task.begin, layout.bytes + others_bytes(task.others), seed,
                          [&](auto& team, std::uint32_t b, unsigned char* shared) {
                            propose_node<l2.value, some_died.value>(team, view, task, b, shared,
                                                                    layout);
                          });
  });
}

template <std::uint32_t kThreads, class Accept, class Results>
void simt_search(const MirrorView& view, const SearchTask& task, std::uint64_t seed,
                 const Accept& accept, const Results& results) {
  const BeamLayout layout = beam_layout(task.ef, 2 * view.M, view.dimension);
  const std::size_t bytes =
      layout.bytes +
      (std::is_same_v<Accept, core::AllIds> ? 0 : merge_layout(accept.others()).bytes);
  with_metric(view.metric, [&](auto l2) {
    simt_launch<kThreads>(
        task.count, bytes, seed, [&](auto& team, std::uint32_t b, unsigned char* shared) {
          search_query<l2.value>(team, view, task, accept, results, b, shared, layout);
        });
  });
}

template <std::uint32_t kThreads>
void simt_search(const MirrorView& view, const SearchTask& task, std::uint64_t seed) {
  with_deaths(task.others > 0, [&](auto some_died) {
    simt_search<kThreads>(view, task, seed, living_ids<some_died.value>(view, view.n, task.others),
                          core::KNearest{task.k, task.out, task.counts});
  });
}

template <std::uint32_t kThreads>
void simt_walk_matches(const MirrorView& view, const FilteredTask& task, std::uint64_t seed) {
  const WalkLayout layout = walk_layout(task.search.ef, view.M, view.dimension);
  in_instance(view, view.gone != nullptr, [&](auto l2, auto some_died) {
    simt_launch<kThreads>(task.search.count, layout.bytes, seed,
                          [&](auto& team, std::uint32_t b, unsigned char* shared) {
                            walk_query<l2.value, some_died.value>(team, view, task, b, shared,
                                                                  layout);
                          });
  });
}

inline void simt_scan_matches(const MirrorView& view, const FilteredTask& task,
                              std::uint64_t seed) {
  const BeamLayout layout = scan_layout(task.search.k, view.dimension);
  in_instance(view, view.gone != nullptr, [&](auto l2, auto some_died) {
    simt_launch<kScanThreads>(task.search.count, layout.bytes, seed,
                              [&](auto& team, std::uint32_t b, unsigned char* shared) {
                                scan_query<l2.value, some_died.value>(team, view, task, b, shared,
                                                                      layout);
                              });
  });
}

inline void simt_score_lists(const MirrorView& view, const ScoreTask& task, std::uint64_t seed) {
  const ScoreLayout layout = score_layout(task.words);
  with_metric(view.metric, [&](auto l2) {
    simt_launch<kScoreThreads>(task.count, layout.bytes, seed,
                               [&](auto& team, std::uint32_t b, unsigned char* shared) {
                                 score_list<l2.value>(team, view, task, b, shared, layout);
                               });
  });
}

inline void simt_exact(const MirrorView& view, const ExactTask& task, std::uint64_t seed) {
  const BeamLayout layout = merge_layout(task.k);
  for_each_stretch(task, view.n, [&](const ExactStretch& stretch) {
    simt_distances(view, exact_distance_task(task, stretch), seed);
    with_deaths(view.gone != nullptr, [&](auto some_died) {
      simt_launch<kMergeThreads>(stretch.query_count, layout.bytes, seed,
                                 [&](auto& team, std::uint32_t b, unsigned char* shared) {
                                   exact_merge<some_died.value>(team, view, task, stretch, b,
                                                                shared, layout);
                                 });
    });
    return true;
  });
}

inline void simt_take_rows(const TakeTask& task, std::uint64_t seed) {
  simt_launch<kTakeThreads>((task.count + kTakenRows - 1) / kTakenRows, kTakenRows * sizeof(double),
                            seed, [&](auto& team, std::uint32_t b, unsigned char* shared) {
                              take_rows_block(team, task, b, reinterpret_cast<double*>(shared));
                            });
}

}  // namespace concord::cuda::testing
