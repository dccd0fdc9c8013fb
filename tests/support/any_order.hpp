// Cutters that take the groups of a seal in any order that is allowed, on one thread: what threads
// may do, however the system lets them run.
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "common/build/cutters.hpp"
#include "tests/support/data_sets.hpp"

namespace concord::test {

class AnyOrder final : public core::Cutters {
 public:
  explicit AnyOrder(std::uint64_t seed) : seed_(seed) {}

  [[nodiscard]] bool take(std::size_t lists) const noexcept override { return lists > 0; }
  void run(core::CutOrder& order,
           const std::function<void(std::uint32_t group)>& cut) noexcept override {
    std::vector<bool> ended(order.groups());
    std::uint32_t all_before = 0;
    for (std::uint32_t left = order.groups(); left > 0; --left) {
      std::vector<std::uint32_t> allowed;
      for (std::uint32_t group = all_before; group < order.groups(); ++group) {
        if (!ended[group] && order.after(group) <= all_before) allowed.push_back(group);
      }
      const std::uint32_t group = allowed[hash(seed_, ++drawn_) % allowed.size()];
      early += group > all_before ? 1 : 0;
      cut(group);
      ended[group] = true;
      while (all_before < ended.size() && ended[all_before]) ++all_before;
    }
  }

  std::uint64_t early = 0;  ///< groups cut before one that comes before them

 private:
  std::uint64_t seed_;
  std::uint64_t drawn_ = 0;
};

}  // namespace concord::test
