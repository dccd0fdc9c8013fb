#include "common/store/label_map.hpp"

#include <algorithm>
#include <bit>
#include <concord/error.hpp>
#include <concord/index.hpp>
#include <string>

#include "common/base/mix64.hpp"
#include "common/base/prefetch.hpp"

namespace concord::core {

bool are_ids(std::span<const std::uint64_t> labels, std::size_t first) noexcept {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] != first + i) return false;
  }
  return true;
}

std::size_t LabelMap::bytes() const noexcept {
  return labels_.bytes() + (table_ ? table_->capacity() * sizeof(NodeId) : 0);
}

std::size_t LabelMap::first_slot(const Table& table, std::uint64_t label) noexcept {
  return mix64(label) & (table.size() - 1);
}

// Labels of nodes from `end` on may be written at this moment: they are passed over unread.
NodeId LabelMap::find(std::uint64_t label, NodeId end) const noexcept {
  const Table* const table = shown_.load();
  if (table == nullptr) {
    const Hole hole = tombstones_ == nullptr ? Hole{} : tombstones_->hole();
    const NodeId before = find_between(0, std::min(hole.begin, end), label);
    const NodeId node = before != kNoNode ? before : find_between(hole.end, end, label);
    return node != kNoNode && lives(node, end) ? node : kNoNode;
  }
  for (std::size_t slot = first_slot(*table, label);; slot = (slot + 1) & (table->size() - 1)) {
    const NodeId node = load((*table)[slot]);
    if (node == kNoNode) return kNoNode;
    if (node < end && labels_[node] == label && lives(node, end)) return node;
  }
}

// A look-up in the table waits for the place of the label, and then for the label of the node
// there.
void LabelMap::find_all(std::span<const std::uint64_t> labels, NodeId end,
                        NodeId* nodes) const noexcept {
  constexpr std::size_t kTogether = 32;
  const Table* const table = shown_.load();
  for (; !labels.empty(); nodes += kTogether) {
    const auto some = labels.first(std::min(kTogether, labels.size()));
    labels = labels.subspan(some.size());
    if (table != nullptr) {
      const NodeId* places[kTogether] = {};
      for (std::size_t i = 0; i < some.size(); ++i) {
        places[i] = &(*table)[first_slot(*table, some[i])];
        prefetch(places[i], sizeof(NodeId));
      }
      for (std::size_t i = 0; i < some.size(); ++i) {
        const NodeId node = load(*places[i]);
        if (node < end) prefetch(&labels_[node], sizeof(std::uint64_t));
      }
    }
    for (std::size_t i = 0; i < some.size(); ++i) nodes[i] = find(some[i], end);
  }
}

// Until nodes slide, a label is its id.
NodeId LabelMap::find_between(NodeId first, NodeId end, std::uint64_t label) const noexcept {
  if (first >= end) return kNoNode;
  if (label >= first && label < end && labels_[label] == label) return static_cast<NodeId>(label);
  const std::uint64_t* const labels = labels_.data();
  const std::uint64_t* const place = std::lower_bound(labels + first, labels + end, label);
  return place != labels + end && *place == label ? static_cast<NodeId>(place - labels) : kNoNode;
}

NodeId LabelMap::insert(Table& table, NodeId node, NodeId end) const noexcept {
  NodeId holder = kNoNode;
  std::size_t slot = first_slot(table, labels_[node]);
  for (; table[slot] != kNoNode; slot = (slot + 1) & (table.size() - 1)) {
    if (table[slot] == kLeft) continue;
    if (labels_[table[slot]] == labels_[node] && lives(table[slot], end)) holder = table[slot];
  }
  store(table[slot], node);
  return holder;
}

// A table that was built after a node died does not have it.
void LabelMap::replace(Table& table, NodeId node, std::uint64_t label, NodeId value) noexcept {
  std::size_t slot = first_slot(table, label);
  while (table[slot] != node && table[slot] != kNoNode) slot = (slot + 1) & (table.size() - 1);
  if (table[slot] == node) store(table[slot], value);
}

void LabelMap::forget(NodeId node) noexcept {
  if (table_) replace(*table_, node, labels_[node], kLeft);
}

