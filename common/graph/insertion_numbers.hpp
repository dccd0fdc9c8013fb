// The numbers of nodes among all insertions ever, where they are not the ids any more.
//
// A number is kept as its low 32 bits. Numbers ascend, and their high bits change seldom, so these
// are kept for runs of nodes.
// Memory: none until numbers are given, then 4 bytes a node.
// Thread-safety: the writer, or readers while it stands still.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/base/key.hpp"
#include "common/system/virtual_array.hpp"

namespace concord::core {

class InsertionNumbers {
 public:
  /// Nodes whose numbers are kept: the first.
  [[nodiscard]] NodeId size() const noexcept { return size_; }
  /// REQUIRES node < size().
  [[nodiscard]] std::uint64_t operator[](NodeId node) const noexcept {
    const auto behind = std::ranges::upper_bound(runs_, node, {}, &Run::first);
    return (std::prev(behind)->high << 32) | lows_[node];
  }
  [[nodiscard]] std::size_t bytes() const noexcept { return lows_.bytes(); }

  /// Prepares for the numbers of `nodes` nodes, which fall into `runs` ranges of 2^32 at most.
  /// Until end() the old numbers can be read, if no new one is put behind them. Throws
  /// Error(out_of_memory) with nothing changed.
  void begin(NodeId nodes, std::size_t runs) {
    next_.clear();
    next_.reserve(runs);
    lows_.reserve(std::max<std::size_t>(nodes, size_));
    lows_.free_left();
  }
  /// The new numbers, ascending with the nodes, from node 0 on without a gap. REQUIRES begin().
  void put(NodeId node, std::uint64_t number) noexcept {
    const std::uint64_t high = number >> 32;
    if (next_.empty() || next_.back().high != high) next_.push_back({node, high});
    lows_.data()[node] = static_cast<std::uint32_t>(number);
  }
  void end(NodeId nodes) noexcept {
    runs_.swap(next_);
    size_ = nodes;
    lows_.shrink(nodes);
  }
  /// Ranges of 2^32 into which the numbers fall.
  [[nodiscard]] std::size_t runs() const noexcept { return runs_.size(); }

 private:
  /// Nodes from `first` to the next run have these high bits.
  struct Run {
    NodeId first;
    std::uint64_t high;
  };

  NodeId size_ = 0;
  std::vector<Run> runs_;
  std::vector<Run> next_;  ///< between begin() and end()
  VirtualArray<std::uint32_t> lows_;
};

}  // namespace concord::core
