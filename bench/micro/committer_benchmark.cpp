// The committer alone: proposals and scores are recorded once and replayed, so that the time
// is that of the one thread that changes the graph; also with a journal, and then what that costs
// this thread (journal_ns of its processor time for each vector, of the run that took least).
// Also with threads that help it with seals, by turns with none, in shares of the time of none.

#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "bench/tool/synthetic.hpp"
#include "common/base/stopwatch.hpp"
#include "common/build/builder.hpp"
#include "common/build/committer.hpp"
#include "common/build/cutters.hpp"
#include "common/journal/journal.hpp"
#include "cpu/isa.hpp"
#include "cpu/proposer.hpp"

namespace concord::bench {
namespace {

using core::Epoch;
using core::NodeId;

/// Keeps what another proposer answers.
class Recorder final : public core::RepairingProposer {
 public:
  Recorder(core::Proposer& proposer, std::vector<core::ProposalBatch>& batches,
           std::vector<core::ListScores>& scores)
      : proposer_(proposer), batches_(batches), scores_(scores) {}
  void start(const Epoch& epoch, NodeId begin, NodeId end, const core::StopRequest& stop) override {
    proposer_.start(epoch, begin, end, stop);
    batches_.push_back(*proposer_.finish(stop));
  }
  const core::ProposalBatch* finish(const core::StopRequest&) override { return &batches_.back(); }
  const core::ListScores& score(const core::OverfullLists& batch) override {
    return scores_.emplace_back(proposer_.score(batch));
  }
  // No vector dies here.
  std::span<const core::Edge> relate(const core::Neighborhoods&) override { return {}; }
  std::span<const NodeId> propose_again(std::span<const core::ListName>) override { return {}; }
  void sealed() override { proposer_.sealed(); }

 private:
  core::Proposer& proposer_;
  std::vector<core::ProposalBatch>& batches_;
  std::vector<core::ListScores>& scores_;
};

/// Answers with what was recorded.
class Replayer final : public core::RepairingProposer {
 public:
  explicit Replayer(const std::vector<core::ListScores>& scores) : scores_(scores) {}
  void start(const Epoch&, NodeId, NodeId, const core::StopRequest&) override {}
  const core::ProposalBatch* finish(const core::StopRequest&) override { return nullptr; }
  const core::ListScores& score(const core::OverfullLists&) override { return scores_[next_++]; }
  std::span<const core::Edge> relate(const core::Neighborhoods&) override { return {}; }
  std::span<const NodeId> propose_again(std::span<const core::ListName>) override { return {}; }
  void sealed() override {}

 private:
  const std::vector<core::ListScores>& scores_;
  std::size_t next_ = 0;
};

IndexParams params_of(std::uint32_t dimension) {
  IndexParams params;
  params.dimension = dimension;
  return params;
}

/// An index, and what a proposer answered while it was built.
struct Recording {
  Recording(NodeId n, std::uint32_t dimension);

