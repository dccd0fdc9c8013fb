// The seam between those who compute (CPU threads, a CUDA device) and the one who commits.
//
// A Proposer does all distance arithmetic of construction: it proposes neighbors for nodes and
// scores lists that a seal must cut. Both are pure functions of (vectors, parameters, sealed
// graph), so every implementation returns the same ids; the Committer consumes them in order.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "common/graph/graph.hpp"

namespace concord::core {

/// Neighbors to link, for each node of [begin, end) and each of its layers: at most M ids, nearest
/// first, ended by kNoNode where fewer. List (node, layer) has number first_list[node − begin] +
/// layer. M is the index's, or more where links are known beforehand; never are there more than
/// max_degree.
struct ProposalBatch {
  NodeId begin = 0;
  NodeId end = 0;
  std::uint32_t M = 0;
  std::vector<std::uint32_t> first_list;  ///< [end − begin + 1]: Σ (level + 1) before each node
  std::vector<NodeId> ids;                ///< [lists × M]

  /// Sizes the arrays for the nodes' levels; ids are left as they are.
  void reset(NodeId begin, NodeId end, const Graph& graph);
  [[nodiscard]] std::size_t lists() const noexcept { return first_list.back(); }
  [[nodiscard]] std::size_t number(NodeId node, std::uint32_t layer) const noexcept {
    return std::size_t{first_list[node - begin] + layer};
  }
  [[nodiscard]] NodeId* list(std::size_t number) noexcept { return ids.data() + number * M; }
  [[nodiscard]] NodeId* list(NodeId node, std::uint32_t layer) noexcept {
    return list(number(node, layer));
  }
  [[nodiscard]] std::span<const NodeId> neighbors(std::size_t number) const noexcept;
  [[nodiscard]] std::span<const NodeId> neighbors(NodeId node, std::uint32_t layer) const noexcept {
    return neighbors(number(node, layer));
  }
};

/// How the links that a batch's nodes got when they were committed differ from those proposed:
/// place places[j] of ProposalBatch::ids stands for a link to ids[j], or for none where that is
/// kNoNode.
struct LinkChanges {
  std::vector<std::uint32_t> places;  ///< distinct
  std::vector<NodeId> ids;

  /// Forgets what was noted, and makes room for `count` changes.
  void reset(std::size_t count);
  /// A full list has refused the link at `place`.
  void refuse(std::uint32_t place) noexcept {
    places.push_back(place);
    ids.push_back(kNoNode);
  }
  /// All `count` links of the proposed list that begins at `first` were refused just now: its node
  /// is linked to `id` in their place.
  void replace(std::uint32_t first, std::size_t count, NodeId id) noexcept;
};

/// The list of a node in a layer.
struct ListName {
  NodeId node;
  std::uint32_t layer;
};

/// Lists above max_degree at a seal, in the order in which they will be cut.
struct OverfullLists {
  std::vector<OverfullList> lists;
  std::vector<NodeId> ids;
};

/// What a seal needs to know about distances to cut OverfullLists without computing any.
///
/// For a list of node u let s_0, s_1, … be its neighbors by (distance to u, id). Place first + b
/// holds `ranking` = position of s_b in the list's ids, and `dominators` = the set of a < b with
/// d(s_a, s_b) < d(u, s_b), bit a of `words` 64-bit words.
struct ListScores {
  std::uint32_t words = 1;
  std::vector<std::uint8_t> ranking;      ///< [ids]
  std::vector<std::uint64_t> dominators;  ///< [ids × words]
};

/// Sets of nodes: the living neighbors of each tombstone that a seal unlinks, in one layer.
struct Neighborhoods {
  std::vector<std::uint32_t> first{0};  ///< [sets + 1]: where each begins in ids
  std::vector<NodeId> ids;              ///< at most max_degree a set

  [[nodiscard]] std::size_t size() const noexcept { return first.size() - 1; }
  [[nodiscard]] std::span<const NodeId> set(std::size_t number) const noexcept {
    return {ids.data() + first[number], first[number + 1] - first[number]};
  }
};

/// An edge a — b, a < b.
struct Edge {
  NodeId a;
  NodeId b;
};

/// The calling thread asks it from time to time during long work; true = stop soon.
using StopRequest = std::function<bool()>;

class Proposer {
 public:
  Proposer() = default;
  Proposer(const Proposer&) = delete;
  Proposer& operator=(const Proposer&) = delete;
  virtual ~Proposer() = default;

  /// Whether start() can do such a batch now.
  [[nodiscard]] virtual bool takes(NodeId /*begin*/, NodeId /*end*/) const { return true; }
  /// Begins proposing for announced nodes [begin, end), all of `epoch`, which is the open epoch or
  /// the next. May return before the work is done. At most one batch is begun and not finished.
  virtual void start(const Epoch& epoch, NodeId begin, NodeId end, const StopRequest& stop) = 0;
  /// Waits for the batch begun last; null if `stop` asked to stop. The batch is valid until start()
  /// has been called twice more.
  virtual const ProposalBatch* finish(const StopRequest& stop) = 0;

  /// The batch finished last is about to be committed. Returns where the committer is to note how
  /// its links differ from the proposals; null if nobody asks.
  virtual LinkChanges* changes_of(const ProposalBatch&) { return nullptr; }

  /// Scores lists of the live graph. The result is valid until the next call.
  virtual const ListScores& score(const OverfullLists& batch) = 0;

  /// Returns when no thread of the proposer reads the graph or works for it. Called before a seal
  /// cuts lists, and by whoever changes the graph outside of an insertion.
  virtual void drain() {}

  /// The open epoch has just been sealed; LinkTable::touched() names the lists that changed
  /// since the seal before, LinkTable::for_each_cut() those that the seal changed. Called before
  /// the next epoch's first commit.
  virtual void sealed() = 0;
};

/// A Proposer that also answers what a seal asks about the neighbors of tombstones (repair.hpp).
/// These, too, are pure functions of (vectors, parameters, graph).
class RepairingProposer : public Proposer {
 public:
  /// The edges of the sets' relative neighborhood graphs, one set after the other. Pairs compare by
  /// (distance, earlier id, later id). Two nodes of a set have an edge unless a third makes a
  /// lesser pair with both. The edges of a set are in this order. The result is valid until the
  /// next call.
  virtual std::span<const Edge> relate(const Neighborhoods& sets) = 0;
  /// Candidates kept by the beam search of propose_again().
  static constexpr std::uint32_t kWidth = 64;
  /// Neighbors for nodes of the live graph: for each list at most M living nodes other than its
  /// own, found by a beam search that begins at the node, chosen by the neighbor selection
  /// heuristic, and ended by kNoNode where fewer. [lists × M], valid until the next call.
  virtual std::span<const NodeId> propose_again(std::span<const ListName> lists) = 0;
};

}  // namespace concord::core
