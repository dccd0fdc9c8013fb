// Accepts (common/search/accept.hpp) that tell the living from tombstones, for teams.
//
// The algorithms have an instance for graphs of which no node has died, or none that a search may
// meet: it asks about no id, and loads nothing for it.
// Thread-safety: const.
#pragma once

#include <type_traits>

#include "common/search/accept.hpp"
#include "cuda/team.hpp"
#include "cuda/views.hpp"

namespace concord::cuda {

/// The ids that live in a view of the graph with `size` nodes. REQUIRES view.gone, and that a
/// search meets at most `others` tombstones.
class LivingIds {
 public:
  CONCORD_TEAM_INLINE LivingIds(const MirrorView& view, NodeId size, std::uint32_t others)
      : gone_(view.gone), size_(size), others_(others) {}
  CONCORD_TEAM_INLINE bool operator()(NodeId id) const { return gone_[id] >= size_; }
  [[nodiscard]] CONCORD_TEAM_INLINE std::uint32_t others() const { return others_; }

 private:
  const NodeId* gone_;
  NodeId size_;
  std::uint32_t others_;
};

/// Those ids, or all where none has died.
template <bool kSomeDied>
CONCORD_TEAM_INLINE std::conditional_t<kSomeDied, LivingIds, core::AllIds> living_ids(
    const MirrorView& view, NodeId size, std::uint32_t others) {
  if constexpr (kSomeDied) {
    return LivingIds(view, size, others);
  } else {
    return core::AllIds{};
  }
}

/// Calls f with kSomeDied as a std::bool_constant; returns what f returns.
template <class F>
decltype(auto) with_deaths(bool some_died, F&& f) {
  return some_died ? f(std::true_type{}) : f(std::false_type{});
}

}  // namespace concord::cuda
