// HostTeam over host memory; see host_kernels.hpp.
#include "cuda/host_kernels.hpp"

#include <memory>
#include <new>

#include "cuda/distance_tile.hpp"
#include "cuda/exact_knn.hpp"
#include "cuda/propose.hpp"
#include "cuda/scatter.hpp"
#include "cuda/score_row.hpp"
#include "cuda/search.hpp"
#include "cuda/take_rows.hpp"

namespace concord::cuda {
namespace {

/// A block's shared memory, of exactly the size the launch policy grants.
class SharedMemory {
 public:
  explicit SharedMemory(std::size_t bytes)
      : bytes_(static_cast<unsigned char*>(::operator new (bytes, std::align_val_t{16}))) {}
  [[nodiscard]] unsigned char* data() const { return bytes_.get(); }

 private:
  struct Free {
    void operator()(unsigned char* p) const { ::operator delete (p, std::align_val_t{16}); }
  };
  std::unique_ptr<unsigned char, Free> bytes_;
};

/// Calls f with the metric as a constant.
template <class F>
void with_metric(Metric metric, F&& f) {
  if (metric == Metric::l2sq) {
    f(std::bool_constant<true>{});
  } else {
    f(std::bool_constant<false>{});
  }
}

}  // namespace

void run_distances(const MirrorView& view, const DistanceTask& task) {
  if (task.query_count == 0 || task.count == 0) return;
  HostTeam team;
  const std::uint32_t query_blocks =
      (task.query_count + kQueriesPerBlock<HostTeam> - 1) / kQueriesPerBlock<HostTeam>;
  const std::uint32_t vector_blocks = (task.count + kVectorsPerBlock - 1) / kVectorsPerBlock;
  with_metric(view.metric, [&](auto l2) {
    for (std::uint32_t q = 0; q < query_blocks; ++q) {
      for (std::uint32_t v = 0; v < vector_blocks; ++v) {
        distance_block<l2.value>(team, view, task, q, v);
      }
    }
  });
}

void run_propose(const MirrorView& view, const ProposeTask& task) {
  run_distances(view, tail_distance_task(view, task));
  const BeamLayout layout = propose_layout(task.ef_construction, view.M, view.dimension);
  const SharedMemory shared(layout.bytes);
  HostTeam team;
  with_metric(view.metric, [&](auto l2) {
    for (std::uint32_t j = 0; j < task.end - task.begin; ++j) {
      propose_node<l2.value>(team, view, task, j, shared.data(), layout);
    }
  });
}

void run_score_rows(const MirrorView& view, const PruneTask& task) {
  const ScoreLayout layout = score_layout(task.words);
  const SharedMemory shared(layout.bytes);
  HostTeam team;
  with_metric(view.metric, [&](auto l2) {
    for (std::uint32_t j = 0; j < task.row_count; ++j) {
      score_row<l2.value>(team, view, task, j, shared.data(), layout);
    }
  });
}

void run_search(const MirrorView& view, const SearchTask& task) {
  const BeamLayout layout = beam_layout(task.ef, 2 * view.M, view.dimension);
  const SharedMemory shared(layout.bytes);
  HostTeam team;
  with_metric(view.metric, [&](auto l2) {
    for (std::uint32_t j = 0; j < task.count; ++j) {
      search_query<l2.value>(team, view, task, j, shared.data(), layout);
    }
  });
}

void run_exact(const MirrorView& view, const ExactTask& task) {
  if (task.count == 0 || task.k == 0) return;
  const BeamLayout layout = merge_layout(task.k);
  const SharedMemory shared(layout.bytes);
  HostTeam team;
  for_each_stretch(task, view.n, [&](const ExactStretch& stretch) {
    run_distances(view, exact_distance_task(task, stretch));
    for (std::uint32_t j = 0; j < stretch.query_count; ++j) {
      exact_merge(team, task, stretch, j, shared.data(), layout);
    }
    return true;
  });
}

void run_scatter(const ScatterTask& task) {
  for (std::size_t j = 0; j < std::size_t{task.count} * task.width; ++j) scatter_id(task, j);
}

void run_take_rows(const TakeTask& task) {
  HostTeam team;
  double scales[kTakenRows];
  for (std::uint32_t block = 0; block * kTakenRows < task.count; ++block) {
    take_rows_block(team, task, block, scales);
  }
}

}  // namespace concord::cuda
