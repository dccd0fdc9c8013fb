// What a range search finds, and how its hits are collected.
//
// Definition (ARCHITECTURE.md, "A range search"). L is what a search with k = ef finds. The reach R
// is the radius, widened by the slack as the reach of an adaptive search is (reach.hpp). C is the
// set of all nodes within R that can be reached in layer 0 from members of L within R, through such
// nodes alone. The hits are the members of C within the radius that may be results. If C has more
// than a sixteenth of what may be found, all of that is scanned instead.
//
// C is a set, and so is every limit of it. So the hits depend on no order, thread or device.
// Thread-safety: pure functions; a RangeHits has one user at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "common/base/key.hpp"
#include "common/search/reach.hpp"

namespace concord::core {

class RangeRule {
 public:
  static constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

  /// `radius` ≥ 0 is a stored distance, `ef` the width of the search that gives L.
  RangeRule(float radius, std::uint32_t ef, float slack, std::size_t limit) noexcept
      : radius_(radius),
        reach_(widened(radius, reach_factor(slack))),
        limit_(limit),
        width_(limit == kNoLimit ? ef : std::max(ef, static_cast<std::uint32_t>(limit))) {}

  [[nodiscard]] float radius() const noexcept { return radius_; }
  [[nodiscard]] float reach() const noexcept { return reach_; }
  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }
  /// k and ef of the search that gives L.
  [[nodiscard]] std::uint32_t width() const noexcept { return width_; }
  /// Most nodes of C where so many vectors may be found: a list has 32 ids where M is 16, so more
  /// would cost as much as the scan.
  [[nodiscard]] static std::size_t most_reached(NodeId vectors) noexcept { return vectors / 16; }

  /// Whether the list L, which has size() and key(i), holds `limit` hits: they are the result then,
  /// and C does not matter.
  template <class List>
  [[nodiscard]] bool is_met_by(const List& list) const noexcept {
    if (list.size() < limit_) return false;
    return limit_ == 0 || key_distance(list.key(limit_ - 1)) <= radius_;
  }

 private:
  static float widened(float radius, float factor) noexcept {
    return factor == kUnlimitedReach ? kUnlimitedReach : core::reach(radius, factor);
  }

  float radius_;
  float reach_;
  std::size_t limit_;
  std::uint32_t width_;
};

/// The hits of one query: of all keys that it is given, those within the radius, of them the
/// `limit` nearest. No key may be given twice. They are nodes, and become what these stand for by
/// expand(), where there are copies.
class RangeHits {
 public:
  explicit RangeHits(const RangeRule& rule) noexcept
      : radius_(rule.radius()),
        limit_(rule.limit()),
        room_(limit_ == RangeRule::kNoLimit ? limit_ : 2 * limit_ + 1024) {}

  void clear() noexcept {
    keys_.clear();
    is_expanded_ = false;
  }
  void add(Key key) {
    if (key_distance(key) > radius_) return;
    keys_.push_back(key);
    if (keys_.size() >= room_) cut();
  }
  /// Calls expand(nodes in order, limit, out), which writes what they stand for to `out`.
  template <class Expand>
  void expand(const Expand& expand) {
    const std::vector<Key> nodes = take();
    expand(std::span(nodes), limit_, keys_);
    is_expanded_ = true;
  }
  /// In order, and no more here.
  [[nodiscard]] std::vector<Key> take() {
    if (keys_.size() > limit_) cut();
    if (!is_expanded_) std::sort(keys_.begin(), keys_.end());
    is_expanded_ = false;
    return std::exchange(keys_, {});
  }

 private:
  void cut() {
    const auto end = keys_.begin() + static_cast<std::ptrdiff_t>(limit_);
    std::nth_element(keys_.begin(), end, keys_.end());
    keys_.erase(end, keys_.end());
  }

  float radius_;
  std::size_t limit_;
  std::size_t room_;  ///< keys at which those beyond the limit are dropped
  std::vector<Key> keys_;
  bool is_expanded_ = false;
};

}  // namespace concord::core
