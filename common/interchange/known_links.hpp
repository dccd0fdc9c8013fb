// The links of a foreign index as proposals: two-sided, so that each is known to its later end.
//
// List (node, layer) names earlier nodes of the layer: first those that the node's own row in the
// file names, in the row's order, then those whose rows name the node, by id. No id stands twice,
// and a list is no longer than max_degree (2·M in layer 0, M above), which leaves room in every row
// for the committer. Thread-safety: immutable.
#pragma once

#include <span>
#include <vector>

#include "common/interchange/foreign_index.hpp"

namespace concord::interchange {

class KnownLinks {
 public:
  /// Layers above 0 are known only where all levels of `file` are those that Concord gives.
  explicit KnownLinks(const ForeignIndex& file);

  /// Earlier neighbors of the node; empty where the file gives none.
  [[nodiscard]] std::span<const core::NodeId> earlier(core::NodeId node,
                                                      std::uint32_t layer) const noexcept {
    const std::size_t list = first_list_[node] + layer;
    if (list >= first_list_[node + 1]) return {};
    return {ids_.data() + first_id_[list], count_[list]};
  }

 private:
  template <class Visit>
  void for_each_link(const ForeignIndex& file, const Visit& visit) const;
  void reserve_lists(const ForeignIndex& file);
  void append(std::size_t list, core::NodeId id);

  std::vector<std::size_t> first_list_{0};  ///< [n + 1]
  std::vector<std::size_t> first_id_;       ///< [lists + 1]
  std::vector<std::uint32_t> count_;        ///< [lists]: ids there are, of the room there is
  std::vector<core::NodeId> ids_;
};

}  // namespace concord::interchange
