// How far a beam search must go to make its hops: the least ef and the least slack.
//
// Prefix lemma. Let S be all that a beam search has seen, and c the closest of it that is not
// expanded. A search of width ef expands c if and only if fewer than ef accepted ids of S come
// before c: its list holds the ef nearest accepted ids of S, all that come before c are expanded,
// and so c is in the list, or stands before its end, or the search is over. What a narrower list or
// a reach has rejected lies behind every candidate that is still expanded, so it changes none of
// these ranks. Hence searches of one query make the same hops in the same order, whatever their ef
// and slack, and a search ends before the first hop that needs more than it has.
//
// So a hop needs an ef of one more than the rank of its candidate and the slack that reaches it,
// and those of all hops before. One walk, wide enough, tells what every narrower search returns.
// Thread-safety: none; one per search.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "common/base/key.hpp"
#include "common/search/reach.hpp"

namespace concord::core {

/// How many of the first `limit` keys of a list, which has size() and key(i) in order, come before
/// `key`.
template <class List>
std::size_t keys_before(const List& list, Key key, std::size_t limit) {
  std::size_t first = 0;
  for (std::size_t n = std::min(list.size(), limit); n > 0;) {
    const std::size_t half = n / 2;
    if (list.key(first + half) < key) {
      first += half + 1;
      n -= half + 1;
    } else {
      n = half;
    }
  }
  return first;
}

class HopLimits {
 public:
  explicit HopLimits(std::uint32_t k) noexcept : k_(k) {}

  /// The next hop expands `closest`. The list holds the nearest accepted ids seen so far.
  template <class List>
  void add(const List& list, Key closest) {
    ef_ = std::max(ef_, static_cast<std::uint32_t>(keys_before(list, closest, list.size()) + 1));
    if (k_ == 0 || list.size() < k_) return;
    slack_ = least_slack(key_distance(closest), key_distance(list.key(k_ - 1)), slack_);
  }
  /// Of all hops so far.
  [[nodiscard]] std::uint32_t ef() const noexcept { return ef_; }
  [[nodiscard]] float slack() const noexcept { return slack_; }

 private:
  std::uint32_t k_;
  std::uint32_t ef_ = 1;
  float slack_ = 0;
};

/// The reach of a walk that tells `trace` of each hop before it is made. It goes on to the end of
/// its list, unless trace.before(list, closest) is true.
template <class Trace>
struct TracedReach {
  Trace* trace;

  [[nodiscard]] static std::size_t hops(std::size_t ef) noexcept { return ef; }
  template <class List>
  [[nodiscard]] bool ends(const List& list, Key closest) const {
    return trace->before(list, closest);
  }
  template <class List>
  [[nodiscard]] static float narrow(const List& /*list*/, float worst) noexcept {
    return worst;
  }
};

}  // namespace concord::core
