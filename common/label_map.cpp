#include "common/label_map.hpp"

#include <algorithm>
#include <bit>
#include <concord/error.hpp>
#include <string>

#include "common/level.hpp"

namespace concord::core {

NodeId LabelMap::find(std::uint64_t label) const noexcept {
  if (table_.empty()) return label < labels_.size() ? static_cast<NodeId>(label) : kNoNode;
  return table_[slot_of(label)];
}

// The slot that holds the label, or the free slot where it would go.
std::size_t LabelMap::slot_of(std::uint64_t label) const noexcept {
  const std::size_t mask = table_.size() - 1;
  std::size_t slot = mix64(label) & mask;
  while (table_[slot] != kNoNode && labels_[table_[slot]] != label) slot = (slot + 1) & mask;
  return slot;
}

bool LabelMap::insert(NodeId node) noexcept {
  const std::size_t slot = slot_of(labels_[node]);
  if (table_[slot] != kNoNode) return false;
  table_[slot] = node;
  return true;
}

void LabelMap::build_table(std::size_t capacity) {
  table_.assign(std::bit_ceil(std::max<std::size_t>(64, capacity + capacity / 3 + 1)), kNoNode);
  for (std::size_t node = 0; node < labels_.size(); ++node) insert(static_cast<NodeId>(node));
}

void LabelMap::append(std::span<const std::uint64_t> labels, std::size_t count) {
  const std::size_t first = labels_.size();
  const std::size_t size = first + count;
  labels_.reserve(size);
  bool identity = table_.empty();
  for (std::size_t i = 0; i < labels.size() && identity; ++i) identity = labels[i] == first + i;
  if (!identity && size > table_.size() / 4 * 3) build_table(size);

  labels_.resize(size);
  for (std::size_t i = 0; i < count; ++i)
    labels_[first + i] = labels.empty() ? first + i : labels[i];
  if (identity) return;
  for (std::size_t node = first; node < size; ++node) {
    if (insert(static_cast<NodeId>(node))) continue;
    const std::uint64_t label = labels_[node];
    for (std::size_t undo = node; undo-- > first;) table_[slot_of(labels_[undo])] = kNoNode;
    labels_.resize(first);
    throw Error(
        ErrorCode::duplicate_label,
        "label " + std::to_string(label) + " of vector " + std::to_string(node - first) +
            (find(label) == kNoNode ? " stands twice in the call" : " is already in the index") +
            "; every label must be new");
  }
}

// Labels leave in the reverse order of their insertion, so no probe chain is broken.
void LabelMap::truncate(std::size_t size) noexcept {
  if (!table_.empty()) {
    for (std::size_t node = labels_.size(); node-- > size;)
      table_[slot_of(labels_[node])] = kNoNode;
  }
  labels_.resize(size);
}

}  // namespace concord::core