  IndexParams params;
  NodeId size;
  core::Contents contents;
  std::vector<core::ProposalBatch> batches;
  std::vector<core::ListScores> scores;
};

Recording::Recording(NodeId n, std::uint32_t dimension)
    : params(params_of(dimension)), size(n), contents(params) {
  const FloatMatrix data = synthetic_vectors({size, dimension, 1}, 0, size, 0);
  core::ThreadPool pool(0);
  contents.vectors.resize(size);
  contents.vectors.write(0, {data.values.data(), data.rows, data.cols}, pool);
  contents.labels.append({}, size, 0);
  core::Graph& graph = contents.graph;
  graph.announce(size);
  BuildStats stats;
  core::Committer committer(graph, stats);
  cpu::CpuProposer proposer(contents, cpu::for_metric(cpu::choose_kernels(), params.metric), pool,
                            stats);
  Recorder recorder(proposer, batches, scores);
  // One batch at a time: each is committed before the next is proposed.
  while (graph.size() < size) {
    const Epoch& epoch = graph.epoch();
    const NodeId end = std::min(epoch.end, size);
    recorder.start(epoch, graph.size(), end, {});
    committer.commit(batches.back());
    if (committer.seal_is_due()) committer.seal(recorder);
  }
}

const Recording& recording_of(NodeId size, std::uint32_t dimension) {
  static std::unique_ptr<const Recording> last;
  if (!last || last->size != size || last->params.dimension != dimension) {
    last = std::make_unique<const Recording>(size, dimension);
  }
  return *last;
}

/// The place of an index file and its journal.
class Place {
 public:
  Place() { std::filesystem::create_directory(directory_); }
  ~Place() { std::filesystem::remove_all(directory_); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  [[nodiscard]] std::filesystem::path path() const { return directory_ / "index"; }

 private:
  std::filesystem::path directory_ =
      std::filesystem::temp_directory_path() / ("concord-microbench-" + std::to_string(getpid()));
};

/// Processor time of this thread.
double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

void commit_and_seal(benchmark::State& state) {
  const Recording& recording =
      recording_of(static_cast<NodeId>(state.range(0)), static_cast<std::uint32_t>(state.range(1)));
  const bool with_journal = state.range(2) != 0;
  const Place place;
  BuildStats stats;
  double least = std::numeric_limits<double>::max();
  for (auto _ : state) {
    state.PauseTiming();
    double journal_seconds = 0;
    auto graph = std::make_unique<core::Graph>(recording.params);
    graph->announce(recording.size);
    stats = {};
    core::Committer committer(*graph, stats);
    Replayer replayer(recording.scores);
    std::optional<core::Journal> journal;
    if (with_journal) {
      journal.emplace(place.path(), Durability::system);
      journal->restart(recording.params, {}, {});
    }
    state.ResumeTiming();
    for (const core::ProposalBatch& batch : recording.batches) {
      if (journal) {
        const double before = thread_seconds();
        journal->append(batch, recording.contents, batch.end < recording.size);
        journal_seconds += thread_seconds() - before;
      }
      committer.commit(batch);
      if (committer.seal_is_due()) committer.seal(replayer);
    }
    benchmark::DoNotOptimize(graph->entry_point());
    state.PauseTiming();
    least = std::min(least, journal_seconds);
    journal.reset();
    graph.reset();
    state.ResumeTiming();
  }
  const double n = recording.size;
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * recording.size);
  state.counters["commit_us"] = stats.commit.seconds / n * 1e6;
  state.counters["seal_us"] = stats.seal.seconds / n * 1e6;
  state.counters["cuts"] = static_cast<double>(stats.seal.count) / n;
  if (with_journal) state.counters["journal_ns"] = least / n * 1e9;
}
BENCHMARK(commit_and_seal)
    ->ArgNames({"vectors", "dimension", "journal"})
    ->Args({100000, 128, 0})
    ->Args({100000, 128, 1})
    ->Unit(benchmark::kMillisecond)
    ->Iterations(5);

/// Seconds that a replay takes: by the clock, of them the seals behind the scores, and processor
/// time of the committing thread.
struct Replayed {
  double clock = 0;
  double seals = 0;
  double processor = 0;
  void take_least(const Replayed& other) {
    clock = std::min(clock, other.clock);
    seals = std::min(seals, other.seals);
    processor = std::min(processor, other.processor);
  }
};

Replayed replay(const Recording& recording, core::Cutters* cutters) {
  core::Graph graph(recording.params);
  graph.announce(recording.size);
  BuildStats stats;
  core::Committer committer(graph, stats, cutters);
  Replayer replayer(recording.scores);
  Replayed replayed;
  const double before = thread_seconds();
  {
    const core::Stopwatch watch(replayed.clock);
    for (const core::ProposalBatch& batch : recording.batches) {
      committer.commit(batch);
      if (committer.seal_is_due()) committer.seal(replayer);
    }
  }
  replayed.seals = stats.seal.seconds;
  replayed.processor = thread_seconds() - before;
  return replayed;
}

// The least of all rounds, because other programs make any of them longer.
void seal_with_threads(benchmark::State& state) {
  const Recording& recording =
      recording_of(static_cast<NodeId>(state.range(0)), static_cast<std::uint32_t>(state.range(1)));
  core::ThreadPool pool(static_cast<unsigned>(state.range(2)));
  core::PoolCutters cutters(pool);
  Replayed alone = replay(recording, nullptr);
  Replayed together = replay(recording, &cutters);
  for (auto _ : state) {
    alone.take_least(replay(recording, nullptr));
    together.take_least(replay(recording, &cutters));
  }
  const double n = recording.size;
  state.counters["alone_us"] = alone.clock / n * 1e6;
  state.counters["alone_seals_us"] = alone.seals / n * 1e6;
  state.counters["share_of_clock"] = together.clock / alone.clock;
  state.counters["share_of_seals"] = together.seals / alone.seals;
  state.counters["share_of_processor"] = together.processor / alone.processor;
}
BENCHMARK(seal_with_threads)
    ->ArgNames({"vectors", "dimension", "threads"})
    ->Args({100000, 128, 2})
    ->Args({400000, 16, 2})
    ->Unit(benchmark::kMillisecond)
    ->Iterations(6);

}  // namespace
}  // namespace concord::bench
