// The links of a foreign index as proposals. Each link is known to its later end.
//
// List (node, layer) names earlier nodes of the layer: first those in the node's own list in the
// file, in its order, then those whose lists name the node, by id. No id occurs twice. A list has
// at most max_degree ids (2·M in layer 0, M above), which leaves room for the committer.
// Thread-safety: immutable.
#pragma once

#include <span>
#include <vector>

#include "common/graph/copies.hpp"
#include "common/interchange/foreign_index.hpp"

namespace concord::interchange {

class KnownLinks {
 public:
  /// Layers above 0 are known only if all levels of `file` are those that Concord gives.
  /// `copies` are those among its vectors.
  KnownLinks(const ForeignIndex& file, const core::Copies& copies);

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
