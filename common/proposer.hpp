// The seam between those who compute (CPU threads, a CUDA device) and the one who commits.
//
// A Proposer does all distance arithmetic of construction: it proposes neighbors for nodes and
// scores rows that a seal must cut. Both are pure functions of (vectors, parameters, sealed graph),
// so every implementation returns the same ids; the Committer consumes them in order.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "common/graph.hpp"

namespace concord::core {

/// Neighbors to link, for each node of [begin, end) and each of its layers: at most M ids, nearest
/// first, ended by kNoNode where fewer. List (node, layer) stands at place list(node) + layer. M is
/// the index's, or more where links are known beforehand; never are there more than max_degree.
struct ProposalBatch {
  NodeId begin = 0;
  NodeId end = 0;
  std::uint32_t M = 0;
  std::vector<std::uint32_t> first_list;  ///< [end − begin + 1]: Σ (level + 1) before each node
  std::vector<NodeId> ids;                ///< [lists × M]

  /// Sizes the arrays for the nodes' levels; ids are left as they are.
  void reset(NodeId begin, NodeId end, const Graph& graph);
  [[nodiscard]] std::size_t lists() const noexcept { return first_list.back(); }
  [[nodiscard]] NodeId* list(NodeId node, std::uint32_t layer) noexcept {
    return ids.data() + std::size_t{first_list[node - begin] + layer} * M;
  }
  [[nodiscard]] std::span<const NodeId> neighbors(NodeId node, std::uint32_t layer) const noexcept;
};

/// Rows above max_degree at a seal, in the order in which they will be cut.
struct PruneBatch {
  struct Row {
    NodeId node;
    std::uint32_t layer;
    std::uint32_t first;  ///< of its ids in `ids`
    std::uint32_t count;  ///< at most kMaxScored
  };
  std::vector<Row> rows;
  std::vector<NodeId> ids;
};

/// What a seal needs to know about distances to cut the rows of a PruneBatch without computing any.
///
/// For a row of node u let s_0, s_1, … be its neighbors by (distance to u, id). Place first + b
/// holds `order` = position of s_b in the row's ids, and `dominators` = the set of a < b with
/// d(s_a, s_b) < d(u, s_b), bit a of `words` 64-bit words.
struct PruneScores {
  std::uint32_t words = 1;
  std::vector<std::uint8_t> order;        ///< [ids]
  std::vector<std::uint64_t> dominators;  ///< [ids × words]
};

/// Asked now and then on the calling thread during long work; true = stop soon.
using StopRequest = std::function<bool()>;

class Proposer {
 public:
  Proposer() = default;
  Proposer(const Proposer&) = delete;
  Proposer& operator=(const Proposer&) = delete;
  virtual ~Proposer() = default;

  /// Begins proposing for announced nodes [begin, end), all of `epoch`, which is the open epoch or
  /// the next. May return before the work is done. At most one batch is begun and not finished.
  virtual void start(const Epoch& epoch, NodeId begin, NodeId end, const StopRequest& stop) = 0;
  /// Waits for the batch begun last; null where `stop` asked to stop. The batch is the caller's
  /// until the call after next of start.
  virtual const ProposalBatch* finish(const StopRequest& stop) = 0;

  /// Scores rows of the live graph. The result is the caller's until the next call.
  virtual const PruneScores& score(const PruneBatch& batch) = 0;

  /// Returns when no thread of the proposer reads the graph or works for it. Called before a seal
  /// cuts rows, and by whoever changes the graph outside of an insertion.
  virtual void settle() {}

  /// The open epoch has just been sealed; `Graph::table(…).touched()` names the rows that changed
  /// since the seal before. Called before the next epoch's first commit.
  virtual void sealed() = 0;
};

}  // namespace concord::core
