// Which id belongs to which number of insertion, between two slides (common/contents/slide.hpp).
//
// A slide gives nodes other ids and ends a numbering; the numbers of insertions stay. So whoever
// keeps ids beyond a slide, as a filter does, keeps the numbering that they are of as well, and
// finds the ids that the nodes have in a later one.
//
// Invariant: numbers ascend with ids. Those of the nodes that were there when the numbering began
// are kept; a later node's number is its id and a constant. A kept number is its low 32 bits; the
// high bits change seldom, so these are kept for runs of nodes.
// Memory: 4 bytes a node that was there; none in the first numbering, where ids are numbers.
// Thread-safety: immutable once its numbers are appended.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/key.hpp"
#include "common/system/virtual_array.hpp"

namespace concord::core {

class Numbering : public std::enable_shared_from_this<Numbering> {
 public:
  Numbering() = default;
  /// The numbering behind so many slides, in which as many numbers as `reclaimed` have no node any
  /// more. Its first `nodes` numbers, in at most `runs` ranges of 2^32, are to be appended. Throws
  /// Error(out_of_memory).
  Numbering(std::uint64_t slides, std::uint64_t reclaimed, NodeId nodes, std::size_t runs)
      : slides_(slides), reclaimed_(reclaimed) {
    runs_.reserve(runs);
    lows_.resize(nodes);
  }
  /// Numbers ascend.
  void append(std::uint64_t number) noexcept {
    const std::uint64_t high = number >> 32;
    if (runs_.empty() || runs_.back().high != high) runs_.push_back({kept_, high});
    lows_[kept_++] = static_cast<std::uint32_t>(number);
  }

  /// Slides of the index before it: tells the numberings of an index apart.
  [[nodiscard]] std::uint64_t slides() const noexcept { return slides_; }
  /// Nodes whose numbers are kept: the first.
  [[nodiscard]] NodeId kept() const noexcept { return kept_; }
  [[nodiscard]] std::uint64_t number(NodeId id) const noexcept {
    if (id >= kept_) return id + reclaimed_;
    const auto behind = std::ranges::upper_bound(runs_, id, {}, &Run::first);
    return (std::prev(behind)->high << 32) | lows_[id];
  }
  /// The first id, of those from `from` on, whose number is at least this. O(log of how far it is).
  [[nodiscard]] NodeId first_from(std::uint64_t number, NodeId from = 0) const noexcept {
    const auto comes_before = [&](NodeId id) { return this->number(id) < number; };
    NodeId first = from;  // all before it come before
    NodeId step = 1;
    while (first < kept_ && step <= kept_ - first && comes_before(first + step - 1)) {
      first += step;
      step *= 2;
    }
    for (NodeId left = std::min(step, kept_ - std::min(first, kept_)); left > 0;) {
      const NodeId half = left / 2;
      const bool before = comes_before(first + half);
      first += before ? half + 1 : 0;
      left = before ? left - half - 1 : half;
    }
    if (first < kept_ || number <= first + reclaimed_) return first;
    return static_cast<NodeId>(std::min<std::uint64_t>(number - reclaimed_, kMaxNodes));
  }
  /// The id of a number that a node has or had, or kNoNode if the node's slot was given back. The
  /// id is at least `from`.
  [[nodiscard]] NodeId find(std::uint64_t number, NodeId from = 0) const noexcept {
    const NodeId id = first_from(number, from);
    return this->number(id) == number ? id : kNoNode;
  }

  /// Ranges of 2^32 into which the kept numbers fall.
  [[nodiscard]] std::size_t runs() const noexcept { return runs_.size(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return lows_.bytes(); }

 private:
  /// Nodes from `first` to the next run have these high bits.
  struct Run {
    NodeId first;
    std::uint64_t high;
  };

  std::uint64_t slides_ = 0;
  std::uint64_t reclaimed_ = 0;
  NodeId kept_ = 0;
  std::vector<Run> runs_;
  VirtualArray<std::uint32_t> lows_;
};

}  // namespace concord::core
