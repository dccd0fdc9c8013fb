// Removal and replacement of vectors: Index::remove, update, upsert and flush.

#include "common/index/removal.hpp"

#include <algorithm>
#include <utility>

#include "common/base/finally.hpp"
#include "common/base/float_environment.hpp"
#include "common/build/hybrid_proposer.hpp"
#include "common/index/addition.hpp"
#include "common/index/device_check.hpp"
#include "common/index/index_impl.hpp"
#include "common/index/requests.hpp"
#include "cpu/proposer.hpp"

namespace concord {
namespace {

using core::kNoNode;
using core::NodeId;

// None, or the node of the label's vector, each at most once.
std::vector<NodeId> find_all(const core::Contents& contents,
                             std::span<const std::uint64_t> labels) {
  std::vector<NodeId> nodes(labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    nodes[i] = contents.labels.find(labels[i], contents.graph.size());
  }
  std::vector<NodeId> sorted;
  std::copy_if(nodes.begin(), nodes.end(), std::back_inserter(sorted),
               [](NodeId node) { return node != kNoNode; });
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice == sorted.end()) return nodes;
  refuse_repeated_label(contents.labels.label(*twice));
}

void expect_all_known(std::span<const NodeId> nodes, std::span<const std::uint64_t> labels) {
  const auto unknown = std::find(nodes.begin(), nodes.end(), kNoNode);
  if (unknown == nodes.end()) return;
  const auto number = static_cast<std::size_t>(unknown - nodes.begin());
  refuse_unknown_label(labels[number], number);
}

}  // namespace

template <class Use>
void Index::Impl::with_proposer(DeferredLog& log, const Use& use) {
  const core::FloatEnvironment environment;
  cpu::CpuProposer on_cpu(contents, metric_kernels(), *pool, build);
  cuda::Backend* const on = device.in_use();
  DeviceCheck check(options.checked_share, contents, metric_kernels(), *pool, device);
  core::HybridProposer proposer(
      on == nullptr ? nullptr : &on->proposer(), on_cpu, cuda::Backend::kSmallestBatch,
      [&](const Error& error) { device.give_up(error, log); }, &check);
  use(proposer);
}

void IndexAccess::expect_changeable(const Index& index) {
  const Index::Impl& impl = *index.impl_;
  impl.expect_writable();
  if (impl.journal) impl.journal->check_usable(impl.contents.graph);
}

struct IndexAccess::Removal::State {
  explicit State(Index::Impl& index)
      : impl(index), writing(index.writer_lock), kept(index.device) {}

  Index::Impl& impl;
  core::WriterLock::Writing writing;
  DeviceSlot::KeptForWriter kept;
  std::span<const std::uint64_t> labels;
  std::vector<NodeId> nodes;
  bool left = false;
};

IndexAccess::Removal::Removal(Index& index, std::span<const std::uint64_t> labels)
    : state_(std::make_unique<State>(*index.impl_)) {
  expect_changeable(index);
  std::vector<NodeId> nodes = find_all(state_->impl.contents, labels);
  expect_all_known(nodes, labels);
  take(labels, std::move(nodes));
}

IndexAccess::Removal::Removal(Index& index, std::span<const std::uint64_t> labels,
                              std::vector<NodeId> nodes)
    : state_(std::make_unique<State>(*index.impl_)) {
  expect_changeable(index);
  take(labels, std::move(nodes));
}

void IndexAccess::Removal::take(std::span<const std::uint64_t> labels, std::vector<NodeId> nodes) {
  state_->labels = labels;
  state_->nodes = std::move(nodes);
  state_->impl.contents.graph.reserve_deaths(labels.size());
}

IndexAccess::Removal::~Removal() = default;

void IndexAccess::Removal::leave() noexcept {
  state_->writing.leave();
  state_->left = true;
}

void IndexAccess::Removal::run(DeferredLog& log) {
  const bool had_left = std::exchange(state_->left, false);
  if (had_left) state_->writing.enter();
  const core::Finally leave_again([&] {
    if (had_left) leave();
  });
  Index::Impl& impl = state_->impl;
  impl.with_proposer(log, [&](core::RepairingProposer& proposer) {
    if (impl.committer.seal_is_due()) impl.committer.seal(proposer);
    if (impl.journal) impl.journal->append_remove(state_->labels);
    for (const NodeId node : state_->nodes) {
      impl.contents.graph.remove(node);
      if (impl.committer.seal_is_due()) impl.committer.seal(proposer);
    }
  });
  impl.give_memory_back(core::EmptySlots::in_passing);
}

std::size_t Index::remove(std::span<const std::uint64_t> labels) {
  impl_->expect_writable();
  if (labels.empty()) return 0;
  DeferredLog log(impl_->options.log);
  log.deliver_after([&] { IndexAccess::Removal(*this, labels).run(log); });
  return labels.size();
}

std::size_t Index::update(MatrixView<const float> vectors, std::span<const std::uint64_t> labels,
                          const ProgressCallback& progress) {
  return impl_->replace(impl_->new_rows(vectors), labels, progress, Impl::Unknown::are_refused);
}

std::size_t Index::upsert(MatrixView<const float> vectors, std::span<const std::uint64_t> labels,
                          const ProgressCallback& progress) {
  return impl_->replace(impl_->new_rows(vectors), labels, progress, Impl::Unknown::are_added);
}

void Index::flush() {
  DeferredLog log(impl_->options.log);
  log.deliver_after([&] { impl_->flush(log); });
}

std::size_t Index::Impl::replace(const NewRows& rows, std::span<const std::uint64_t> new_labels,
                                 const ProgressCallback& progress, Unknown unknown) {
  check_label_count(new_labels.size(), rows.count);
  expect_writable();
  if (rows.count == 0) return 0;
  check_labels(new_labels);
  IndexAccess::Addition addition(*this);
  const std::vector<NodeId> replaced = find_all(contents, new_labels);
  if (unknown == Unknown::are_refused) expect_all_known(replaced, new_labels);
  addition.reserve(rows.count);
  addition.write(rows.write);
  addition.label(new_labels, replaced);
  return addition.insert(rows.count, progress, rows.there);
}

void Index::Impl::flush(DeferredLog& log) {
  expect_writable();
  const core::WriterLock::Writing writing(writer_lock);
  const DeviceSlot::KeptForWriter kept(device);
  if (journal) journal->check_usable(contents.graph);
  if (!contents.graph.pending().empty()) {
    if (journal) journal->append_flush();
    contents.graph.end_epoch();  // so that the next change seals if memory runs out now
    with_proposer(log, [&](core::RepairingProposer& proposer) { committer.seal(proposer); });
  }
  give_memory_back(core::EmptySlots::on_request);
}

}  // namespace concord
