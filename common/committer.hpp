// The one thread that changes the graph: commits proposals strictly in order, and seals epochs.
//
// It computes no distance. Every edge it writes was proposed; every edge it cuts was scored by the
// Proposer. After each commit the graph is valid and searchable.
// Thread-safety: one thread; readers may run beside it as RowTable allows.
#pragma once

#include <array>
#include <bit>
#include <concord/stats.hpp>
#include <span>
#include <vector>

#include "common/graph.hpp"
#include "common/proposer.hpp"

namespace concord::core {

class Committer {
 public:
  Committer(Graph& graph, BuildStats& stats) : graph_(graph), stats_(stats) {}

  /// Links the batch's nodes, each in all of its layers, in order. REQUIRES that they are the next
  /// announced nodes and all fall in the open epoch. Throws Error(out_of_memory) before any change.
  void commit(const ProposalBatch& batch);

  /// True when the open epoch is full: seal() is due before the next commit.
  [[nodiscard]] bool seal_is_due() const noexcept { return graph_.size() == graph_.epoch().end; }
  /// Cuts every row above max_degree back, tells `proposer` and opens the next epoch.
  void seal(Proposer& proposer);

  /// Rebuilds the list of rows above max_degree after the graph was loaded.
  void find_crowded();

 private:
  struct RowName {
    NodeId node;
    std::uint32_t layer;
  };

  // commit
  void link_in_layer(NodeId node, std::uint32_t layer, std::span<const NodeId> neighbors);
  void link_elsewhere(NodeId node, std::uint32_t layer, std::span<const NodeId> neighbors);
  void link(NodeId a, NodeId b, std::uint32_t layer);
  void append(NodeId node, NodeId neighbor, std::uint32_t layer);

  // seal
  /// A set of places 0 … kMaxScored − 1.
  struct Places {
    std::array<std::uint64_t, kMaxScored / 64> words{};
    /// Adds b where `wanted`.
    void add(std::uint32_t b, bool wanted) noexcept {
      words[b / 64] |= std::uint64_t{wanted} << (b % 64);
    }
    /// The places below `count` that are not in the set.
    [[nodiscard]] Places others(std::uint32_t count) const noexcept {
      Places places;
      for (std::uint32_t w = 0; w * 64 < count; ++w) {
        const std::uint32_t left = count - w * 64;
        places.words[w] = ~words[w] & (~std::uint64_t{0} >> (left < 64 ? 64 - left : 0));
      }
      return places;
    }
    /// Calls f(b) for its places, highest first, until f returns false.
    template <class F>
    void descend(const F& f) const {
      for (std::size_t w = words.size(); w-- > 0;) {
        for (std::uint64_t left = words[w]; left != 0;) {
          const auto b = static_cast<std::uint32_t>(63 - std::countl_zero(left));
          if (!f(static_cast<std::uint32_t>(w * 64) + b)) return;
          left ^= std::uint64_t{1} << b;
        }
      }
    }
  };
  /// The row's neighbor number b by distance.
  [[nodiscard]] NodeId neighbor_at(const PruneBatch::Row& row, const PruneScores& scores,
                                   std::uint32_t b) const noexcept {
    return prune_batch_.ids[row.first + scores.order[row.first + b]];
  }
  /// Places of neighbors that the selection heuristic drops, among those that `is_there` says are
  /// still in the row.
  template <class IsThere>
  [[nodiscard]] Places dominated_places(const PruneBatch::Row& row, const PruneScores& scores,
                                        const IsThere& is_there) const;
  void gather_crowded();
  Places look_ahead(const PruneBatch::Row& row, const PruneScores& scores) const;
  /// `dominated` is what look_ahead() said.
  void cut_row(const PruneBatch::Row& row, const PruneScores& scores, Places dominated);
  void cut(NodeId a, NodeId b, std::uint32_t layer);
  void preserve(NodeId node, std::uint32_t layer);
  void move_children(const PruneBatch::Row& row, const PruneScores& scores);
  /// Gives `child`, whose only anchor is `from`, the earlier node `to` instead.
  void reanchor(NodeId child, NodeId from, NodeId to, std::uint32_t layer);
  [[nodiscard]] NodeId sibling_with_room(NodeId anchor, NodeId child, std::uint32_t layer) const;
  void move_on(NodeId node, std::uint32_t layer);

  [[nodiscard]] RowHeader& header(NodeId node, std::uint32_t layer) const noexcept {
    return graph_.table(layer).header(graph_.row(node, layer));
  }
  [[nodiscard]] bool precedes(NodeId a, NodeId b) const noexcept {
    return graph_.order(a) < graph_.order(b);
  }
  [[nodiscard]] NodeId later(NodeId a, NodeId b) const noexcept { return precedes(a, b) ? b : a; }
  /// Cutting the edge would leave its later end without an anchor.
  [[nodiscard]] bool is_protected(NodeId a, NodeId b, std::uint32_t layer) const noexcept {
    return header(later(a, b), layer).anchors <= 1;
  }

  Graph& graph_;
  BuildStats& stats_;
  std::vector<RowName> crowded_;  ///< rows whose degree passed max_degree in the open epoch
  PruneBatch prune_batch_;
};

}  // namespace concord::core
