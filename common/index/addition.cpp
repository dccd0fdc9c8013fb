#include "common/index/addition.hpp"

#include <algorithm>

#include "common/base/finally.hpp"
#include "common/base/float_environment.hpp"
#include "common/base/stopwatch.hpp"
#include "common/build/builder.hpp"
#include "common/build/hybrid_proposer.hpp"
#include "common/index/device_check.hpp"
#include "common/index/index_impl.hpp"
#include "cpu/proposer.hpp"

namespace concord {
namespace {

/// The callback, which may fork. In the child the addition ends, because threads that had a part in
/// it are not there, and so nobody waits for them.
ProgressCallback in_this_process(const ProgressCallback& progress, core::HybridProposer& proposer) {
  if (!progress) return {};
  return [&, forks = core::AfterFork::count()](std::uint64_t done, std::uint64_t total) {
    const bool go_on = progress(done, total);
    if (core::AfterFork::count() == forks) return go_on;
    proposer.forget_device();
    throw Error(ErrorCode::unsupported,
                "the progress callback of an addition forked this process; the addition goes on in "
                "the parent alone");
  };
}

bool replaced_some(std::span<const core::NodeId> replaced) {
  return std::any_of(replaced.begin(), replaced.end(),
                     [](core::NodeId node) { return node != core::kNoNode; });
}

}  // namespace

struct IndexAccess::Addition::State {
  explicit State(Index::Impl& index)
      : impl(index), writing(index.writer_lock), kept(index.device) {}

  /// The last batch is on disk before anyone can find it.
  void record(const core::ProposalBatch& batch) const {
    const bool others_follow = batch.end < impl.contents.graph.announced();
    impl.journal->append(batch, impl.contents, others_follow);
    if (!others_follow) impl.journal->sync();
  }

  Index::Impl& impl;
  core::WriterLock::Writing writing;
  DeviceSlot::KeptForWriter kept;
  core::NodeId before = 0;
  std::size_t count = 0;
  std::vector<core::NodeId> replaced;  ///< empty where no vector replaces another
  bool left = false;
};

IndexAccess::Addition::Addition(Index& index) : Addition(*index.impl_) {}

IndexAccess::Addition::Addition(Index::Impl& impl) {
  impl.expect_writable();
  state_ = std::make_unique<State>(impl);
  if (impl.journal) impl.journal->check_usable(impl.contents.graph);
  state_->before = impl.contents.graph.size();
}

IndexAccess::Addition::~Addition() {
  if (!state_) return;
  if (state_->impl.writer_lock.is_interrupted()) {  // by the fork that made this process
    static_cast<void>(state_.release());
    return;
  }
  if (state_->left) state_->writing.enter();
  state_->impl.contents.discard_announced();
  state_->impl.give_memory_back(core::EmptySlots::in_passing);
}

void IndexAccess::Addition::reserve(std::size_t count) {
  core::Contents& contents = state_->impl.contents;
  const core::NodeId before = state_->before;
  const core::Stopwatch watch(state_->impl.build.ingest.seconds);
  // The sum must not wrap around for a view of absurdly many rows, which is refused here.
  contents.graph.reserve(before + std::min(count, ~std::size_t{0} - before));
  contents.vectors.resize(before + count);
  state_->count = count;
}

void IndexAccess::Addition::write(const WriteRows& write) {
  const core::FloatEnvironment environment;
  const core::Stopwatch watch(state_->impl.build.ingest.seconds);
  write(state_->impl.contents.vectors, state_->before);
}

void IndexAccess::Addition::label(std::span<const std::uint64_t> labels,
                                  std::span<const core::NodeId> replaced) {
  const core::Stopwatch watch(state_->impl.build.ingest.seconds);
  core::Contents& contents = state_->impl.contents;
  contents.labels.append(labels, state_->count, contents.graph.insertions(), replaced);
  if (replaced_some(replaced)) state_->replaced.assign(replaced.begin(), replaced.end());
  state_->impl.build.ingest.count += state_->count;
}

void IndexAccess::Addition::leave() noexcept {
  state_->writing.leave();
  state_->left = true;
}

std::size_t IndexAccess::Addition::insert(std::size_t end, const ProgressCallback& progress,
                                          cuda::DeviceMatrixView<const float> there) {
  Index::Impl& impl = state_->impl;
  if (state_->left) state_->writing.enter();
  const bool had_left = std::exchange(state_->left, false);
  const core::Finally leave_again([&] {
    if (had_left) leave();
  });
  const core::FloatEnvironment environment;
  core::Graph& graph = impl.contents.graph;
  std::span<const core::NodeId> replaced;  // by the vectors that are announced now
  if (!state_->replaced.empty()) {
    const std::size_t done = graph.size() - state_->before;
    replaced = std::span(state_->replaced).subspan(done, end - done);
  }
  impl.contents.note_insertions(*impl.pool);  // left over where there was no memory for codes
  impl.contents.announce(static_cast<core::NodeId>(state_->before + end), replaced, *impl.pool);
  impl.tail_codes.truncate(graph.size());  // of vectors that an earlier addition has dropped
  cpu::CpuProposer cpu_proposer(impl.contents, impl.metric_kernels(), *impl.pool, impl.build,
                                impl.options.certificates ? &impl.tail_codes : nullptr);
  DeferredLog log(impl.options.log);
  const std::size_t count = graph.announced() - graph.size();
  cuda::Backend* const on = impl.device.get(count >= cuda::Backend::kSmallestAddition,
                                            DeviceSlot::Wait::for_opening, log);
  log.deliver();
  if (on != nullptr) on->begin_addition(graph.size(), there);
  const core::Finally end_addition([&] {
    if (on != nullptr) on->end_addition();
  });
  DeviceCheck check(impl.options.checked_share, impl.contents, impl.metric_kernels(), *impl.pool,
                    impl.device);
  core::HybridProposer proposer(
      on == nullptr ? nullptr : &on->proposer(), cpu_proposer, cuda::Backend::kSmallestBatch,
      [&](const Error& error) {
        impl.device.give_up(error, log);
        log.deliver();
      },
      &check);
  core::Journal* const journal = impl.journal.get();
  const core::Finally end_recording([&] {
    if (journal != nullptr) journal->end_addition();
  });
  core::InsertionHooks hooks;
  hooks.after_commit = [&] { impl.contents.note_insertions(*impl.pool); };
  hooks.between_steps = [&] {
    if (!state_->writing.is_awaited()) return;
    proposer.drain();
    state_->writing.lend();
  };
  if (journal != nullptr) {
    hooks.before_commit = [&](const core::ProposalBatch& batch) { state_->record(batch); };
  }
  core::insert_announced(graph, impl.committer, proposer, in_this_process(progress, proposer),
                         hooks);
  if (journal != nullptr) journal->sync();
  return graph.size() - state_->before;
}

}  // namespace concord
