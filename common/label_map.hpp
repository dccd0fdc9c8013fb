// Labels: the caller's 64-bit keys, one per node, unique.
//
// While every label equals its id nothing but the labels themselves is stored; the first other
// label builds a hash table of ids (open addressing, at most three quarters full).
// Thread-safety: one writer; lookups beside it are not allowed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/key.hpp"
#include "common/virtual_array.hpp"

namespace concord::core {

class LabelMap {
 public:
  LabelMap() : labels_(kMaxNodes) {}

  [[nodiscard]] std::size_t size() const noexcept { return labels_.size(); }
  [[nodiscard]] std::uint64_t label(NodeId node) const noexcept { return labels_[node]; }
  [[nodiscard]] std::span<const std::uint64_t> labels() const noexcept { return labels_.span(); }
  [[nodiscard]] NodeId find(std::uint64_t label) const noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept {
    return labels_.bytes() + table_.capacity() * sizeof(NodeId);
  }

  /// Appends `labels`, or size(), size() + 1, … where `labels` is empty and `count` is not.
  /// Throws Error(duplicate_label, out_of_memory) with nothing changed.
  void append(std::span<const std::uint64_t> labels, std::size_t count);
  /// Forgets all labels from position `size` on.
  void truncate(std::size_t size) noexcept;

 private:
  void build_table(std::size_t capacity);
  /// Puts the node at the end of its label's chain; false if the label is there already.
  bool insert(NodeId node) noexcept;
  [[nodiscard]] std::size_t slot_of(std::uint64_t label) const noexcept;

  VirtualArray<std::uint64_t> labels_;
  std::vector<NodeId> table_;  ///< ids or kNoNode; empty while labels are ids
};

}  // namespace concord::core
