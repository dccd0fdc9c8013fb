// The linked nodes of a graph numbered without gaps, in order of insertion.
//
// Digests and files name nodes by these ranks, so that nothing tells whether the slot of an
// unlinked node was given back. While no node was unlinked, ranks are ids and take no memory.
// Thread-safety: made while the graph stands still; then a value.
#pragma once

#include <vector>

#include "common/graph/graph.hpp"

namespace concord::core {

class Ranks {
 public:
  explicit Ranks(const Graph& graph) : size_(graph.size() - graph.unlinked()) {
    if (graph.unlinked() == 0) return;
    nodes_.reserve(size_);
    ranks_.resize(graph.size(), kNoNode);
    for (NodeId node = 0; node < graph.size(); ++node) {
      if (graph.tombstones().is_unlinked(node)) continue;
      ranks_[node] = static_cast<NodeId>(nodes_.size());
      nodes_.push_back(node);
    }
  }

  /// Linked nodes.
  [[nodiscard]] NodeId size() const noexcept { return size_; }
  [[nodiscard]] bool are_ids() const noexcept { return nodes_.empty(); }
  [[nodiscard]] NodeId node(NodeId rank) const noexcept { return are_ids() ? rank : nodes_[rank]; }
  /// REQUIRES a linked node, or kNoNode, which stays what it is.
  [[nodiscard]] NodeId rank(NodeId node) const noexcept {
    return are_ids() || node == kNoNode ? node : ranks_[node];
  }
  /// The same for `count` ids where they stand.
  void to_ranks(NodeId* ids, std::uint32_t count) const noexcept {
    if (are_ids()) return;
    for (std::uint32_t j = 0; j < count; ++j) ids[j] = ranks_[ids[j]];
  }

 private:
  NodeId size_;
  std::vector<NodeId> nodes_, ranks_;
};

}  // namespace concord::core
