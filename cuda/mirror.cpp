#include "cuda/mirror.hpp"

#include <algorithm>
#include <utility>

namespace concord::cuda {

Mirror::Mirror(Device& device, const core::Contents& contents, core::ThreadPool& pool,
               DeviceStats& stats)
    : graph_(contents.graph),
      streams_(device),
      nodes_(device, streams_, contents, stats),
      deltas_(device, streams_, nodes_, contents.graph, pool, stats),
      slides_(contents.graph.slides()),
      open_(contents.graph.epoch().number) {}

// Memory must not go while the device works on it.
Mirror::~Mirror() { streams_.drain(); }

MirrorView Mirror::view() const noexcept {
  MirrorView view = nodes_.view();
  if (holds_ == Holds::live) deltas_.show_continuations(view);
  return view;
}

void Mirror::reserve(std::size_t scratch) {
  notice_changes();
  if (nodes_.reserve(scratch, deltas_.allowance())) return;
  forget_lists();
}

// The open epoch and the next, where no epoch with nodes lies between what they read.
std::uint32_t Mirror::version_of(const core::Epoch& epoch) const noexcept {
  const core::Epoch& open = graph_.epoch();
  const bool behind_an_empty_one = open.number > 1 && open.sealed_end == open.begin;
  return epoch.number == open.number && behind_an_empty_one ? epoch.number + 1 : epoch.number;
}

std::uint32_t Mirror::last_sealed() const noexcept {
  const core::Epoch& open = graph_.epoch();
  return open.number - (version_of(open) == open.number ? 1 : 2);
}

void Mirror::notice_changes() {
  if (graph_.slides() != slides_) {
    nodes_.forget_all();
    forget_lists();
    changed_in_ = kNoEpoch;
    slides_ = graph_.slides();
  }
  if (graph_.epoch().number != open_) {
    forget_lists();
    open_ = graph_.epoch().number;
  }
}

void Mirror::forget_lists() noexcept {
  holds_ = Holds::nothing;
  staged_for_ = 0;
}

ListSpans Mirror::touched() const noexcept {
  return {graph_.base().touched(), graph_.upper().touched()};
}

// Known from the seal. If the seal was not seen, because the index was loaded or the device opened
// within the epoch, every list is asked.
void Mirror::learn_changes(std::uint32_t epoch) {
  if (changed_in_ == epoch) return;
  const NodeId nodes = graph_.size();
  const std::array<std::size_t, kTables> counts = {nodes, graph_.upper_lists_before(nodes)};
  for (unsigned t = 0; t < kTables; ++t) {
    const core::LinkTable& table = nodes_.table(t);
    changed_[t].clear();
    for (core::ListIndex list = 0; list < counts[t]; ++list) {
      if (table.touched_epoch(list) == epoch) changed_[t].push_back(list);
    }
  }
  changed_in_ = epoch;
}

void Mirror::sealed(std::optional<ProposedEpoch> links) {
  staged_for_ = 0;
  const std::uint32_t open = graph_.epoch().number;
  const std::uint32_t last = last_sealed();
  if (graph_.slides() != slides_ || open_ != last) forget_lists();
  open_ = open;
  // Nodes of small batches may have come that are beyond the capacity.
  if (holds_ != Holds::nothing) reserve(0);
  if (holds_ == Holds::version) {
    // The epoch just sealed has been proposed, so the version it read is no longer wanted.
    held_epoch_ = deltas_.apply_staged(held_epoch_, open);
  }
  // A version that was written as a whole within its own epoch lacks the changes of the seal before
  // as well.
  const bool behind = holds_ == Holds::version && held_epoch_ == last;
  Lists lists;
  if (behind) {
    learn_changes(last - 1);
    std::swap(lists, changed_);
  }
  // A version that is behind needs the links of two epochs.
  const bool gains = links && last + 1 == open && holds_ == Holds::version && held_epoch_ == open;
  for (unsigned t = 0; t < kTables; ++t) {
    changed_[t] = nodes_.table(t).touched();
    if (gains) {
      nodes_.table(t).for_each_cut([&](core::ListIndex list) { lists[t].push_back(list); });
    } else {
      lists[t].insert(lists[t].end(), changed_[t].begin(), changed_[t].end());
    }
    if (!behind) continue;
    std::sort(lists[t].begin(), lists[t].end());
    lists[t].erase(std::unique(lists[t].begin(), lists[t].end()), lists[t].end());
  }
  changed_in_ = last;
  if (holds_ == Holds::nothing) return;
  sealed_version_ = graph_.version_for(graph_.next_epoch(graph_.epoch()));
  if (holds_ == Holds::live) {
    // Of the live lists, those alone that its own epoch has changed may differ.
    deltas_.write(spans(lists), &sealed_version_);
    holds_ = Holds::version;
    held_epoch_ = open + 1;
    return;
  }
  if (!behind && held_epoch_ != last + 1) return forget_lists();
  sealed_lists_ = std::move(lists);
  sealed_links_.reset();
  if (gains) sealed_links_ = std::move(links);
  staged_for_ = open + 1;
}

void Mirror::stage_sealed() {
  if (staged_for_ == 0) return;
  deltas_.stage(spans(sealed_lists_), sealed_version_, staged_for_,
                sealed_links_ ? &*sealed_links_ : nullptr);
}

// Versions of the open epoch and of the next, and the live graph, differ in lists that the last
// sealed epoch and the open one have changed.
void Mirror::hold_version(const core::Epoch& epoch) {
  const std::uint32_t wanted = version_of(epoch);
  if (holds_ == Holds::version) {
    held_epoch_ = deltas_.apply_staged(held_epoch_, wanted);
    if (held_epoch_ == wanted) return;
  }
  staged_for_ = 0;  // what was noted at the last seal no longer continues these lists
  const core::SealedVersion version = graph_.version_for(epoch);
  const std::uint32_t open = graph_.epoch().number;
  const bool close = holds_ == Holds::live ||
                     (holds_ == Holds::version && (held_epoch_ == open || held_epoch_ == open + 1));
  if (close) {
    learn_changes(last_sealed());
    deltas_.write(spans(changed_), &version);
    deltas_.write(touched(), &version);
  } else {
    deltas_.write_all(&version);
  }
  holds_ = Holds::version;
  held_epoch_ = wanted;
}

void Mirror::hold_live() {
  if (holds_ == Holds::live && held_size_ == graph_.size()) return;
  staged_for_ = 0;
  deltas_.begin_live();
  if (holds_ == Holds::nothing) {
    deltas_.write_all(nullptr);
  } else {
    if (holds_ == Holds::version) hold_version(graph_.next_epoch(graph_.epoch()));
    deltas_.write(touched(), nullptr);
  }
  deltas_.end_live();
  holds_ = Holds::live;
  held_size_ = graph_.size();
}

}  // namespace concord::cuda
