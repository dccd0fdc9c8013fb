// An index of another library's file, read and checked, but not yet an Index.
//
// Invariants, once a reader returns it: all arrays fit one another; every link of a list (node,
// layer) is an id whose level reaches the layer. A link may be one-sided, doubled or lead to its
// own node. Thread-safety: plain data.
#pragma once

#include <concord/interchange.hpp>
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/key.hpp"

namespace concord::interchange {

/// Lists of ids, one after the other.
struct IdLists {
  std::vector<std::size_t> first{0};  ///< [lists + 1]
  std::vector<core::NodeId> ids;

  void push(std::span<const core::NodeId> list) {
    ids.insert(ids.end(), list.begin(), list.end());
    first.push_back(ids.size());
  }
  [[nodiscard]] std::span<const core::NodeId> operator[](std::size_t list) const noexcept {
    return {ids.data() + first[list], first[list + 1] - first[list]};
  }
};

struct ForeignIndex {
  IndexParams params;
  std::vector<float> vectors;               ///< [n × dimension]
  std::vector<std::uint64_t> labels;        ///< [n]
  IdLists base;                             ///< layer 0 of each node
  std::vector<std::size_t> first_upper{0};  ///< [n + 1]: Σ level before each node
  IdLists upper;                            ///< layers 1 … level of each node
  std::vector<std::uint64_t> removed;       ///< labels of nodes that the file marks as deleted

  [[nodiscard]] core::NodeId size() const noexcept {
    return static_cast<core::NodeId>(labels.size());
  }
  [[nodiscard]] std::size_t level(core::NodeId node) const noexcept {
    return first_upper[node + 1] - first_upper[node];
  }
  [[nodiscard]] std::span<const core::NodeId> links(core::NodeId node,
                                                    std::size_t layer) const noexcept {
    return layer == 0 ? base[node] : upper[first_upper[node] + layer - 1];
  }
};

}  // namespace concord::interchange
