// The one thread that changes the graph: commits proposals strictly in order, and seals epochs.
//
// It computes no distance. Every edge it writes was proposed; every edge it cuts was scored by the
// Proposer. After each commit the graph is valid and searchable.
// A seal lets Cutters help with cutting lists; what comes of it is what the one thread would do.
// Thread-safety: one thread; readers may run beside it as LinkTable allows.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concord/stats.hpp>
#include <span>
#include <vector>

#include "common/build/cut_order.hpp"
#include "common/build/cutters.hpp"
#include "common/build/proposer.hpp"
#include "common/build/repair.hpp"
#include "common/graph/graph.hpp"

namespace concord::core {

class Committer {
 public:
  /// Borrows all. Without cutters seals are this thread's alone.
  Committer(Graph& graph, BuildStats& stats, Cutters* cutters = nullptr)
      : graph_(graph), stats_(stats), cutters_(cutters), repair_(graph) {}

  /// Links the batch's nodes, each in all of its layers, in order. REQUIRES that they are the next
  /// announced nodes and all fall in the open epoch. Throws Error(out_of_memory) before any change.
  /// `changes` becomes how the links differ from the proposals, if it is not null.
  void commit(const ProposalBatch& batch, LinkChanges* changes = nullptr);

  /// True when the open epoch is full: seal() is due before the next commit.
  [[nodiscard]] bool seal_is_due() const noexcept { return graph_.seal_is_due(); }
  /// Cuts every list above max_degree back, tells `proposer` and opens the next epoch. If nodes
  /// died since the last seal, links their neighbors, unlinks them, and leaves an empty epoch
  /// behind, so that no proposal reads a graph that still has them.
  /// Throws Error(out_of_memory), std::bad_alloc: the seal stays due, and the graph is whole.
  void seal(RepairingProposer& proposer);

  /// Finds the lists above max_degree after the graph was loaded.
  void find_overfull();

 private:
  // commit
  void link_in_layer(const ProposalBatch& batch, NodeId node, std::uint32_t layer,
                     LinkChanges* changes);
  [[nodiscard]] NodeId neighbor_elsewhere(NodeId node, std::uint32_t layer,
                                          std::span<const NodeId> neighbors) const;
  void link(NodeId a, NodeId b, std::uint32_t layer);
  void append(NodeId node, NodeId neighbor, std::uint32_t layer);

  // seal
  /// A set of places 0 … kMaxListCapacity − 1.
  struct Places {
    std::array<std::uint64_t, kMaxListCapacity / 64> words{};
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
  /// The list's neighbor number b by distance.
  [[nodiscard]] NodeId neighbor_at(const OverfullList& list, const ListScores& scores,
                                   std::uint32_t b) const noexcept {
    return to_cut_.ids[list.first + scores.ranking[list.first + b]];
  }
  /// The places of neighbors that the selection heuristic drops. Only neighbors for which is_there
  /// holds are still in the list and can dominate.
  template <class IsThere>
  [[nodiscard]] Places dominated_places(const OverfullList& list, const ListScores& scores,
                                        const IsThere& is_there) const;
  void gather_overfull();
  /// What may fail about cutting the lists of to_cut_, so that nothing behind it does.
  void prepare_cuts();
  /// Cuts the lists of to_cut_.
  void cut_overfull(const ListScores* scores);
  void cut_in_order(const ListScores& scores);
  /// The same by the cutters.
  void cut_together(const ListScores& scores);
  /// Links the neighbors of the pending tombstones, and unlinks these.
  void unlink(RepairingProposer& proposer);
  void erase(NodeId node);
  Places look_ahead(const OverfullList& list, const ListScores& scores) const;
  /// What the cut of a list by one of several threads does to tables that they share.
  struct Notes {
    std::uint32_t first = 0;  ///< of its places in changes_
    std::uint32_t changes = 0;
    std::uint32_t next_copy = 0;  ///< in the room of its table
    std::uint32_t end_of_copies = 0;
    std::uint64_t cuts = 0;
  };
  /// `dominated` is the result of look_ahead(). `notes` is null if this thread cuts alone.
  void cut_list(const OverfullList& list, const ListScores& scores, Places dominated, Notes* notes);
  void cut(NodeId a, NodeId b, std::uint32_t layer, Notes* notes);
  void preserve(NodeId node, std::uint32_t layer, Notes* notes);
  void move_children(const OverfullList& list, const ListScores& scores);
  /// Gives `child`, whose only anchor is `from`, the earlier node `to` instead.
  void reanchor(NodeId child, NodeId from, NodeId to, std::uint32_t layer);
  [[nodiscard]] NodeId sibling_with_room(NodeId anchor, NodeId child, std::uint32_t layer) const;
  void move_on(NodeId node, std::uint32_t layer);

  /// Cutting the edge would leave its later end without an anchor.
  [[nodiscard]] bool is_protected(NodeId a, NodeId b, std::uint32_t layer) const noexcept {
    return graph_.table_of(layer).header(graph_.list(std::max(a, b), layer)).anchors <= 1;
  }

  Graph& graph_;
  BuildStats& stats_;
  Cutters* cutters_;
  std::vector<ListName> overfull_;  ///< lists whose degree passed max_degree in the open epoch
  OverfullLists to_cut_;
  bool keeps_copies_ = true;  ///< of lists that the seal changes, for the next epoch's proposals
  // Of the cuts at hand, if they are made together:
  bool is_shared_ = false;
  CutOrder order_;
  std::vector<Notes> notes_;                ///< of each list
  std::vector<LinkTable::Change> changes_;  ///< noted by the lists, each in its own places
  std::array<std::uint32_t, 2> room_{};     ///< for sealed copies, in each table
  Repair repair_;
};

}  // namespace concord::core
