// The ranks (common/graph/ranks.hpp) of a growing graph's linked nodes, in little memory and time.
//
// A record of a journal names nodes by their ranks when it was written. So it does not matter which
// index file it is replayed behind, nor whether slots of unlinked nodes were given back in between.
// When they are, ranks become the new ids.
// Thread-safety: one thread, the writer of the index.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "common/graph/graph.hpp"

namespace concord::core {

class CurrentRanks {
 public:
  /// Becomes the ranks of the graph as it is now: always the same graph. O(its size) if nodes were
  /// unlinked since the last call, otherwise O(1).
  void follow(const Graph& graph) {
    if (graph.unlinked() == unlinked_ && graph.slides() == slides_) return;
    blocks_.reserve(graph.size() / kBlock + 1);
    blocks_.clear();
    for (NodeId begin = 0; begin < graph.size(); begin += kBlock) {
      Block block{begin == 0 ? 0 : linked(), 0};
      for (NodeId i = 0; i < std::min(kBlock, graph.size() - begin); ++i) {
        const bool is_linked = !graph.tombstones().is_unlinked(begin + i);
        block.linked |= std::uint64_t{is_linked} << i;
      }
      blocks_.push_back(block);
    }
    end_ = graph.size();
    unlinked_ = graph.unlinked();
    slides_ = graph.slides();
  }

  /// For ids of linked or announced nodes, and kNoNode, which stays what it is.
  void to_ranks(std::span<NodeId> ids) const noexcept {
    if (unlinked_ == 0) return;
    for (NodeId& id : ids) {
      if (id != kNoNode) id = rank(id);
    }
  }
  /// The node of a rank, any number: kNoNode if it is beyond what an index can hold.
  [[nodiscard]] NodeId node(NodeId rank) const noexcept {
    if (rank >= kMaxNodes) return kNoNode;
    if (rank >= end_ - unlinked_) return rank + unlinked_;
    const auto behind = std::ranges::upper_bound(blocks_, rank, {}, &Block::before);
    const Block& block = *std::prev(behind);
    std::uint64_t bits = block.linked;
    for (NodeId left = rank - block.before; left > 0; --left) bits &= bits - 1;
    return static_cast<NodeId>(std::prev(behind) - blocks_.begin()) * kBlock +
           static_cast<NodeId>(std::countr_zero(bits));
  }

 private:
  static constexpr NodeId kBlock = 64;
  struct Block {
    NodeId before;         ///< linked nodes before it
    std::uint64_t linked;  ///< bit i: its i-th node is linked
  };

  /// Linked nodes of all blocks. REQUIRES one.
  [[nodiscard]] NodeId linked() const noexcept {
    return blocks_.back().before + static_cast<NodeId>(std::popcount(blocks_.back().linked));
  }
  [[nodiscard]] NodeId rank(NodeId id) const noexcept {
    if (id >= end_) return id - unlinked_;
    const Block& block = blocks_[id / kBlock];
    const std::uint64_t earlier = (std::uint64_t{1} << (id % kBlock)) - 1;
    return block.before + static_cast<NodeId>(std::popcount(block.linked & earlier));
  }

  std::vector<Block> blocks_;  ///< of the nodes before end_; none while all are linked
  NodeId end_ = 0;
  NodeId unlinked_ = 0;
  std::uint64_t slides_ = 0;
};

}  // namespace concord::core
