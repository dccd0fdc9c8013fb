#include "common/build/committer.hpp"

#include <algorithm>
#include <array>
#include <functional>

#include "common/base/finally.hpp"
#include "common/base/stopwatch.hpp"

namespace concord::core {
namespace {

/// A list that has to be cut is cut to this degree, as far as the selection heuristic allows: seven
/// eighths. Cutting all that the heuristic would drop costs recall; cutting to max_degree alone
/// means scoring the list again at once (figures in docs/decisions.md).
constexpr std::uint32_t cut_target(std::uint32_t max_degree) { return max_degree - max_degree / 8; }

}  // namespace

// ---------------------------------------------------------------------------------------- commit

void Committer::commit(const ProposalBatch& batch, LinkChanges* changes) {
  const Stopwatch watch(stats_.commit.seconds);
  // Each list of a proposal makes at most M links, and a link appends to two neighbor lists.
  const std::size_t appends = batch.lists() * batch.M * 2;
  for (LinkTable* table : graph_.tables()) table->reserve_epoch(appends, 0);
  overfull_.reserve(overfull_.size() +
                    std::min(appends, graph_.base().size() + graph_.upper().size()));
  if (changes != nullptr) changes->reset(batch.lists() * batch.M);

  constexpr NodeId kAhead = 12;
  const LinkTable& base = graph_.base();
  for (NodeId node = batch.begin; node < batch.end; ++node) {
    if (graph_.copies().is_copy(node)) {  // of which nothing is proposed
      graph_.admit(node);
      continue;
    }
    if (node + kAhead < batch.end) {
      for (const NodeId target : batch.neighbors(node + kAhead, 0)) base.prefetch_to_change(target);
    }
    for (std::uint32_t layer = 0; layer <= graph_.level(node); ++layer) {
      link_in_layer(batch, node, layer, changes);
    }
    graph_.admit(node);
  }
  stats_.commit.count += batch.end - batch.begin;
}

void Committer::link_in_layer(const ProposalBatch& batch, NodeId node, std::uint32_t layer,
                              LinkChanges* changes) {
  if (graph_.last_in_layer(layer) == kNoNode) return;  // the layer's first node
  const std::span<const NodeId> neighbors = batch.neighbors(node, layer);
  const auto place = [&](const NodeId* proposed) {
    return static_cast<std::uint32_t>(proposed - batch.ids.data());
  };
  LinkTable& lists = graph_.table_of(layer);
  std::array<NodeId, kMaxListCapacity> linked;
  std::uint16_t count = 0;
  for (const NodeId& neighbor : neighbors) {
    if (lists.has_room(graph_.list(neighbor, layer))) {
      append(neighbor, node, layer);
      linked[count++] = neighbor;
    } else {
      ++stats_.refused_links;
      if (changes != nullptr) changes->refuse(place(&neighbor));
    }
  }
  if (count == 0) {
    const NodeId neighbor = neighbor_elsewhere(node, layer, neighbors);
    if (changes != nullptr) changes->replace(place(neighbors.data()), neighbors.size(), neighbor);
    return link(node, neighbor, layer);
  }
  const ListIndex list = graph_.list(node, layer);
  lists.fill(list, {linked.data(), count}, graph_.epoch().number);
  lists.set_anchors(list, count);  // all were inserted before
}

// All proposed lists are full. A neighbor of theirs that lives and has room, else the node that was
// inserted last in the layer. That node always has room: no later one has come to it, and it made
// at most M links, or a seal has left it at most max_degree. It may have died since; then the seal
// of this epoch gives the new node another anchor.
NodeId Committer::neighbor_elsewhere(NodeId node, std::uint32_t layer,
                                     std::span<const NodeId> neighbors) const {
  const LinkTable& lists = graph_.table_of(layer);
  for (const NodeId full : neighbors) {
    const ListIndex list = graph_.list(full, layer);
    for (std::uint32_t j = 0; j < lists.degree(list); ++j) {
      const NodeId candidate = lists.at(list, j);
      if (graph_.gone(candidate) <= node) continue;
      if (lists.has_room(graph_.list(candidate, layer))) return candidate;
    }
  }
  return graph_.last_in_layer(layer);
}

void Committer::link(NodeId a, NodeId b, std::uint32_t layer) {
  append(a, b, layer);
  append(b, a, layer);
  graph_.table_of(layer).add_anchor(graph_.list(std::max(a, b), layer));
}

void Committer::append(NodeId node, NodeId neighbor, std::uint32_t layer) {
  LinkTable& lists = graph_.table_of(layer);
  const ListIndex list = graph_.list(node, layer);
  const std::uint32_t degree = lists.append(list, neighbor, graph_.epoch().number);
  if (degree == lists.max_degree() + 1) overfull_.push_back({node, layer});
}

// ------------------------------------------------------------------------------------------ seal

void Committer::seal(RepairingProposer& proposer) {
  proposer.drain();
  const bool unlinks = !graph_.pending().empty();
  gather_overfull();
  keeps_copies_ = !unlinks;
  prepare_cuts();
  const ListScores* scores = nullptr;
  if (!to_cut_.lists.empty()) {
    const Stopwatch watch(stats_.score_wall_seconds);
    scores = &proposer.score(to_cut_);
  }
  {
    const Stopwatch watch(stats_.seal.seconds);
    for (std::size_t t = 0; t < room_.size(); ++t) {
      LinkTable* const table = graph_.tables()[t];
      table->drop_sealed_copies();
      // Each cut changes two lists; a re-anchored child changes two more, and so does each that
      // moves on, all but the first of them lists of this epoch.
      const std::size_t neighbors = to_cut_.ids.size();
      const std::size_t lists = graph_.lists_of_open_epoch(*table);
      table->reserve_epoch(2 * neighbors + lists, unlinks ? 0 : 4 * neighbors, room_[t]);
      table->expect_cuts(graph_.first_list_of_open_epoch(*table), lists);
    }
    graph_.begin_seal();
    cut_overfull(scores);
    if (unlinks) graph_.end_seal();
  }
  if (unlinks) unlink(proposer);
  {
    const Stopwatch watch(stats_.seal.seconds);
    for (LinkTable* table : graph_.tables()) table->drop_overflow();
    graph_.end_epoch();
    graph_.close_epoch();
    if (unlinks) {
      graph_.end_epoch();
      graph_.close_epoch();
    }
  }
  // sealed() may throw, because the caller's log may.
  const Finally forget_touched([&] {
    for (LinkTable* table : graph_.tables()) table->forget_touched();
  });
  proposer.sealed();
}

void Committer::prepare_cuts() {
  is_shared_ = cutters_ != nullptr && cutters_->take(to_cut_.lists.size());
  room_ = {};
  if (!is_shared_) return;
  order_.plan(to_cut_);
  notes_.clear();
  std::uint32_t changes = 0;
  for (const OverfullList& list : to_cut_.lists) {
    std::uint32_t& copies = room_[list.layer == 0 ? 0 : 1];
    const std::uint32_t cuts = list.count - cut_target(graph_.table_of(list.layer).max_degree());
    const std::uint32_t kept = keeps_copies_ ? cuts + 1 : 0;  // of the neighbors and its own
    notes_.push_back({changes, 0, copies, copies + kept, 0});
    copies += kept;
    changes += 2 * cuts;
  }
  if (changes_.size() < changes) changes_.resize(changes);
}

void Committer::cut_overfull(const ListScores* scores) {
  if (is_shared_) {
    cut_together(*scores);
  } else {
    cut_in_order(*scores);
  }
  // Latest first: lists behind the one at hand are within max_degree, as move_on() requires.
  for (auto list = to_cut_.lists.rbegin(); list != to_cut_.lists.rend(); ++list) {
    move_children(*list, *scores);
  }
  overfull_.clear();
}

void Committer::cut_in_order(const ListScores& scores) {
  constexpr std::size_t kListsAhead = 4;
  std::array<Places, kListsAhead> ahead;
  for (std::size_t r = 0; r < to_cut_.lists.size() + kListsAhead; ++r) {
    Places& dominated = ahead[r % kListsAhead];
    if (r >= kListsAhead) cut_list(to_cut_.lists[r - kListsAhead], scores, dominated, nullptr);
    if (r < to_cut_.lists.size()) dominated = look_ahead(to_cut_.lists[r], scores);
  }
}

// Notes are entered in the order of the lists, so no order of theirs depends on threads.
void Committer::cut_together(const ListScores& scores) {
  std::array<std::uint32_t, 2> first_copy{};
  for (std::size_t t = 0; t < room_.size(); ++t) {
    first_copy[t] = graph_.tables()[t]->begin_copies(room_[t]);
  }
  const auto cut_group = [&](std::uint32_t group) {
    const std::size_t first = std::size_t{group} * CutOrder::kGroup;
    const std::size_t last = std::min(first + CutOrder::kGroup, to_cut_.lists.size());
    std::array<Places, CutOrder::kGroup> dominated;
    for (std::size_t i = first; i < last; ++i) {
      dominated[i - first] = look_ahead(to_cut_.lists[i], scores);
    }
    for (std::size_t i = first; i < last; ++i) {
      const OverfullList& list = to_cut_.lists[i];
      LinkTable& lists = graph_.table_of(list.layer);
      Notes& notes = notes_[i];
      notes.next_copy += first_copy[list.layer == 0 ? 0 : 1];
      notes.end_of_copies += first_copy[list.layer == 0 ? 0 : 1];
      cut_list(list, scores, dominated[i - first], &notes);
      while (notes.next_copy < notes.end_of_copies) lists.leave_copy_empty(notes.next_copy++);
    }
  };
  cutters_->run(order_, std::ref(cut_group));  // a reference takes no memory
  for (std::size_t i = 0; i < notes_.size(); ++i) {
    LinkTable& lists = graph_.table_of(to_cut_.lists[i].layer);
    const Notes& notes = notes_[i];
    for (std::uint32_t j = 0; j < notes.changes; ++j) lists.note(changes_[notes.first + j]);
    stats_.seal.count += notes.cuts;
  }
}

// First links, then erases: at every moment each node that lives keeps a link to an earlier one.
void Committer::unlink(RepairingProposer& proposer) {
  const Stopwatch watch(stats_.repair.seconds);
  repair_.plan(proposer);
  to_cut_ = repair_.overfull();
  prepare_cuts();
  const ListScores* const scores = to_cut_.lists.empty() ? nullptr : &proposer.score(to_cut_);
  const std::size_t lists =
      2 * repair_.links().size() + repair_.lost_links() + 2 * to_cut_.ids.size();
  for (LinkTable* table : graph_.tables()) {
    table->reserve_epoch(lists + graph_.lists_of_open_epoch(*table), 0);
  }
  overfull_.reserve(2 * repair_.links().size());

  graph_.begin_seal();
  graph_.begin_unlinking();
  for (const auto& [a, b, layer] : repair_.links()) link(a, b, layer);
  for (const NodeId node : repair_.tombstones()) erase(node);
  graph_.end_unlinking();
  cut_overfull(scores);
  stats_.repair.count += repair_.tombstones().size();
}

// The tombstone's own lists stay: a search that is there walks on.
void Committer::erase(NodeId node) {
  for (std::uint32_t layer = 0; layer <= graph_.level(node); ++layer) {
    LinkTable& lists = graph_.table_of(layer);
    std::array<NodeId, kMaxListCapacity> buffer;
    for (const NodeId neighbor : lists.ids(graph_.list(node, layer), buffer.data())) {
      if (graph_.is_dead(neighbor, graph_.size())) continue;
      const ListIndex list = graph_.list(neighbor, layer);
      lists.touch(list, graph_.epoch().number);
      lists.remove(list, node);
      if (node < neighbor) lists.drop_anchor(list);
    }
  }
}

void Committer::gather_overfull() {
  std::sort(overfull_.begin(), overfull_.end(), [&](const ListName& a, const ListName& b) {
    return a.layer != b.layer ? a.layer < b.layer : a.node < b.node;
  });
  to_cut_.lists.clear();
  to_cut_.ids.clear();
  for (const auto& [node, layer] : overfull_) {
    const LinkTable& lists = graph_.table_of(layer);
    const ListIndex list = graph_.list(node, layer);
    const auto first = static_cast<std::uint32_t>(to_cut_.ids.size());
    to_cut_.ids.resize(first + lists.degree(list));
    lists.read(list, to_cut_.ids.data() + first);
    to_cut_.lists.push_back({node, layer, first, lists.degree(list)});
  }
}

void Committer::cut_list(const OverfullList& list, const ListScores& scores, Places dominated,
                         Notes* notes) {
  const LinkTable& lists = graph_.table_of(list.layer);
  const ListIndex index = graph_.list(list.node, list.layer);
  if (lists.degree(index) <= lists.max_degree()) return;  // cuts of earlier lists have made room

  const bool untouched = lists.degree(index) == list.count;
  if (!untouched) {
    dominated = dominated_places(list, scores,
                                 [&](NodeId neighbor) { return lists.contains(index, neighbor); });
  }
  // The farthest dominated neighbors go until the list is down to its target. If they are too few,
  // the farthest of the others follow.
  const auto cut_farthest = [&](const Places& places, std::uint32_t target) {
    places.descend([&](std::uint32_t b) {
      if (lists.degree(index) <= target) return false;
      const NodeId neighbor = neighbor_at(list, scores, b);
      if (!is_protected(list.node, neighbor, list.layer) &&
          (untouched || lists.contains(index, neighbor))) {
        cut(list.node, neighbor, list.layer, notes);
      }
      return true;
    });
  };
  cut_farthest(dominated, cut_target(lists.max_degree()));
  cut_farthest(dominated.others(list.count), lists.max_degree());
}

// Neighbor selection heuristic (Malkov & Yashunin, algorithm 4) on the list's neighbors in order of
// distance: one that is nearer to a kept neighbor than to the list's node may go.
template <class IsThere>
Committer::Places Committer::dominated_places(const OverfullList& list, const ListScores& scores,
                                              const IsThere& is_there) const {
  Places kept;
  Places dominated;
  const std::uint64_t* dominators = &scores.dominators[std::size_t{list.first} * scores.words];
  for (std::uint32_t b = 0; b < list.count; ++b, dominators += scores.words) {
    std::uint64_t by_kept = 0;
    for (std::uint32_t w = 0; w < scores.words; ++w) by_kept |= dominators[w] & kept.words[w];
    dominated.add(b, by_kept != 0);
    kept.add(b, by_kept == 0 && is_there(neighbor_at(list, scores, b)));
  }
  return dominated;
}

// Assumes that the whole list is still there, as it is for most lists when they are cut. Begins to
// fetch the lists that cut_list will most likely change.
Committer::Places Committer::look_ahead(const OverfullList& list, const ListScores& scores) const {
  const LinkTable& lists = graph_.table_of(list.layer);
  const Places dominated = dominated_places(list, scores, [](NodeId) { return true; });
  std::uint32_t left = list.count - cut_target(lists.max_degree());
  lists.prefetch_to_change(graph_.list(list.node, list.layer));
  dominated.descend([&](std::uint32_t b) {
    lists.prefetch_to_change(graph_.list(neighbor_at(list, scores, b), list.layer));
    return --left > 0;
  });
  return dominated;
}

// Only protected edges are left in a list that is still too long: the node's last anchor, and its
// children, which are nodes whose last anchor it is. The farthest children go to an older sibling
// with room. If that is not enough, the latest children go to the node inserted just before them.
void Committer::move_children(const OverfullList& list, const ListScores& scores) {
  const LinkTable& lists = graph_.table_of(list.layer);
  const ListIndex index = graph_.list(list.node, list.layer);
  for (std::uint32_t b = list.count; b-- > 0 && lists.degree(index) > lists.max_degree();) {
    const NodeId child = neighbor_at(list, scores, b);
    if (child < list.node || !lists.contains(index, child)) continue;
    const NodeId sibling = sibling_with_room(list.node, child, list.layer);
    if (sibling != kNoNode) reanchor(child, list.node, sibling, list.layer);
  }
  while (lists.degree(index) > lists.max_degree()) move_on(list.node, list.layer);
}

void Committer::cut(NodeId a, NodeId b, std::uint32_t layer, Notes* notes) {
  preserve(a, layer, notes);
  preserve(b, layer, notes);
  LinkTable& lists = graph_.table_of(layer);
  lists.remove(graph_.list(a, layer), b);
  lists.remove(graph_.list(b, layer), a);
  lists.drop_anchor(graph_.list(std::max(a, b), layer));
  ++(notes == nullptr ? stats_.seal.count : notes->cuts);
}

// Before a seal first changes a list, keeps what the next epoch's proposals must still see of it.
void Committer::preserve(NodeId node, std::uint32_t layer, Notes* notes) {
  LinkTable& lists = graph_.table_of(layer);
  const ListIndex list = graph_.list(node, layer);
  const NodeId visible = graph_.epoch().begin;
  const bool is_young = node >= visible;
  const bool is_copied = !is_young && keeps_copies_ && !lists.has_sealed_copy(list);
  const auto is_sealed = [&](NodeId id) { return id < visible; };
  if (notes == nullptr) {
    lists.touch(list, graph_.epoch().number);
    if (is_young) lists.mark_cut(list);
    if (is_copied) lists.keep_sealed_copy(list, is_sealed);
    return;
  }
  const bool is_touched = lists.mark_touched(list, graph_.epoch().number);
  if (is_copied) lists.write_sealed_copy(list, notes->next_copy++, is_sealed);
  if (is_touched || is_copied || is_young) {
    changes_[notes->first + notes->changes++] = {list, is_touched, is_copied};
  }
}

// At every moment the child is linked to `from` or to `to`. So a search beside this finds a whole
// graph, however long this thread is suspended. The child's list has room, because it comes after
// `from` and so is within max_degree.
void Committer::reanchor(NodeId child, NodeId from, NodeId to, std::uint32_t layer) {
  for (const NodeId node : {to, from, child}) preserve(node, layer, nullptr);
  LinkTable& lists = graph_.table_of(layer);
  lists.append(graph_.list(to, layer), child, graph_.epoch().number);
  lists.replace(graph_.list(child, layer), from, to, graph_.epoch().number);
  lists.remove(graph_.list(from, layer), child);
  ++stats_.seal.count;
  ++stats_.reanchored;
}

NodeId Committer::sibling_with_room(NodeId anchor, NodeId child, std::uint32_t layer) const {
  const LinkTable& lists = graph_.table_of(layer);
  const ListIndex siblings = graph_.list(anchor, layer);
  for (std::uint32_t j = 0; j < lists.degree(siblings); ++j) {
    const NodeId sibling = lists.at(siblings, j);
    if (sibling < child && lists.degree(graph_.list(sibling, layer)) < lists.max_degree()) {
      return sibling;
    }
  }
  return kNoNode;
}

// Frees one place in a list above max_degree. The list's latest child moves to the node inserted
// just before it, which is another one: a list over max_degree ≥ 2 whose edges are all protected
// has two children at least. If that makes the other's list too long, the same is done there; its
// latest child is later still, so this ends, at the layer's last nodes if not before.
void Committer::move_on(NodeId node, std::uint32_t layer) {
  const LinkTable& lists = graph_.table_of(layer);
  do {
    const ListIndex list = graph_.list(node, layer);
    NodeId latest = lists.at(list, 0);
    for (std::uint32_t j = 0; j < lists.degree(list); ++j) {
      const NodeId other = lists.at(list, j);
      if (!is_protected(node, other, layer)) return cut(node, other, layer, nullptr);
      latest = std::max(latest, other);
    }
    const NodeId next = graph_.before_in_layer(latest, layer);
    reanchor(latest, node, next, layer);
    node = next;
  } while (lists.degree(graph_.list(node, layer)) > lists.max_degree());
}

void Committer::find_overfull() {
  overfull_.clear();
  for (NodeId node = 0; node < graph_.size(); ++node) {
    if (!graph_.is_linked(node)) continue;
    for (std::uint32_t layer = 0; layer <= graph_.level(node); ++layer) {
      const LinkTable& lists = graph_.table_of(layer);
      if (lists.degree(graph_.list(node, layer)) > lists.max_degree())
        overfull_.push_back({node, layer});
    }
  }
}

}  // namespace concord::core
