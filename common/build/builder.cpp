#include "common/build/builder.hpp"

#include <algorithm>
#include <chrono>

namespace concord::core {
namespace {

/// Calls the progress callback, but not more often than is useful.
class ProgressReporter {
 public:
  ProgressReporter(const Graph& graph, const ProgressCallback& progress)
      : graph_(graph),
        progress_(progress),
        first_(graph.size()),
        total_(graph.announced() - first_) {}

  /// True if the caller wants to stop.
  bool ask() {
    if (!progress_ || cancelled_) return cancelled_;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < std::chrono::milliseconds(20)) return false;
    last_ = now;
    return report();
  }
  bool report() {
    if (progress_ && !cancelled_) cancelled_ = !progress_(graph_.size() - first_, total_);
    return cancelled_;
  }

 private:
  const Graph& graph_;
  const ProgressCallback& progress_;
  NodeId first_;
  std::uint64_t total_;
  std::chrono::steady_clock::time_point last_{};
  bool cancelled_ = false;
};

}  // namespace

bool insert_announced(Graph& graph, Committer& committer, RepairingProposer& proposer,
                      const ProgressCallback& progress, const InsertionHooks& hooks) {
  ProgressReporter reporter(graph, progress);
  const StopRequest stop = progress ? StopRequest([&] { return reporter.ask(); }) : StopRequest();

  if (committer.seal_is_due())
    committer.seal(proposer);  // left over from an addition whose seal failed

  Epoch epoch = graph.epoch();
  NodeId begin = graph.size();
  const auto start_next = [&] {
    if (begin == epoch.end) epoch = graph.next_epoch(epoch);
    const NodeId end = graph.end_of_batch(begin, epoch);
    proposer.start(epoch, begin, end, stop);
    begin = end;
  };

  if (begin == graph.announced()) return true;
  start_next();
  while (graph.size() < graph.announced()) {
    const ProposalBatch* batch = proposer.finish(stop);
    if (batch == nullptr) return false;
    // Behind a seal that unlinks nodes, proposals read the graph that it leaves.
    const bool waits = begin == epoch.end && graph.will_unlink(begin);
    if (begin < graph.announced() && !waits) start_next();
    if (hooks.before_commit) hooks.before_commit(*batch);
    committer.commit(*batch, proposer.changes_of(*batch));
    if (hooks.after_commit) hooks.after_commit();
    if (committer.seal_is_due()) committer.seal(proposer);
    if (waits) {
      epoch = graph.epoch();
      if (begin < graph.announced()) start_next();
    }
    if (hooks.between_steps) hooks.between_steps();
    if (reporter.ask()) {
      // A batch may be under way: wait for it, drop it.
      if (graph.size() < begin) proposer.finish({});
      return graph.size() == graph.announced();
    }
  }
  reporter.report();
  return true;
}

}  // namespace concord::core
