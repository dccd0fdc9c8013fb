// Tombstones: which nodes were removed or replaced, and since when.
//
// A node that dies stays in the graph, walked through but never found, until a seal unlinks it
// (common/build/repair.hpp). Its slot stays empty until the slots behind it slide down
// (common/contents/slide.hpp). Slots that do not even hold a dead node any more are the hole.
//
// A removed node is gone for every view of the graph. A replaced one is gone for the views that
// have the node in its place, so that a search sees exactly one of the two.
// Memory: none until the first node dies, then 4 bytes a node.
// Thread-safety: one writer; any number of readers beside it.
#pragma once

#include <atomic>
#include <cstdint>

#include "common/base/key.hpp"
#include "common/system/virtual_array.hpp"

namespace concord::core {

/// Slots [begin, end), which hold no node. Nodes come before and behind it.
struct alignas(8) Hole {
  NodeId begin = 0;
  NodeId end = 0;
  [[nodiscard]] bool empty() const noexcept { return begin == end; }
  [[nodiscard]] NodeId length() const noexcept { return end - begin; }
  [[nodiscard]] bool contains(NodeId slot) const noexcept { return slot - begin < end - begin; }
};

class Tombstones {
 public:
  /// True once any node has died.
  [[nodiscard]] bool any() const noexcept { return shown() != nullptr; }
  /// The node is dead for views of more nodes than this: 0 for a removed one, the id of the node in
  /// its place for a replaced one, kNoNode for one that lives.
  [[nodiscard]] NodeId gone(NodeId node) const noexcept {
    const std::uint32_t* const words = shown();
    return words == nullptr ? kNoNode : (load(words[node]) & ~kUnlinked) - 1;
  }
  /// REQUIRES any().
  [[nodiscard]] bool is_dead(NodeId node, NodeId view_size) const noexcept {
    return (load(shown()[node]) & ~kUnlinked) - 1 < view_size;
  }
  /// True for a node that no list of a living one names any more.
  [[nodiscard]] bool is_unlinked(NodeId node) const noexcept {
    const std::uint32_t* const words = shown();
    return words != nullptr && (load(words[node]) & kUnlinked) != 0;
  }

  /// Room for `nodes` nodes, so that nothing below can fail. Throws Error(out_of_memory).
  void reserve(std::size_t nodes) {
    words_.resize(nodes);
    shown_.store(words_.data());  // sequentially consistent, as ReaderGate asks
  }
  void set(NodeId node, NodeId gone) noexcept { store(node, gone + 1); }
  void set_unlinked(NodeId node) noexcept { store(node, kUnlinked | 1); }
  void clear(NodeId node) noexcept { store(node, 0); }
  /// Gives the slot `to` what `from` has, as of a view that has all nodes.
  void move(NodeId from, NodeId to) noexcept { store(to, load(words_[from]) == 0 ? 0 : 1); }
  /// Forgets the nodes from `nodes` on. REQUIRES that nobody reads them.
  void shrink(std::size_t nodes) noexcept { words_.shrink(nodes); }

  /// Read by who visits all slots, or looks labels up: before all else.
  [[nodiscard]] Hole hole() const noexcept { return hole_.load(); }
  void set_hole(Hole hole) noexcept { hole_.store(hole); }  // as shown_

  [[nodiscard]] std::size_t bytes() const noexcept { return words_.bytes(); }
  /// As those of VirtualArray.
  [[nodiscard]] bool has_left() const noexcept { return words_.has_left(); }
  void free_left() noexcept { words_.free_left(); }

 private:
  // 0 for a node that lives, else gone + 1, which is below 2^31.
  static constexpr std::uint32_t kUnlinked = 0x80000000u;
  static_assert(kMaxNodes < kUnlinked);

  [[nodiscard]] const std::uint32_t* shown() const noexcept { return shown_.load(); }
  static std::uint32_t load(const std::uint32_t& word) noexcept {
    return std::atomic_ref(const_cast<std::uint32_t&>(word)).load(std::memory_order_acquire);
  }
  void store(NodeId node, std::uint32_t word) noexcept {
    std::atomic_ref(words_[node]).store(word, std::memory_order_release);
  }

  VirtualArray<std::uint32_t> words_;
  std::atomic<const std::uint32_t*> shown_{nullptr};  ///< what readers use
  std::atomic<Hole> hole_{};
};

}  // namespace concord::core
