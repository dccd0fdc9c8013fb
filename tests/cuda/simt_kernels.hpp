// The kernels' entry points run by SimtTeam, block after block: what a device would do, emulated.
#pragma once

#include "cuda/distance_tile.hpp"
#include "cuda/exact_knn.hpp"
#include "cuda/propose.hpp"
#include "cuda/score_row.hpp"
#include "cuda/search.hpp"
#include "cuda/take_rows.hpp"
#include "tests/cuda/simt_team.hpp"

namespace concord::cuda::testing {

template <class F>
void simt_metric(Metric metric, F&& f) {
  if (metric == Metric::l2sq) {
    f(std::bool_constant<true>{});
  } else {
    f(std::bool_constant<false>{});
  }
}

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

inline void simt_distances(const MirrorView& view, const DistanceTask& task, std::uint64_t seed) {
  using Team = SimtTeam<kDistanceThreads>;
  const std::uint32_t queries =
      (task.query_count + kQueriesPerBlock<Team> - 1) / kQueriesPerBlock<Team>;
  const std::uint32_t vectors = (task.count + kVectorsPerBlock - 1) / kVectorsPerBlock;
  simt_metric(view.metric, [&](auto l2) {
    simt_launch<kDistanceThreads>(
        queries * vectors, 16, seed, [&](auto& team, std::uint32_t b, unsigned char*) {
          distance_block<l2.value>(team, view, task, b % queries, b / queries);
        });
  });
}

template <std::uint32_t kThreads>
void simt_propose(const MirrorView& view, const ProposeTask& task, std::uint64_t seed) {
  simt_distances(view, tail_distance_task(view, task), seed);
  const BeamLayout layout = propose_layout(task.ef_construction, view.M, view.dimension);
  simt_metric(view.metric, [&](auto l2) {
    simt_launch<kThreads>(task.end - task.begin, layout.bytes, seed,
                          [&](auto& team, std::uint32_t b, unsigned char* shared) {
                            propose_node<l2.value>(team, view, task, b, shared, layout);
                          });
  });
}

template <std::uint32_t kThreads>
void simt_search(const MirrorView& view, const SearchTask& task, std::uint64_t seed) {
  const BeamLayout layout = beam_layout(task.ef, 2 * view.M, view.dimension);
  simt_metric(view.metric, [&](auto l2) {
    simt_launch<kThreads>(task.count, layout.bytes, seed,
                          [&](auto& team, std::uint32_t b, unsigned char* shared) {
                            search_query<l2.value>(team, view, task, b, shared, layout);
                          });
  });
}

inline void simt_score_rows(const MirrorView& view, const PruneTask& task, std::uint64_t seed) {
  const ScoreLayout layout = score_layout(task.words);
  simt_metric(view.metric, [&](auto l2) {
    simt_launch<kScoreThreads>(task.row_count, layout.bytes, seed,
                               [&](auto& team, std::uint32_t b, unsigned char* shared) {
                                 score_row<l2.value>(team, view, task, b, shared, layout);
                               });
  });
}

inline void simt_exact(const MirrorView& view, const ExactTask& task, std::uint64_t seed) {
  const BeamLayout layout = merge_layout(task.k);
  for_each_stretch(task, view.n, [&](const ExactStretch& stretch) {
    simt_distances(view, exact_distance_task(task, stretch), seed);
    simt_launch<kMergeThreads>(stretch.query_count, layout.bytes, seed,
                               [&](auto& team, std::uint32_t b, unsigned char* shared) {
                                 exact_merge(team, task, stretch, b, shared, layout);
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
