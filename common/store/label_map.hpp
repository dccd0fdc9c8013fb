// Labels: the caller's 64-bit keys, one per node, unique among the nodes that live.
//
// While every label is the number of its insertion, labels ascend, and the map stores them alone.
// The first other label builds a hash table of ids (open addressing, at most three quarters full).
// A node that dies stays in the table, passed over, until the table is built anew; so probe chains
// are never broken. If its slot is given back, kLeft takes its place there.
// Thread-safety: one writer. While it writes, readers in the ReaderGate may call find(), and
// label() and data() for nodes that were published before.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/key.hpp"
#include "common/graph/tombstones.hpp"
#include "common/system/virtual_array.hpp"
#include "common/threads/reader_gate.hpp"

namespace concord::core {

/// True if the labels are first, first + 1, ….
bool are_ids(std::span<const std::uint64_t> labels, std::size_t first) noexcept;

class LabelMap {
 public:
  /// Borrows its arguments. With a gate, memory is freed only when no reader can be using it;
  /// without tombstones every node lives.
  explicit LabelMap(const ReaderGate* gate = nullptr, const Tombstones* tombstones = nullptr)
      : gate_(gate), tombstones_(tombstones) {}

  [[nodiscard]] std::size_t size() const noexcept { return labels_.size(); }
  [[nodiscard]] std::uint64_t label(NodeId node) const noexcept { return labels_[node]; }
  /// The labels of all nodes, in the order of ids. For readers what is there stays until they
  /// leave; who asks after the size of the graph finds all labels before it.
  [[nodiscard]] const std::uint64_t* data() const noexcept { return labels_.data(); }
  [[nodiscard]] std::span<const std::uint64_t> labels() const noexcept { return labels_.span(); }
  /// The node before `end` that has the label and lives in the view of `end` nodes, or kNoNode.
  [[nodiscard]] NodeId find(std::uint64_t label, NodeId end) const noexcept;
  /// Sets nodes[i] to find(labels[i], end). Faster than one by one, because look-ups wait for
  /// memory together.
  void find_all(std::span<const std::uint64_t> labels, NodeId end, NodeId* nodes) const noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept;

  // --- used by a slide (common/contents/slide.hpp) ---
  /// The node's slot will hold another, or none: the table names it no more. REQUIRES that it is
  /// dead for all views.
  void forget(NodeId node) noexcept;
  /// The node `from` gets the id `to`.
  void move(NodeId from, NodeId to) noexcept;
  /// As the members of VirtualArray.
  void clear(NodeId first, NodeId last) noexcept { labels_.clear(first, last); }
  void give_front_back(NodeId end) noexcept { labels_.give_front_back(end); }
  void reuse_front() noexcept { labels_.reuse_front(); }
  /// Forgets the labels from `size` on, and builds a table anew that has become much too large, if
  /// there is memory for it. REQUIRES that the table names none of them.
  void shrink(std::size_t size) noexcept;

  /// Appends `count` labels: `labels`, or `first`, first + 1, … if `labels` is empty. `first` is
  /// the number of insertions before. Each label must be new, unless its node replaces the one that
  /// has it: that is named in `replaced` ([count], or empty where no node does), else kNoNode.
  /// Throws Error(duplicate_label, out_of_memory) with nothing changed.
  void append(std::span<const std::uint64_t> labels, std::size_t count, std::uint64_t first,
              std::span<const NodeId> replaced = {});
  /// Makes an empty map one of the labels of a file, which may only be read. find() works after
  /// index_mapped(), which throws as append().
  void map(VirtualArray<std::uint64_t> labels) noexcept { labels_ = std::move(labels); }
  void index_mapped();
  /// Forgets all labels from position `size` on.
  void truncate(std::size_t size) noexcept;

 private:
  /// Ids, kNoNode where no id ever was, or kLeft; as many as a power of two.
  using Table = std::vector<NodeId>;
  static constexpr NodeId kLeft = kNoNode - 1;
  static NodeId load(const NodeId& slot) noexcept {
    return std::atomic_ref(const_cast<NodeId&>(slot)).load(std::memory_order_acquire);
  }
  static void store(NodeId& slot, NodeId node) noexcept {
    std::atomic_ref(slot).store(node, std::memory_order_release);
  }
  [[nodiscard]] static std::size_t first_slot(const Table& table, std::uint64_t label) noexcept;

  /// How to add to an index whose labels are not 0, 1, …, if automatic ones begin at `first`.
  [[nodiscard]] std::string advice(std::uint64_t first) const;

  /// False for a node that is dead in the view of `end` nodes.
  [[nodiscard]] bool lives(NodeId node, NodeId end) const noexcept {
    return tombstones_ == nullptr || tombstones_->gone(node) >= end;
  }
  /// The node before `end` in slots [first, end) whose label this is, if labels ascend there.
  [[nodiscard]] NodeId find_between(NodeId first, NodeId end, std::uint64_t label) const noexcept;
  /// Puts `value` in the node's place in the table, if it has one.
  static void replace(Table& table, NodeId node, std::uint64_t label, NodeId value) noexcept;
  [[nodiscard]] static std::size_t slots_for(std::size_t nodes) noexcept;
  void build_table(std::size_t capacity);
  /// Puts the node at the end of its label's chain. Returns the node before it there that has the
  /// label and lives in the view of `end` nodes, or kNoNode.
  NodeId insert(Table& table, NodeId node, NodeId end) const noexcept;
  /// Takes nodes [size, end), the last, out of the table.
  void truncate_table(std::size_t size, std::size_t end) noexcept;

  const ReaderGate* gate_;
  const Tombstones* tombstones_;
  VirtualArray<std::uint64_t> labels_;
  std::unique_ptr<Table> table_;              ///< none while labels are numbers of insertion
  std::size_t used_ = 0;                      ///< places of the table that are not kNoNode
  std::atomic<const Table*> shown_{nullptr};  ///< what readers use
};

}  // namespace concord::core
