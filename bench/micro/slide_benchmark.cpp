// What a slide costs for each node that it moves (common/contents/slide.hpp), with vectors of
// bytes.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <vector>

#include "common/base/mix64.hpp"
#include "common/build/committer.hpp"
#include "common/contents/slide.hpp"
#include "cpu/isa.hpp"
#include "cpu/proposer.hpp"

namespace concord::bench {
namespace {

using core::NodeId;

/// An index of vectors of bytes that forgets some of them.
class Shrinking {
 public:
  Shrinking(NodeId size, std::uint32_t dimension)
      : params_({.dimension = dimension, .ef_construction = 64}),
        pool_(0),
        contents_(params_),
        committer_(contents_.graph, stats_),
        proposer_(contents_, cpu::for_metric(cpu::choose_kernels(), params_.metric), pool_,
                  stats_) {
    std::vector<float> values(std::size_t{size} * dimension);
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(core::mix64(i) % 200);
    }
    contents_.vectors.resize(size);
    contents_.vectors.write(0, {values.data(), size, dimension}, pool_);
    contents_.labels.append({}, size, 0);
    core::Graph& graph = contents_.graph;
    graph.announce(size);
    while (graph.size() < size) {
      proposer_.start(graph.epoch(), graph.size(), std::min(graph.epoch().end, size), {});
      committer_.commit(*proposer_.finish({}));
      if (committer_.seal_is_due()) committer_.seal(proposer_);
    }
  }

  /// Unlinks one of `of` nodes, drawn anew in each round.
  void unlink_some(std::uint64_t of, std::uint64_t round) {
    core::Graph& graph = contents_.graph;
    graph.reserve_deaths(graph.size());
    for (NodeId node = 0; node < graph.size(); ++node) {
      if (core::mix64(node + (round << 32)) % of != 0) continue;
      graph.remove(node);
      if (committer_.seal_is_due()) committer_.seal(proposer_);
    }
    if (!graph.pending().empty()) committer_.seal(proposer_);
  }
  void slide() { core::slide(contents_); }
  [[nodiscard]] NodeId size() const { return contents_.graph.size(); }

 private:
  IndexParams params_;
  core::ThreadPool pool_;
  core::Contents contents_;
  BuildStats stats_;
  core::Committer committer_;
  cpu::CpuProposer proposer_;
};

void slide(benchmark::State& state) {
  Shrinking index(static_cast<NodeId>(state.range(0)), 128);
  std::uint64_t moved = 0;
  for (auto _ : state) {
    state.PauseTiming();
    index.unlink_some(5, moved);
    state.ResumeTiming();
    index.slide();
    moved += index.size();
  }
  state.counters["per_node"] = benchmark::Counter(
      static_cast<double>(moved), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

BENCHMARK(slide)->Arg(100000)->Iterations(3)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace concord::bench
