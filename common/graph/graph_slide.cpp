// The graph's part of a slide (common/contents/slide.hpp).

#include <algorithm>
#include <array>

#include "common/graph/current_ranks.hpp"
#include "common/graph/graph.hpp"

namespace concord::core {

// The hole before all else, so that nothing that is read later has moved by more than one step.
SlidingView Graph::sliding_view() const noexcept {
  SlidingView view;
  view.moved_from = moved_from_.load();
  if (view.moved_from != nullptr) view.hole = tombstones_.hole();
  static_cast<LiveView&>(view) = live();
  if (view.entry.node != kNoNode) view.entry.node = view.name(view.entry.node);
  return view;
}

Hole Graph::first_hole() const noexcept {
  Hole hole = tombstones_.hole();
  if (hole.empty()) {
    while (!tombstones_.is_unlinked(hole.begin)) ++hole.begin;
    hole.end = hole.begin;
  }
  while (hole.end < size() && tombstones_.is_unlinked(hole.end)) ++hole.end;
  return hole;
}

void Graph::begin_slide(NodeId most) {
  const Hole hole = first_hole();
  moved_from_ids_.resize(most);
  const auto next = std::make_shared<Numbering>(slides() + 1, reclaimed() + unlinked(),
                                                size() - unlinked(), numbering_->runs() + 2);
  for (NodeId node = 0; node < size(); ++node) {
    if (!tombstones_.is_unlinked(node)) next->append(insertion(node));
  }
  other_numbering_ = next;
  shown_next_numbering_ = next.get();
  upper_end_ = static_cast<ListIndex>(upper_lists_before(hole.begin));
  tombstones_.set_hole(hole);
  moved_from_ = moved_from_ids_.data();
}

void Graph::reuse_front() noexcept {
  for (LinkTable* table : tables()) table->reuse_front();
  levels_.reuse_front();
  upper_offset_.reuse_front();
  copies_.reuse_front();
}

// The lists of a node must not overlap what they leave: readers are there. Those of the first node
// that moves stay where they are if they would.
bool Graph::can_move(NodeId from) const noexcept {
  const std::uint32_t lists = level(from);
  if (lists == 0 || first_upper_moved_ == kNoList || upper_end_ == upper_offset_[from]) return true;
  return upper_end_ + lists <= first_upper_moved_;
}

// Neighbors name the node by its new id when all of it is there. Its old lists stay as they are.
void Graph::move(NodeId from, NodeId to) noexcept {
  moved_from_ids_[to - tombstones_.hole().begin] = from;
  levels_[to] = levels_[from];
  tombstones_.move(from, to);
  if (copies_.any()) copies_.move(from, to);
  base_.move(from, to);
  move_upper_lists(from, to);
  std::array<NodeId, kMaxListCapacity> buffer;
  for (std::uint32_t layer = 0; layer <= level(to); ++layer) {
    LinkTable& lists = table_of(layer);
    for (const NodeId neighbor : lists.ids(list(to, layer), buffer.data())) {
      lists.rename(list(neighbor, layer), from, to);
    }
  }
  const EntryPoint entry = entry_point();
  if (entry.node == from) entry_.store({to, entry.level}, std::memory_order_release);
}

void Graph::move_upper_lists(NodeId from, NodeId to) noexcept {
  const std::uint32_t lists = level(from);
  const ListIndex first = upper_offset_[from];
  if (lists > 0) {
    if (first_upper_moved_ == kNoList) first_upper_moved_ = first;
    if (upper_end_ + lists > first_upper_moved_ && upper_end_ != first) {
      upper_.clear(upper_end_, first);  // they stay, and what is free before them stays free
      upper_end_ = first;
    }
    for (std::uint32_t i = 0; i < lists && upper_end_ != first; ++i) {
      upper_.move(first + i, upper_end_ + i);
    }
  }
  upper_offset_[to] = upper_end_;
  upper_end_ += lists;
}

void Graph::end_slide(const CurrentRanks& ranks) noexcept {
  const NodeId gone = unlinked();
  const NodeId left = size() - gone;
  numbering_.swap(other_numbering_);
  shown_numbering_ = numbering_.get();  // before the size: who finds that finds this
  ranks.to_ranks(pending_);
  // What has replaced one of them has another id now, and every view has it.
  for (const NodeId node : pending_) {
    tombstones_.set(node, 0);
    if (copies_.any()) copies_.note_end(node, 0);
  }
  for (NodeId id = 0; kept() > 0 && id < left; ++id) {
    if (tombstones_.gone(id) != kNoNode) tombstones_.set(id, 0);
  }
  ranks.to_ranks(first_in_layer_);
  ranks.to_ranks(last_in_layer_);
  for (EntryPoint& entry : sealed_entries_) ranks.to_ranks({&entry.node, 1});
  epoch_.sealed_end -= gone;
  epoch_.begin -= gone;
  epoch_.end -= gone;
  announced_ = left;
  reclaimed_ += gone;  // first, so that at no moment none seems to have died
  extent_.store({left, static_cast<NodeId>(pending_.size()) + kept()});
  const auto rename = [&](std::span<NodeId> ids) { ranks.to_ranks(ids); };
  base_.rename_sealed(rename);
  upper_.rename_sealed(rename);
}

void Graph::shrink() noexcept {
  moved_from_ = nullptr;
  tombstones_.set_hole({});
  other_numbering_ = nullptr;
  levels_.shrink(size());
  upper_offset_.shrink(size());
  tombstones_.shrink(size());
  copies_.shrink(size());
  base_.end_slide(size(), epoch_.number);
  upper_.end_slide(upper_end_, epoch_.number);
}

void Graph::clear_hole() noexcept {
  const Hole hole = tombstones_.hole();
  base_.clear(hole.begin, hole.end);
  upper_.clear(upper_end_, static_cast<ListIndex>(upper_lists_before(hole.end)));
  levels_.clear(hole.begin, hole.end);
  upper_offset_.clear(hole.begin, hole.end);
  copies_.clear(hole.begin, hole.end);
}

void Graph::give_front_back() noexcept {
  const NodeId end = tombstones_.hole().end;
  base_.give_front_back(end);
  upper_.give_front_back(upper_lists_before(end));
  levels_.give_front_back(end);
  upper_offset_.give_front_back(end);
  copies_.give_front_back(end);
}

}  // namespace concord::core
