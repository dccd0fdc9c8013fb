// Layer 0 as it would be without one node, for searches whose query is that node's vector.
//
// A node that was inserted later may be linked to the hidden one in the place of others behind it,
// because the selection heuristic takes one neighbor in each direction. Such a node gets what its
// selection would have kept: those neighbors of the hidden node that this one dominates, and that
// nobody else in its list does. What was inserted earlier never knew the hidden node.
// docs/tuning.md compares the recall of such searches with that of vectors that are not in the
// index. Thread-safety: none; one per search.
#pragma once

#include <algorithm>
#include <vector>

#include "common/graph/graph.hpp"
#include "cpu/scorer.hpp"

namespace concord::cpu {

class HiddenNode {
 public:
  /// Hides a node of level 0, or none for kNoNode. O(degree³) distances, at most.
  HiddenNode(const core::Graph& graph, const core::LiveView& live, const Scorer& scorer,
             std::size_t stride, core::NodeId node)
      : scorer_(scorer),
        M_(graph.params().M),
        most_(graph.base().max_degree()),
        node_(node),
        widened_(stride) {
    if (node == core::kNoNode) return;
    for (const core::NodeId id : list_of(graph, live, node)) {
      lists_.push_back({id, list_of(graph, live, id), {}});
    }
    for (List& list : lists_) {
      if (list.node > node) select_again(list);
    }
  }

  [[nodiscard]] bool shows(core::NodeId id) const noexcept { return id != node_; }
  /// Calls visit(id, true) for the ids that the node's list, of `degree` ids, would also have.
  template <class Visit>
  void visit_instead(core::NodeId node, std::size_t degree, const Visit& visit) const {
    for (const List& list : lists_) {
      if (list.node != node) continue;
      for (const core::NodeId id : list.gained) {
        if (degree++ <= core::kMaxListCapacity) visit(id, true);
      }
    }
  }

 private:
  struct List {
    core::NodeId node;
    std::vector<core::NodeId> ids;
    std::vector<core::NodeId> gained;
  };
  struct Near {
    float distance;
    core::NodeId id;
    bool operator<(const Near& other) const noexcept {
      return core::make_key(distance, id) < core::make_key(other.distance, other.id);
    }
  };

  static std::vector<core::NodeId> list_of(const core::Graph& graph, const core::LiveView& live,
                                           core::NodeId node) {
    std::vector<core::NodeId> ids;
    graph.visit_live(live, node, 0, [&](core::NodeId id, bool shown) {
      if (shown) ids.push_back(id);
    });
    return ids;
  }
  [[nodiscard]] float distance(core::NodeId a, core::NodeId b) {
    float distance;
    scorer_.score(scorer_.as_query(a, widened_.data()), &b, 1, &distance);
    return distance;
  }

  // The heuristic keeps a candidate that is nearer to the node than to all kept before. Later nodes
  // count as well, because a seal first cuts the links that they dominate.
  void select_again(List& list) {
    const core::NodeId node = list.node;
    const float to_hidden = distance(node, node_);
    std::vector<Near> kept;
    std::size_t selected = 0;
    for (const core::NodeId id : list.ids) {
      if (id == node_) continue;
      kept.push_back({distance(node, id), id});
      selected += id < node ? 1 : 0;
    }
    std::vector<Near> candidates;
    for (const List& other : lists_) {
      const bool is_linked =
          std::find(list.ids.begin(), list.ids.end(), other.node) != list.ids.end();
      const bool has_room = other.ids.size() + other.gained.size() <= most_;
      if (other.node < node && !is_linked && has_room) {
        candidates.push_back({distance(node, other.node), other.node});
      }
    }
    std::sort(candidates.begin(), candidates.end());
    for (const Near& candidate : candidates) {
      if (selected == M_) return;
      const auto dominates = [&](float to_other, core::NodeId other) {
        return to_other < candidate.distance && distance(other, candidate.id) < candidate.distance;
      };
      if (!dominates(to_hidden, node_)) continue;  // left out for another reason
      if (std::any_of(kept.begin(), kept.end(),
                      [&](const Near& other) { return dominates(other.distance, other.id); })) {
        continue;
      }
      kept.push_back(candidate);
      ++selected;
      link(list, candidate.id);
    }
  }
  void link(List& list, core::NodeId id) {
    list.gained.push_back(id);
    std::find_if(lists_.begin(), lists_.end(), [&](const List& other) {
      return other.node == id;
    })->gained.push_back(list.node);
  }

  const Scorer& scorer_;
  std::size_t M_;     ///< links that a selection keeps at most
  std::size_t most_;  ///< ids of a list
  core::NodeId node_;
  std::vector<float> widened_;
  std::vector<List> lists_;  ///< of the hidden node's neighbors
};

}  // namespace concord::cpu
