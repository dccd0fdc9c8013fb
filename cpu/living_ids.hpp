// Accepts (common/search/accept.hpp) that tell the living from tombstones.
// Thread-safety: const.
#pragma once

#include <cstdint>

#include "common/base/key.hpp"
#include "common/graph/graph.hpp"

namespace concord::cpu {

/// The nodes that live in a view of the graph with `size` nodes.
/// Others may die while a search lasts: between two seals at most epoch_limit of them.
class LivingIds {
 public:
  LivingIds(const core::Graph& graph, core::NodeId size) noexcept
      : graph_(graph),
        size_(size),
        others_(graph.tombstones_linked() + graph.params().epoch_limit) {}
  bool operator()(core::NodeId id) const noexcept { return !graph_.is_dead(id, size_); }
  [[nodiscard]] std::uint32_t others() const noexcept { return others_; }

 private:
  const core::Graph& graph_;
  core::NodeId size_;
  std::uint32_t others_;
};

/// The same without one id.
class OtherLivingIds {
 public:
  OtherLivingIds(const core::Graph& graph, core::NodeId size, core::NodeId self) noexcept
      : living_(graph, size), self_(self) {}
  bool operator()(core::NodeId id) const noexcept { return id != self_ && living_(id); }
  [[nodiscard]] std::uint32_t others() const noexcept { return living_.others() + 1; }

 private:
  LivingIds living_;
  core::NodeId self_;
};

}  // namespace concord::cpu
