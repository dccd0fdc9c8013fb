// Labels: the caller's 64-bit keys, one per node, unique.
//
// While every label equals its id nothing but the labels themselves is stored; the first other
// label builds a hash table of ids (open addressing, at most three quarters full).
// Thread-safety: one writer; beside it label() and data() of nodes published before, and find() by
// those who have entered the ReaderGate.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/key.hpp"
#include "common/reader_gate.hpp"
#include "common/virtual_array.hpp"

namespace concord::core {

class LabelMap {
 public:
  /// With a gate, memory that readers may be using is freed only when they have left.
  explicit LabelMap(const ReaderGate* gate = nullptr) : gate_(gate), labels_(kMaxNodes) {}

  [[nodiscard]] std::size_t size() const noexcept { return labels_.size(); }
  [[nodiscard]] std::uint64_t label(NodeId node) const noexcept { return labels_[node]; }
  /// Of all nodes, one after the other; they stay where they are.
  [[nodiscard]] const std::uint64_t* data() const noexcept { return labels_.data(); }
  [[nodiscard]] std::span<const std::uint64_t> labels() const noexcept { return labels_.span(); }
  /// The node before `end` that has the label, or kNoNode.
  [[nodiscard]] NodeId find(std::uint64_t label, NodeId end) const noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept;

  /// Appends `labels`, or size(), size() + 1, … where `labels` is empty and `count` is not.
  /// Throws Error(duplicate_label, out_of_memory) with nothing changed.
  void append(std::span<const std::uint64_t> labels, std::size_t count);
  /// Puts labels of a file, which may only be read, in the place of all labels, of which there are
  /// none. Nothing can be found before index_mapped(), which throws as append().
  void map(VirtualArray<std::uint64_t> labels) noexcept { labels_ = std::move(labels); }
  void index_mapped();
  /// Forgets all labels from position `size` on.
  void truncate(std::size_t size) noexcept;

 private:
  /// Ids or kNoNode; as many as a power of two.
  using Table = std::vector<NodeId>;
  static NodeId load(const NodeId& slot) noexcept {
    return std::atomic_ref(const_cast<NodeId&>(slot)).load(std::memory_order_acquire);
  }
  static void store(NodeId& slot, NodeId node) noexcept {
    std::atomic_ref(slot).store(node, std::memory_order_release);
  }
  [[nodiscard]] static std::size_t first_slot(const Table& table, std::uint64_t label) noexcept;

  void build_table(std::size_t capacity);
  /// Puts the node at the end of its label's chain; false if the label is there already.
  bool insert(Table& table, NodeId node) const noexcept;
  /// The slot that holds the label, or the free slot where it would go.
  [[nodiscard]] NodeId& slot_of(Table& table, std::uint64_t label) const noexcept;
  /// Takes nodes [size, end), the last, out of the table.
  void truncate_table(std::size_t size, std::size_t end) noexcept;

  const ReaderGate* gate_;
  VirtualArray<std::uint64_t> labels_;
  std::unique_ptr<Table> table_;              ///< none while labels are ids
  std::atomic<const Table*> shown_{nullptr};  ///< what readers use
};

}  // namespace concord::core
