#include "common/label_map.hpp"

#include <algorithm>
#include <bit>
#include <concord/error.hpp>
#include <string>

#include "common/level.hpp"

namespace concord::core {

std::size_t LabelMap::bytes() const noexcept {
  return labels_.bytes() + (table_ ? table_->capacity() * sizeof(NodeId) : 0);
}

std::size_t LabelMap::first_slot(const Table& table, std::uint64_t label) noexcept {
  return mix64(label) & (table.size() - 1);
}

// Labels of nodes from `end` on may be written at this moment: they are passed over unread.
NodeId LabelMap::find(std::uint64_t label, NodeId end) const noexcept {
  const Table* const table = shown_.load();
  if (table == nullptr) return label < end ? static_cast<NodeId>(label) : kNoNode;
  for (std::size_t slot = first_slot(*table, label);; slot = (slot + 1) & (table->size() - 1)) {
    const NodeId node = load((*table)[slot]);
    if (node == kNoNode || (node < end && labels_[node] == label)) return node;
  }
}

NodeId& LabelMap::slot_of(Table& table, std::uint64_t label) const noexcept {
  std::size_t slot = first_slot(table, label);
  while (table[slot] != kNoNode && labels_[table[slot]] != label) {
    slot = (slot + 1) & (table.size() - 1);
  }
  return table[slot];
}

bool LabelMap::insert(Table& table, NodeId node) const noexcept {
  NodeId& slot = slot_of(table, labels_[node]);
  if (slot != kNoNode) return false;
  store(slot, node);
  return true;
}

void LabelMap::index_mapped() {
  bool identity = true;
  for (std::size_t i = 0; i < labels_.size() && identity; ++i) identity = labels_[i] == i;
  if (identity) return;
  shown_ = nullptr;  // of a check that failed: nobody has used it, and nobody is waited for
  table_.reset();
  build_table(labels_.size());
  for (std::size_t node = 0; node < labels_.size(); ++node) {
    if (load(slot_of(*table_, labels_[node])) == node) continue;
    throw Error(ErrorCode::duplicate_label,
                "label " + std::to_string(labels_[node]) + " stands twice");
  }
}

void LabelMap::build_table(std::size_t capacity) {
  auto table = std::make_unique<Table>(
      std::bit_ceil(std::max<std::size_t>(64, capacity + capacity / 3 + 1)), kNoNode);
  for (std::size_t node = 0; node < labels_.size(); ++node) {
    insert(*table, static_cast<NodeId>(node));
  }
  shown_.store(table.get());
  table_.swap(table);
  if (gate_ != nullptr && table) gate_->wait_for_readers();
}

void LabelMap::append(std::span<const std::uint64_t> labels, std::size_t count) {
  const std::size_t first = labels_.size();
  const std::size_t size = first + count;
  labels_.reserve(size);
  bool identity = !table_;
  for (std::size_t i = 0; i < labels.size() && identity; ++i) identity = labels[i] == first + i;
  if (!identity && size > (table_ ? table_->size() / 4 * 3 : 0)) build_table(size);

  labels_.resize(size);
  for (std::size_t i = 0; i < count; ++i)
    labels_[first + i] = labels.empty() ? first + i : labels[i];
  if (identity) return;
  for (std::size_t node = first; node < size; ++node) {
    if (insert(*table_, static_cast<NodeId>(node))) continue;
    const std::uint64_t label = labels_[node];
    const bool is_old = slot_of(*table_, label) < first;
    truncate_table(first, node);
    labels_.resize(first);
    throw Error(ErrorCode::duplicate_label,
                "label " + std::to_string(label) + " of vector " + std::to_string(node - first) +
                    (is_old ? " is already in the index" : " stands twice in the call") +
                    "; every label must be new");
  }
}

// Labels leave in the reverse order of their insertion, so no probe chain is broken.
void LabelMap::truncate_table(std::size_t size, std::size_t end) noexcept {
  for (std::size_t node = end; node-- > size;) store(slot_of(*table_, labels_[node]), kNoNode);
}

void LabelMap::truncate(std::size_t size) noexcept {
  if (table_) truncate_table(size, labels_.size());
  labels_.resize(size);
}

}  // namespace concord::core
