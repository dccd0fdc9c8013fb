// The committer alone: proposals and prune scores are recorded once and replayed, so that the time
// is that of the one thread that changes the graph.

#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "bench/synthetic.hpp"
#include "common/builder.hpp"
#include "common/committer.hpp"
#include "cpu/isa.hpp"
#include "cpu/proposer.hpp"

namespace concord::bench {
namespace {

using core::Epoch;
using core::NodeId;

/// Keeps what another proposer answers.
class Recorder final : public core::Proposer {
 public:
  Recorder(core::Proposer& proposer, std::vector<core::ProposalBatch>& batches,
           std::vector<core::PruneScores>& scores)
      : proposer_(proposer), batches_(batches), scores_(scores) {}
  void start(const Epoch& epoch, NodeId begin, NodeId end, const core::StopRequest& stop) override {
    proposer_.start(epoch, begin, end, stop);
    batches_.push_back(*proposer_.finish(stop));
  }
  const core::ProposalBatch* finish(const core::StopRequest&) override { return &batches_.back(); }
  const core::PruneScores& score(const core::PruneBatch& batch) override {
    return scores_.emplace_back(proposer_.score(batch));
  }
  void sealed() override { proposer_.sealed(); }

 private:
  core::Proposer& proposer_;
  std::vector<core::ProposalBatch>& batches_;
  std::vector<core::PruneScores>& scores_;
};

/// Answers with what was recorded.
class Replayer final : public core::Proposer {
 public:
  explicit Replayer(const std::vector<core::PruneScores>& scores) : scores_(scores) {}
  void start(const Epoch&, NodeId, NodeId, const core::StopRequest&) override {}
  const core::ProposalBatch* finish(const core::StopRequest&) override { return nullptr; }
  const core::PruneScores& score(const core::PruneBatch&) override { return scores_[next_++]; }
  void sealed() override {}

 private:
  const std::vector<core::PruneScores>& scores_;
  std::size_t next_ = 0;
};

struct Recording {
  IndexParams params;
  NodeId size = 0;
  std::vector<core::ProposalBatch> batches;
  std::vector<core::PruneScores> scores;
};

Recording record(NodeId size, std::uint32_t dimension) {
  Recording recording;
  recording.params.dimension = dimension;
  recording.size = size;
  const FloatMatrix data = synthetic_vectors({size, dimension, 1}, 0, size, 0);
  core::ThreadPool pool(0);
  core::VectorStore vectors(recording.params);
  vectors.resize(size);
  vectors.write(0, {data.values.data(), data.rows, data.cols}, pool);
  core::Graph graph(recording.params);
  graph.announce(size);
  BuildStats stats;
  core::Committer committer(graph, stats);
  cpu::CpuProposer proposer(
      graph, vectors, cpu::for_metric(cpu::choose_kernels(), recording.params.metric), pool, stats);
  Recorder recorder(proposer, recording.batches, recording.scores);
  // One batch at a time: each is committed before the next is proposed.
  while (graph.size() < size) {
    const Epoch& epoch = graph.epoch();
    const NodeId end = std::min(epoch.end, size);
    recorder.start(epoch, graph.size(), end, {});
    committer.commit(recording.batches.back());
    if (committer.seal_is_due()) committer.seal(recorder);
  }
  return recording;
}

void commit_and_seal(benchmark::State& state) {
  const Recording recording =
      record(static_cast<NodeId>(state.range(0)), static_cast<std::uint32_t>(state.range(1)));
  BuildStats stats;
  for (auto _ : state) {
    state.PauseTiming();
    auto graph = std::make_unique<core::Graph>(recording.params);
    graph->announce(recording.size);
    stats = {};
    core::Committer committer(*graph, stats);
    Replayer replayer(recording.scores);
    state.ResumeTiming();
    for (const core::ProposalBatch& batch : recording.batches) {
      committer.commit(batch);
      if (committer.seal_is_due()) committer.seal(replayer);
    }
    benchmark::DoNotOptimize(graph->entry_point());
    state.PauseTiming();
    graph.reset();
    state.ResumeTiming();
  }
  const double n = recording.size;
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * recording.size);
  state.counters["commit_us"] = stats.commit.seconds / n * 1e6;
  state.counters["seal_us"] = stats.seal.seconds / n * 1e6;
  state.counters["cuts"] = static_cast<double>(stats.seal.count) / n;
}
BENCHMARK(commit_and_seal)->Args({100000, 128})->Unit(benchmark::kMillisecond)->Iterations(5);

}  // namespace
}  // namespace concord::bench
