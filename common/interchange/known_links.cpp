#include "common/interchange/known_links.hpp"

#include <algorithm>

#include "common/graph/level.hpp"

namespace concord::interchange {

using core::NodeId;

namespace {

// Concord writes copies into layer 0 alone.
bool has_own_levels(const ForeignIndex& file, const core::Copies& copies) {
  for (NodeId node = 0; node < file.size(); ++node) {
    if (copies.is_copy(node)) continue;
    if (file.level(node) != core::level_of(file.params.seed, node, file.params.M)) return false;
  }
  return true;
}

}  // namespace

KnownLinks::KnownLinks(const ForeignIndex& file, const core::Copies& copies) {
  const bool all_layers = has_own_levels(file, copies);
  for (NodeId node = 0; node < file.size(); ++node) {
    first_list_.push_back(first_list_.back() + 1 + (all_layers ? file.level(node) : 0));
  }
  reserve_lists(file);
  for_each_link(file, [&](NodeId node, NodeId id, std::size_t layer) {
    if (id < node) append(first_list_[node] + layer, id);
  });
  for_each_link(file, [&](NodeId node, NodeId id, std::size_t layer) {
    if (id > node) append(first_list_[id] + layer, node);
  });
}

template <class Visit>
void KnownLinks::for_each_link(const ForeignIndex& file, const Visit& visit) const {
  for (NodeId node = 0; node < file.size(); ++node) {
    for (std::size_t layer = 0; layer < first_list_[node + 1] - first_list_[node]; ++layer) {
      for (const NodeId id : file.links(node, layer)) visit(node, id, layer);
    }
  }
}

// Room for all links that end in a list, doubled ones too, up to max_degree.
void KnownLinks::reserve_lists(const ForeignIndex& file) {
  count_.assign(first_list_.back(), 0);
  for_each_link(file, [&](NodeId node, NodeId id, std::size_t layer) {
    if (id == node) return;
    const std::uint32_t max_degree = layer == 0 ? 2 * file.params.M : file.params.M;
    std::uint32_t& count = count_[first_list_[std::max(node, id)] + layer];
    count = std::min(count + 1, max_degree);
  });
  first_id_.assign(1, 0);
  first_id_.reserve(count_.size() + 1);
  for (const std::uint32_t count : count_) first_id_.push_back(first_id_.back() + count);
  ids_.resize(first_id_.back());
  count_.assign(count_.size(), 0);
}

void KnownLinks::append(std::size_t list, NodeId id) {
  NodeId* const ids = ids_.data() + first_id_[list];
  std::uint32_t& count = count_[list];
  if (count == first_id_[list + 1] - first_id_[list]) return;  // the list has max_degree ids
  if (std::find(ids, ids + count, id) == ids + count) ids[count++] = id;
}

}  // namespace concord::interchange
