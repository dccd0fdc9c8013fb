#include "common/index/device_check.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "common/base/finally.hpp"
#include "common/base/float_environment.hpp"
#include "common/base/stopwatch.hpp"
#include "common/threads/after_fork.hpp"
#include "cpu/proposer.hpp"
#include "cuda/submitter.hpp"

namespace concord {
namespace {

using core::NodeId;

[[noreturn]] void report(const char* what, NodeId node, std::uint32_t layer) {
  throw Error(ErrorCode::cuda,
              std::string("its ") + what + " node " + std::to_string(node) + " in layer " +
                  std::to_string(layer) +
                  " is not the CPU's, so its memory or its kernels are wrong; links that it "
                  "proposed before may be wrong");
}

/// The checked ones of some lists, as a batch of their own.
core::OverfullLists only(const core::OverfullLists& batch, std::span<const std::uint32_t> numbers) {
  core::OverfullLists some;
  for (const std::uint32_t number : numbers) {
    core::OverfullList list = batch.lists[number];
    const auto from = batch.ids.begin() + list.first;
    list.first = static_cast<std::uint32_t>(some.ids.size());
    some.ids.insert(some.ids.end(), from, from + list.count);
    some.lists.push_back(list);
  }
  return some;
}

/// `count` items of equal size from two places on.
template <class T>
bool equal(const std::vector<T>& a, std::size_t from_a, const std::vector<T>& b, std::size_t from_b,
           std::size_t count) {
  const auto at = [](const std::vector<T>& all, std::size_t place) {
    return all.begin() + static_cast<std::ptrdiff_t>(place);
  };
  return std::equal(at(a, from_a), at(a, from_a + count), at(b, from_b));
}

}  // namespace

struct DeviceCheck::Work {
  Work(const core::Contents& contents, const cpu::MetricKernels& kernels, unsigned threads)
      : pool(threads), cpu(contents, kernels, pool, stats) {}

  core::ThreadPool pool;  ///< not the index's, whose loops must not wait for these
  BuildStats stats;       ///< of the check alone
  cpu::CpuProposer cpu;
  const core::ProposalBatch* proposals = nullptr;
  core::OverfullLists lists;
  const core::ListScores* scores = nullptr;
  double seconds = 0;
  cuda::Submitter thread;  ///< last: its jobs use all of the above
};

DeviceCheck::DeviceCheck(double share, const core::Contents& contents,
                         const cpu::MetricKernels& kernels, const core::ThreadPool& pool,
                         DeviceSlot& slot)
    : share_(share),
      contents_(contents),
      kernels_(kernels),
      pool_(pool),
      slot_(slot),
      forks_(core::AfterFork::count()) {}

// In a forked child there is no thread to wait for.
DeviceCheck::~DeviceCheck() {
  if (core::AfterFork::count() != forks_) static_cast<void>(work_.release());
}

template <class Compute>
void DeviceCheck::post(const Compute& compute) {
  const unsigned limit = core::limit_threads(0);
  core::limit_threads(limit);
  work_->thread.post([work = work_.get(), compute, limit] {
    const core::FloatEnvironment environment;
    const core::Stopwatch watch(work->seconds);
    const core::Finally unlimit(
        [before = core::limit_threads(limit)] { core::limit_threads(before); });
    compute(*work);
  });
}

void DeviceCheck::start(const core::Epoch& epoch, NodeId begin, NodeId end) {
  nodes_ = core::checked_places(share_, epoch.begin, begin - epoch.begin, end - epoch.begin);
  if (nodes_.empty()) return;
  for (NodeId& node : nodes_) node += epoch.begin;
  if (!work_) work_ = std::make_unique<Work>(contents_, kernels_, pool_.size());
  post([this, version = contents_.graph.version_for(epoch), begin, end](Work& work) {
    work.proposals = &work.cpu.propose_some(version, begin, end, nodes_);
  });
}

// In every place of all lists, since committer and device would follow such an id to memory that is
// no list.
void DeviceCheck::expect_possible(const core::ProposalBatch& batch) const {
  const core::Graph& graph = contents_.graph;
  for (NodeId node = batch.begin; node < batch.end; ++node) {
    for (std::uint32_t layer = 0; layer <= graph.level(node); ++layer) {
      const NodeId* const ids = batch.ids.data() + batch.number(node, layer) * batch.M;
      const bool is_possible = std::all_of(ids, ids + batch.M, [&](NodeId id) {
        return id == core::kNoNode || (id < node && (layer == 0 || graph.level(id) >= layer));
      });
      if (!is_possible) report("proposal for", node, layer);
    }
  }
}

void DeviceCheck::compare(const core::ProposalBatch& batch) {
  if (share_ > 0) expect_possible(batch);
  if (nodes_.empty()) return;
  drain();
  const core::ProposalBatch& expected = *work_->proposals;
  for (const NodeId node : nodes_) {
    for (std::uint32_t layer = 0; layer <= contents_.graph.level(node); ++layer) {
      const std::size_t first = batch.number(node, layer) * batch.M;
      if (!equal(batch.ids, first, expected.ids, first, batch.M)) {
        report("proposal for", node, layer);
      }
    }
  }
  slot_.note_checks(nodes_.size(), std::exchange(work_->seconds, 0));
}

void DeviceCheck::start(const core::OverfullLists& batch) {
  lists_ = core::checked_places(share_, contents_.graph.epoch().begin, 0,
                                static_cast<std::uint32_t>(batch.lists.size()));
  if (lists_.empty()) return;
  if (!work_) work_ = std::make_unique<Work>(contents_, kernels_, pool_.size());
  work_->lists = only(batch, lists_);
  post([](Work& work) { work.scores = &work.cpu.score(work.lists); });
}

void DeviceCheck::compare(const core::OverfullLists& batch, const core::ListScores& scores) {
  if (lists_.empty()) return;
  drain();
  const core::ListScores& expected = *work_->scores;
  const std::size_t words = scores.words;
  for (std::size_t i = 0; i < lists_.size(); ++i) {
    const core::OverfullList& list = batch.lists[lists_[i]];
    const std::size_t first = work_->lists.lists[i].first;
    if (!equal(scores.ranking, list.first, expected.ranking, first, list.count) ||
        !equal(scores.dominators, list.first * words, expected.dominators, first * words,
               list.count * words)) {
      report("score of the links of", list.node, list.layer);
    }
  }
  slot_.note_checks(lists_.size(), std::exchange(work_->seconds, 0));
}

void DeviceCheck::drain() {
  if (work_ && core::AfterFork::count() == forks_) work_->thread.drain();
}

}  // namespace concord
