// What a seal does for the neighbors of tombstones, before it unlinks those: a plan of links.
//
// Definition, for each layer, with the layer's tombstones x in order of insertion:
//  1. The living neighbors of x are linked among themselves by the edges of their relative
//     neighborhood graph (Toussaint 1980: two nodes, unless a third is nearer to both), shortest
//     first. A list gains at most kGain links for each that it loses.
//  2. A list that lost a link and would keep fewer than max_degree / 4 is proposed again: a beam
//     search from its own node on, then the neighbor selection heuristic.
//  3. A node that would keep no anchor gets the nearest earlier neighbor of its dead anchors that
//     has room, else the node just before it in the layer.
// Steps 1 and 2 never lengthen a list beyond max_degree. In step 3 each node is at most once the
// node just before another, so a list exceeds max_degree by two at most, and is cut back.
// Why this rule: docs/decisions.md, "How does removal repair the graph?".
//
// A plan changes nothing, so whatever fails leaves the graph as it was.
// Thread-safety: the committing thread.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/build/proposer.hpp"
#include "common/graph/graph.hpp"

namespace concord::core {

class Repair {
 public:
  struct Link {
    NodeId a, b;
    std::uint32_t layer;
  };

  /// Borrows the graph.
  explicit Repair(const Graph& graph) : graph_(graph) {}

  /// Plans what the graph's pending tombstones need. REQUIRES that no list exceeds max_degree, and
  /// that nothing else changes the graph.
  void plan(RepairingProposer& proposer);

  /// To be made in this order; then all links of pending() can go.
  [[nodiscard]] const std::vector<Link>& links() const noexcept { return links_; }
  /// The pending tombstones in order of insertion.
  [[nodiscard]] const std::vector<NodeId>& tombstones() const noexcept { return dead_; }
  /// How many lists of living nodes, or as many links, lead to tombstones.
  [[nodiscard]] std::size_t lost_links() const noexcept { return lost_links_; }
  /// The lists that will exceed max_degree when all is done, as they will be then.
  [[nodiscard]] const OverfullLists& overfull() const noexcept { return overfull_; }

 private:
  static constexpr std::uint32_t kGain = 2;

  /// How a list will differ.
  struct Change {
    std::uint32_t lost = 0;
    std::uint32_t lost_anchors = 0;
    std::uint32_t gained = 0;
    std::uint32_t gained_anchors = 0;
  };

  void plan_layer(std::uint32_t layer, RepairingProposer& proposer);
  void gather_neighborhoods(std::uint32_t layer);
  void relate_neighbors(std::uint32_t layer, RepairingProposer& proposer);
  void propose_again(std::uint32_t layer, RepairingProposer& proposer);
  void anchor_orphans(std::uint32_t layer, RepairingProposer& proposer);
  void gather_overfull(std::uint32_t layer);

  [[nodiscard]] bool lives(NodeId node) const noexcept {
    return !graph_.copies().is_copy(node) && !graph_.is_dead(node, graph_.size());
  }
  [[nodiscard]] Change change_of(NodeId node) const;
  /// The living neighbors that the list will have.
  [[nodiscard]] std::uint32_t degree(NodeId node, std::uint32_t layer) const;
  [[nodiscard]] bool has_room(NodeId node, std::uint32_t layer) const;
  [[nodiscard]] bool is_linked(NodeId a, NodeId b, std::uint32_t layer) const;
  void link(NodeId a, NodeId b, std::uint32_t layer);
  [[nodiscard]] bool is_orphan(NodeId node, std::uint32_t layer) const;
  /// Living neighbors of the node's dead anchors that are earlier than the node.
  void gather_anchors(NodeId node, std::uint32_t layer, std::vector<NodeId>& out) const;
  [[nodiscard]] std::span<const NodeId> neighborhood_of(NodeId dead) const;

  const Graph& graph_;
  std::vector<NodeId> dead_;
  std::vector<Link> links_;
  OverfullLists overfull_;
  std::size_t lost_links_ = 0;

  // Of the layer at hand:
  std::vector<NodeId> in_layer_;  ///< tombstones
  Neighborhoods neighborhoods_;   ///< their living neighbors
  std::vector<NodeId> bereaved_;  ///< nodes that lose a link, in order of insertion
  std::unordered_map<NodeId, Change> changes_;
  std::unordered_set<std::uint64_t> linked_;  ///< pairs of links_
  std::size_t first_link_ = 0;                ///< of the layer in links_
  NodeId first_ = kNoNode;                    ///< the layer's first node that lives
};

}  // namespace concord::core
