// Copies: vectors that are equal, element by element, to one that is in the graph.
//
// The first vector of its kind is a node of the graph. A later one is not: it belongs to no layer,
// and stands in a chain behind its first, in order of insertion. So walks meet each vector once,
// and a search turns the nodes that it has found into all that they stand for (entries.hpp). A node
// stays in the graph while its own vector or any of its copies lives.
//
// Invariants: a chain begins with a node, ascends, and holds nodes of equal vectors; each copy is
// in one chain until it is unlinked. Ids of a chain may be announced ones, which a view of fewer
// nodes passes over.
// Memory: none until the first copy, then 16 bytes a slot that holds a node.
// Thread-safety: one writer; any number of readers beside it, who may call all but is_next() and
// what is for the writer. Who goes back by previous() may find an announced copy that has left its
// chain or stands in another, and must check first().
#pragma once

#include <atomic>
#include <cstdint>

#include "common/base/key.hpp"
#include "common/system/virtual_array.hpp"

namespace concord::core {

/// A copy and the node that it stands behind.
struct CopyPlace {
  NodeId copy;
  NodeId first;
};

class Copies {
 public:
  /// True once there was a copy.
  [[nodiscard]] bool any() const noexcept { return shown_.load() != nullptr; }
  /// The node that the copy `id` stands behind, or kNoNode for a node of the graph.
  [[nodiscard]] NodeId first(NodeId id) const noexcept {
    const Place* const places = shown_.load();
    return places == nullptr ? kNoNode : load(places[id].first);
  }
  [[nodiscard]] bool is_copy(NodeId id) const noexcept { return first(id) != kNoNode; }
  /// The node that stands for the vector: itself where it is no copy.
  [[nodiscard]] NodeId node_of(NodeId id) const noexcept {
    const NodeId first = this->first(id);
    return first == kNoNode ? id : first;
  }
  /// What comes behind `id` in its chain, or kNoNode.
  [[nodiscard]] NodeId next(NodeId id) const noexcept {
    const Place* const places = shown_.load();
    return places == nullptr ? kNoNode : load(places[id].next);
  }

  /// What comes before a copy in its chain; for a first, the last of the chain, or kNoNode.
  [[nodiscard]] NodeId previous(NodeId id) const noexcept {
    const Place* const places = shown_.load();
    return places == nullptr ? kNoNode : load(places[id].previous);
  }
  /// What of a node lives, as the writer has noted it.
  struct Life {
    NodeId earliest = kNoNode;  ///< of what it stands for, the first that lived then
    bool has_ended = false;     ///< nothing lives; for views of more nodes than `gone`
    NodeId gone = kNoNode;
  };
  /// REQUIRES any().
  [[nodiscard]] Life life(NodeId node) const noexcept {
    const std::uint32_t word = std::atomic_ref(const_cast<std::uint32_t&>(shown_.load()[node].life))
                                   .load(std::memory_order_acquire);
    if ((word & kEnded) != 0) return {kNoNode, true, (word & ~kEnded) - 1};
    return {word == 0 ? node : word - 1, false, kNoNode};
  }
  /// Whether the chain leads to a copy from the one before it. REQUIRES no writer.
  [[nodiscard]] bool is_next(NodeId copy) const noexcept {
    const NodeId before = previous(copy);
    return before < copy && load(places_[before].next) == copy &&
           node_of(before) == load(places_[copy].first);
  }

  // --- for the writer ---
  /// Room for `nodes` nodes, so that nothing below can fail. Throws Error(out_of_memory).
  void reserve(std::size_t nodes) {
    places_.resize(nodes);
    shown_.store(places_.data());  // sequentially consistent, as ReaderGate asks
  }
  /// Puts `id`, which is in no chain, at the end of that of `first`. REQUIRES a larger id than all
  /// there.
  void append(NodeId id, NodeId first) noexcept;
  /// Takes a copy out of its chain. Who stands on it goes on from there.
  void remove(NodeId id) noexcept;
  /// Takes an announced copy out, which no view has; it is a node again.
  void take_back(NodeId id) noexcept {
    remove(id);
    reset(id);
  }
  /// Of what a node stands for, `earliest` is the first that lives. It only comes later.
  void note_life(NodeId node, NodeId earliest) noexcept { store(places_[node].life, earliest); }
  /// Nothing lives any more, for views of more nodes than `gone`.
  void note_end(NodeId node, NodeId gone) noexcept {
    std::atomic_ref(places_[node].life).store(kEnded | (gone + 1), std::memory_order_release);
  }
  /// Gives the slot `to` what `from` has; who names `from` in a chain names `to` from now on. What
  /// is at `from` stays as it is. O(length of the chain) for its first.
  void move(NodeId from, NodeId to) noexcept;
  /// Forgets the nodes from `nodes` on. REQUIRES that nobody reads them.
  void shrink(std::size_t nodes) noexcept {
    if (any()) places_.shrink(nodes);
  }
  /// As the members of VirtualArray, of slots that hold no node.
  void clear(NodeId first, NodeId last) noexcept {
    if (any()) places_.clear(first, last);
  }
  void give_front_back(NodeId end) noexcept { places_.give_front_back(end); }
  void reuse_front() noexcept { places_.reuse_front(); }

  [[nodiscard]] std::size_t bytes() const noexcept { return places_.bytes(); }
  /// As those of VirtualArray.
  [[nodiscard]] bool has_left() const noexcept { return places_.has_left(); }
  void free_left() noexcept { places_.free_left(); }

 private:
  /// Ids plus one, so that 0 is none.
  struct Place {
    std::uint32_t first;     ///< of a copy
    std::uint32_t next;      ///< in the chain
    std::uint32_t previous;  ///< in the chain; of a first, the chain's last
    std::uint32_t life;      ///< of a first: life().earliest, or kEnded and when
  };
  static constexpr std::uint32_t kEnded = 0x80000000u;
  static_assert(kMaxNodes < kEnded);

  static NodeId load(const std::uint32_t& word) noexcept {
    return std::atomic_ref(const_cast<std::uint32_t&>(word)).load(std::memory_order_acquire) - 1;
  }
  static void store(std::uint32_t& word, NodeId id) noexcept {
    std::atomic_ref(word).store(id + 1, std::memory_order_release);
  }
  void reset(NodeId id) noexcept {
    Place& place = places_[id];
    for (std::uint32_t* const word : {&place.first, &place.next, &place.previous, &place.life}) {
      store(*word, kNoNode);
    }
  }
  /// Makes `id` the one before the successor of `of`, or the last of the chain of `first`.
  void set_previous_of_next(NodeId of, NodeId first, NodeId id) noexcept {
    const NodeId next = load(places_[of].next);
    store(places_[next == kNoNode ? first : next].previous, id);
  }

  VirtualArray<Place> places_;
  std::atomic<const Place*> shown_{nullptr};  ///< what readers use
};

static_assert(kNoNode + 1 == 0, "no id is kept as 0");

}  // namespace concord::core
