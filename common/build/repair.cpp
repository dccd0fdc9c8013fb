#include "common/build/repair.hpp"

#include <algorithm>
#include <array>

namespace concord::core {
namespace {

std::uint64_t pair_of(NodeId a, NodeId b) {
  return (std::uint64_t{std::min(a, b)} << 32) | std::max(a, b);
}

template <class T>
void sort_unique(std::vector<T>& elements) {
  std::sort(elements.begin(), elements.end());
  elements.erase(std::unique(elements.begin(), elements.end()), elements.end());
}

}  // namespace

void Repair::plan(RepairingProposer& proposer) {
  dead_ = graph_.pending();
  std::erase_if(dead_, [&](NodeId id) { return graph_.copies().is_copy(id); });
  std::sort(dead_.begin(), dead_.end());
  links_.clear();
  overfull_ = {};
  lost_links_ = 0;
  std::uint32_t top = 0;
  for (const NodeId node : dead_) top = std::max(top, graph_.level(node));
  for (std::uint32_t layer = 0; layer <= top; ++layer) plan_layer(layer, proposer);
}

void Repair::plan_layer(std::uint32_t layer, RepairingProposer& proposer) {
  first_link_ = links_.size();
  changes_.clear();
  linked_.clear();
  gather_neighborhoods(layer);
  relate_neighbors(layer, proposer);
  propose_again(layer, proposer);
  anchor_orphans(layer, proposer);
  gather_overfull(layer);
}

void Repair::gather_neighborhoods(std::uint32_t layer) {
  const LinkTable& lists = graph_.table_of(layer);
  in_layer_.clear();
  bereaved_.clear();
  neighborhoods_ = {};
  std::array<NodeId, kMaxListCapacity> buffer;
  for (const NodeId dead : dead_) {
    if (graph_.level(dead) < layer) continue;
    in_layer_.push_back(dead);
    for (const NodeId id : lists.ids(graph_.list(dead, layer), buffer.data())) {
      if (!lives(id)) continue;
      neighborhoods_.ids.push_back(id);
      Change& change = changes_[id];
      ++change.lost;
      change.lost_anchors += dead < id ? 1 : 0;
    }
    neighborhoods_.first.push_back(static_cast<std::uint32_t>(neighborhoods_.ids.size()));
  }
  bereaved_ = neighborhoods_.ids;
  lost_links_ += bereaved_.size();
  sort_unique(bereaved_);
  first_ = graph_.first_in_layer(layer);
  while (first_ < graph_.size() && (graph_.level(first_) < layer || !lives(first_))) ++first_;
}

void Repair::relate_neighbors(std::uint32_t layer, RepairingProposer& proposer) {
  if (neighborhoods_.ids.empty()) return;
  const auto may_gain = [&](NodeId node) {
    const Change& change = changes_.at(node);
    return change.gained < kGain * change.lost && has_room(node, layer);
  };
  for (const auto& [a, b] : proposer.relate(neighborhoods_)) {
    if (may_gain(a) && may_gain(b) && !is_linked(a, b, layer)) link(a, b, layer);
  }
}

void Repair::propose_again(std::uint32_t layer, RepairingProposer& proposer) {
  const std::uint32_t floor = graph_.table_of(layer).max_degree() / 4;
  std::vector<ListName> poor;
  for (const NodeId node : bereaved_) {
    if (degree(node, layer) < floor) poor.push_back({node, layer});
  }
  if (poor.empty()) return;
  const std::span<const NodeId> proposed = proposer.propose_again(poor);
  const std::size_t M = graph_.params().M;
  for (std::size_t i = 0; i < poor.size(); ++i) {
    const NodeId node = poor[i].node;
    for (const NodeId id : proposed.subspan(i * M, M)) {
      if (id == kNoNode) break;
      if (has_room(node, layer) && has_room(id, layer) && !is_linked(node, id, layer)) {
        link(node, id, layer);
      }
    }
  }
}

void Repair::anchor_orphans(std::uint32_t layer, RepairingProposer& proposer) {
  OverfullLists orphans;  // each with the anchors that it may get
  for (const NodeId node : bereaved_) {
    if (!is_orphan(node, layer)) continue;
    const auto first = static_cast<std::uint32_t>(orphans.ids.size());
    gather_anchors(node, layer, orphans.ids);
    orphans.lists.push_back(
        {node, layer, first, static_cast<std::uint32_t>(orphans.ids.size()) - first});
  }
  if (orphans.lists.empty()) return;
  const ListScores& scores = proposer.score(orphans);
  for (const OverfullList& orphan : orphans.lists) {
    NodeId anchor = kNoNode;
    for (std::uint32_t b = 0; b < orphan.count && anchor == kNoNode; ++b) {
      const NodeId near = orphans.ids[orphan.first + scores.ranking[orphan.first + b]];
      if (has_room(near, layer)) anchor = near;
    }
    if (anchor == kNoNode) {
      anchor = orphan.node;
      do {
        --anchor;
      } while (graph_.level(anchor) < layer || !lives(anchor));
    }
    link(orphan.node, anchor, layer);
  }
}

bool Repair::is_orphan(NodeId node, std::uint32_t layer) const {
  if (node == first_) return false;
  const Change change = change_of(node);
  const std::uint32_t anchors = graph_.table_of(layer).header(graph_.list(node, layer)).anchors;
  return anchors + change.gained_anchors == change.lost_anchors;
}

void Repair::gather_anchors(NodeId node, std::uint32_t layer, std::vector<NodeId>& out) const {
  const LinkTable& lists = graph_.table_of(layer);
  std::array<NodeId, kMaxListCapacity> buffer;
  std::vector<NodeId> anchors;
  for (const NodeId dead : lists.ids(graph_.list(node, layer), buffer.data())) {
    if (dead > node || lives(dead)) continue;
    for (const NodeId id : neighborhood_of(dead)) {
      if (id < node) anchors.push_back(id);
    }
  }
  sort_unique(anchors);
  // A scored list has at most as many ids as a list can hold: the latest of more.
  const std::size_t left_out =
      anchors.size() - std::min<std::size_t>(anchors.size(), lists.capacity());
  out.insert(out.end(), anchors.begin() + static_cast<std::ptrdiff_t>(left_out), anchors.end());
}

std::span<const NodeId> Repair::neighborhood_of(NodeId dead) const {
  const auto place = std::lower_bound(in_layer_.begin(), in_layer_.end(), dead) - in_layer_.begin();
  return neighborhoods_.set(static_cast<std::size_t>(place));
}

void Repair::gather_overfull(std::uint32_t layer) {
  const LinkTable& lists = graph_.table_of(layer);
  std::vector<NodeId> over;
  for (std::size_t i = first_link_; i < links_.size(); ++i) {
    for (const NodeId node : {links_[i].a, links_[i].b}) {
      if (degree(node, layer) > lists.max_degree()) over.push_back(node);
    }
  }
  sort_unique(over);
  std::array<NodeId, kMaxListCapacity> buffer;
  for (const NodeId node : over) {
    const auto first = static_cast<std::uint32_t>(overfull_.ids.size());
    for (const NodeId id : lists.ids(graph_.list(node, layer), buffer.data())) {
      if (lives(id)) overfull_.ids.push_back(id);
    }
    for (std::size_t i = first_link_; i < links_.size(); ++i) {
      if (links_[i].a == node) overfull_.ids.push_back(links_[i].b);
      if (links_[i].b == node) overfull_.ids.push_back(links_[i].a);
    }
    overfull_.lists.push_back(
        {node, layer, first, static_cast<std::uint32_t>(overfull_.ids.size()) - first});
  }
}

Repair::Change Repair::change_of(NodeId node) const {
  const auto found = changes_.find(node);
  return found == changes_.end() ? Change{} : found->second;
}

std::uint32_t Repair::degree(NodeId node, std::uint32_t layer) const {
  const Change change = change_of(node);
  return graph_.table_of(layer).degree(graph_.list(node, layer)) - change.lost + change.gained;
}

// Until the tombstones go, a list holds them as well. Two places of it stay free for step 3: for
// the anchor that the node may get, and for the node behind it.
bool Repair::has_room(NodeId node, std::uint32_t layer) const {
  const LinkTable& lists = graph_.table_of(layer);
  const Change change = change_of(node);
  return degree(node, layer) < lists.max_degree() &&
         lists.degree(graph_.list(node, layer)) + change.gained + 2 < lists.capacity();
}

bool Repair::is_linked(NodeId a, NodeId b, std::uint32_t layer) const {
  return linked_.contains(pair_of(a, b)) ||
         graph_.table_of(layer).contains(graph_.list(a, layer), b);
}

void Repair::link(NodeId a, NodeId b, std::uint32_t layer) {
  links_.push_back({a, b, layer});
  linked_.insert(pair_of(a, b));
  ++changes_[a].gained;
  ++changes_[b].gained;
  ++changes_[std::max(a, b)].gained_anchors;
}

}  // namespace concord::core