// The label first: who finds the new id in the table finds its label.
void LabelMap::move(NodeId from, NodeId to) noexcept {
  labels_[to] = labels_[from];
  if (table_) replace(*table_, from, labels_[from], to);
}

void LabelMap::shrink(std::size_t size) noexcept {
  labels_.shrink(size);
  if (!table_ || table_->size() < 4 * slots_for(size)) return;
  try {
    build_table(size);
  } catch (const std::bad_alloc&) {  // the large one is as good
    return;
  }
}

void LabelMap::index_mapped() {
  if (are_ids(labels(), 0)) return;
  shown_ = nullptr;  // of a check that failed: nobody has used it, and nobody is waited for
  table_.reset();
  build_table(labels_.size());
  const auto end = static_cast<NodeId>(labels_.size());
  for (NodeId node = 0; node < end; ++node) {
    if (!lives(node, end) || find(labels_[node], end) == node) continue;
    throw Error(ErrorCode::duplicate_label,
                "label " + std::to_string(labels_[node]) + " stands twice");
  }
}

std::size_t LabelMap::slots_for(std::size_t nodes) noexcept {
  return std::bit_ceil(std::max<std::size_t>(64, nodes + nodes / 3 + 1));
}

void LabelMap::build_table(std::size_t capacity) {
  auto table = std::make_unique<Table>(slots_for(capacity), kNoNode);
  used_ = 0;
  // A replaced node that is still linked may be what an older view has.
  for (NodeId node = 0; node < labels_.size(); ++node) {
    if (!lives(node, 1)) continue;
    insert(*table, node, 0);
    ++used_;
  }
  shown_.store(table.get());
  table_.swap(table);
  if (gate_ != nullptr && table) gate_->wait_for_readers();
}

void LabelMap::append(std::span<const std::uint64_t> labels, std::size_t count,
                      std::uint64_t first_label, std::span<const NodeId> replaced) {
  const std::size_t first = labels_.size();
  const std::size_t size = first + count;
  labels_.reserve(size);
  if (gate_ == nullptr || gate_->is_empty()) labels_.free_left();
  const bool ascends = !table_ && (labels.empty() || are_ids(labels, first_label));
  if (!ascends && (!table_ || used_ + count > table_->size() / 4 * 3)) build_table(size);

  labels_.resize(size);
  for (std::size_t i = 0; i < count; ++i)
    labels_[first + i] = labels.empty() ? first_label + i : labels[i];
  if (ascends) return;
  for (std::size_t node = first; node < size; ++node) {
    const NodeId holder = insert(*table_, static_cast<NodeId>(node), static_cast<NodeId>(size));
    ++used_;
    if (holder == (replaced.empty() ? kNoNode : replaced[node - first])) continue;
    const std::uint64_t label = labels_[node];
    const bool is_old = holder < first;
    truncate_table(first, node + 1);
    labels_.resize(first);
    throw Error(ErrorCode::duplicate_label,
                "label " + std::to_string(label) + " of vector " + std::to_string(node - first) +
                    (is_old ? " is already in the index" : " stands twice in the call") + "; " +
                    (labels.empty() ? advice(first_label) : "every label must be new"));
  }
}

// Automatic labels have met one of the caller's.
std::string LabelMap::advice(std::uint64_t first) const {
  const std::uint64_t highest = *std::max_element(labels_.data(), labels_.data() + labels_.size());
  const std::string free = highest < kNoLabel - 1
                               ? "for example from " + std::to_string(highest + 1) + " on"
                               : "all of them new";
  return "automatic labels begin at " + std::to_string(first) +
         ", the number of vectors ever inserted; give labels, " + free;
}

// Labels leave in the reverse order of their insertion, so no probe chain is broken.
void LabelMap::truncate_table(std::size_t size, std::size_t end) noexcept {
  for (std::size_t node = end; node-- > size;) {
    replace(*table_, static_cast<NodeId>(node), labels_[node], kNoNode);
  }
  used_ -= end - size;
}

void LabelMap::truncate(std::size_t size) noexcept {
  if (table_) truncate_table(size, labels_.size());
  labels_.resize(size);
}

}  // namespace concord::core
