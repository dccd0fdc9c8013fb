// In which order the lists of a seal may be cut, so that the order cannot be told from the result.
//
// The cut of a list reads and changes this list and the lists of its neighbors, in one layer: its
// claims. Two cuts without a common claim commute. Lists are cut in groups of a few that follow one
// another. A group may begin when all groups have ended up to the last earlier one that shares a
// claim with it. So each list is changed by the same cuts, in the same order, as if the groups were
// cut one after the other.
// Claims are told apart by a hash of node and layer. Two with the same hash may let a group wait
// longer than it had to.
// Thread-safety: one thread plans. Then each group is waited for and ended by one thread, any.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/build/proposer.hpp"

namespace concord::core {

class CutOrder {
 public:
  /// Lists in a group; the last one may have fewer. Figures in docs/decisions.md.
  static constexpr std::uint32_t kGroup = 1;

  /// Orders the groups of these lists. Throws std::bad_alloc.
  void plan(const OverfullLists& lists);

  [[nodiscard]] std::uint32_t groups() const noexcept {
    return static_cast<std::uint32_t>(after_.size());
  }
  /// The group may begin when the groups before this one have ended. At most `group`.
  [[nodiscard]] std::uint32_t after(std::uint32_t group) const noexcept { return after_[group]; }

  /// Returns when the group may begin. Threads that take groups in order wait for no one for ever:
  /// the first group that has not ended may begin.
  void wait_for(std::uint32_t group) noexcept;
  void end(std::uint32_t group) noexcept;

 private:
  [[nodiscard]] std::uint32_t& last_claim(NodeId node, std::uint32_t layer) noexcept;

  std::vector<std::uint32_t> after_;
  std::vector<std::uint32_t> ended_;    ///< 1 for a group that has
  std::uint32_t all_ended_before_ = 0;  ///< a group before which all have ended; there may be later
  std::vector<std::uint32_t> claims_;   ///< by hash: number_ + the last group that claimed, + 1
  std::uint32_t number_ = 0;            ///< at least all that claims_ has of earlier plans
};

}  // namespace concord::core
