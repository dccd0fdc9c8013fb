// HostTeam over host memory; see host_kernels.hpp.
#include "tests/support/host_kernels.hpp"

#include <algorithm>
#include <memory>
#include <new>
#include <numeric>
#include <vector>

#include "cuda/append_links.hpp"
#include "cuda/distance_tile.hpp"
#include "cuda/exact_knn.hpp"
#include "cuda/filtered_search.hpp"
#include "cuda/propose.hpp"
#include "cuda/score_list.hpp"
#include "cuda/search.hpp"
#include "cuda/take_rows.hpp"
#include "cuda/write_results.hpp"

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

/// Calls run(team, l2, some_died) with the instance of an algorithm that a task needs.
template <class Run>
void in_instance(const MirrorView& view, bool some_died, const Run& run) {
  HostTeam team;
  with_metric(view.metric,
              [&](auto l2) { with_deaths(some_died, [&](auto died) { run(team, l2, died); }); });
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
  const SharedMemory shared(layout.bytes + others_bytes(task.others));
  in_instance(view, task.others > 0, [&](HostTeam& team, auto l2, auto some_died) {
    for (std::uint32_t j = 0; j < task.end - task.begin; ++j) {
      propose_node<l2.value, some_died.value>(team, view, task, j, shared.data(), layout);
    }
  });
}

void run_score_lists(const MirrorView& view, const ScoreTask& task) {
  const ScoreLayout layout = score_layout(task.words);
  const SharedMemory shared(layout.bytes);
  HostTeam team;
  with_metric(view.metric, [&](auto l2) {
    for (std::uint32_t j = 0; j < task.count; ++j) {
      score_list<l2.value>(team, view, task, j, shared.data(), layout);
    }
  });
}

void run_search(const MirrorView& view, const SearchTask& task) {
  const BeamLayout layout = beam_layout(task.ef, 2 * view.M, view.dimension);
  const SharedMemory shared(layout.bytes + others_bytes(task.others));
  in_instance(view, task.others > 0, [&](HostTeam& team, auto l2, auto some_died) {
    for (std::uint32_t j = 0; j < task.count; ++j) {
      search_query<l2.value, some_died.value>(team, view, task, j, shared.data(), layout);
    }
  });
}

void run_walk_matches(const MirrorView& view, const FilteredTask& task) {
  const WalkLayout layout = walk_layout(task.search.ef, view.M, view.dimension);
  const SharedMemory shared(layout.bytes);
  in_instance(view, view.gone != nullptr, [&](HostTeam& team, auto l2, auto some_died) {
    for (std::uint32_t j = 0; j < task.search.count; ++j) {
      walk_query<l2.value, some_died.value>(team, view, task, j, shared.data(), layout);
    }
  });
}

void run_scan_matches(const MirrorView& view, const FilteredTask& task) {
  const BeamLayout layout = scan_layout(task.search.k, view.dimension);
  const SharedMemory shared(layout.bytes);
  in_instance(view, view.gone != nullptr, [&](HostTeam& team, auto l2, auto some_died) {
    for (std::uint32_t j = 0; j < task.search.count; ++j) {
      scan_query<l2.value, some_died.value>(team, view, task, j, shared.data(), layout);
    }
  });
}

void run_mark_ids(const MarkTask& task) {
  for (std::uint32_t j = 0; j < task.count; ++j) {
    const NodeId id = task.ids[j];
    task.bits[id / FilterView::kBits] |= 1u << id % FilterView::kBits;
  }
}

void run_select_ids(const SelectTask& task) {
  const FilterView marked{task.bits, nullptr, task.end, 0};
  *task.count = 0;
  for (NodeId id = 0; id < task.end; ++id) {
    if (marked(id)) task.ids[(*task.count)++] = id;
  }
}

void run_write_results(const ResultTask& task) {
  for (std::uint32_t query = 0; query < task.count; ++query) {
    for (std::uint32_t place = 0; place < task.k; ++place) write_result(task, query, place);
  }
}

void run_exact(const MirrorView& view, const ExactTask& task) {
  if (task.count == 0 || task.k == 0) return;
  const BeamLayout layout = merge_layout(task.k);
  const SharedMemory shared(layout.bytes);
  HostTeam team;
  for_each_stretch(task, view.n, [&](const ExactStretch& stretch) {
    run_distances(view, exact_distance_task(task, stretch));
    with_deaths(view.gone != nullptr, [&](auto some_died) {
      for (std::uint32_t j = 0; j < stretch.query_count; ++j) {
        exact_merge<some_died.value>(team, view, task, stretch, j, shared.data(), layout);
      }
    });
    return true;
  });
}

void run_scatter(const ScatterTask& task) {
  for (std::size_t j = 0; j < task.count; ++j) {
    const NodeId* const from = task.ids + j * task.width;
    std::copy_n(from, task.width, task.links + std::size_t{task.list_index[j]} * task.width);
  }
}

void run_sort_gains(const SortGainsTask& task) {
  for (std::uint32_t index = 0; index < task.links.nodes; ++index) {
    for (std::uint32_t place = 0; place < task.links.M; ++place) gather_gains(task, index, place);
  }
  for (unsigned t = 0; t < kTables; ++t) {
    const Gains& found = task.found[t];
    std::vector<std::uint32_t> order(found.count);
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      return found.list[a] < found.list[b];
    });
    for (std::uint32_t j = 0; j < found.count; ++j) {
      task.sorted[t].list[j] = found.list[order[j]];
      task.sorted[t].id[j] = found.id[order[j]];
    }
  }
}

// Every second thread from the back comes first: their order must not matter.
void run_append_links(const AppendTask& task) {
  const auto in_some_order = [](std::uint32_t count, const auto& run) {
    for (std::uint32_t j = count; j-- > 0;) {
      if (j % 2 != 0) run(j);
    }
    for (std::uint32_t j = 0; j < count; j += 2) run(j);
  };
  in_some_order(task.links.nodes, [&](std::uint32_t index) {
    in_some_order(2 * task.links.M,
                  [&](std::uint32_t place) { write_own_links(task, index, place); });
  });
  for (unsigned t = 0; t < kTables; ++t) {
    in_some_order(task.sorted[t].count, [&](std::uint32_t position) {
      append_gains(task.sorted[t], task.tables[t], task.width(t), position);
    });
  }
}

void run_find_largest(const LargestTask& task) {
  *task.out = 0;
  for (std::size_t r = 0; r < task.count; ++r) {
    const float* const row = task.from + r * task.from_stride;
    for (std::uint32_t e = 0; e < task.dimension; ++e) {
      *task.out = std::max(*task.out, magnitude_bits(row[e]));
    }
  }
}

void run_take_rows(const TakeTask& task) {
  HostTeam team;
  double scales[kTakenRows];
  for (std::uint32_t block = 0; block * kTakenRows < task.count; ++block) {
    take_rows_block(team, task, block, scales);
  }
}

}  // namespace concord::cuda
