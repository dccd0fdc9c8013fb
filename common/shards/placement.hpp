// Which shard a vector is in, and the position of each: arithmetic, no table.
//
// The n-th vector that a shard ever took has a position: blocks of `block` of them are dealt to the
// shards in turn. So positions differ, and within a shard they grow with the order of insertion.
// While no vector was removed or replaced, they are the order of insertion over all shards.
// Thread-safety: plain values.
#pragma once

#include <algorithm>
#include <concord/sharded_index.hpp>
#include <cstdint>
#include <functional>
#include <queue>
#include <span>
#include <utility>
#include <vector>

namespace concord::core {

class Placement {
 public:
  /// REQUIRES valid `params`.
  explicit Placement(const ShardParams& params) noexcept
      : shards_(params.shards), block_(params.block) {}

  [[nodiscard]] std::uint32_t shard_of(std::uint64_t position) const noexcept {
    return static_cast<std::uint32_t>(position / block_ % shards_);
  }
  /// Of the shard's vector with this number of insertion, from 0.
  [[nodiscard]] std::uint64_t position(std::size_t shard, std::uint64_t number) const noexcept {
    return (number / block_ * shards_ + shard) * block_ + number % block_;
  }
  /// The number of insertion, in its shard, of the vector at a position.
  [[nodiscard]] std::uint64_t number(std::uint64_t position) const noexcept {
    return position / block_ / shards_ * block_ + position % block_;
  }
  /// How many of the positions before `end` are in the shard: the number of its next one.
  [[nodiscard]] std::uint64_t count_before(std::size_t shard, std::uint64_t end) const noexcept {
    const std::uint64_t turn = shards_ * block_;
    const std::uint64_t own = shard * block_;
    const std::uint64_t rest = end % turn;
    return end / turn * block_ + std::min(block_, rest - std::min(rest, own));
  }
  /// From `number` on, so many vectors of a shard are at positions that are step() apart.
  [[nodiscard]] std::uint64_t run(std::uint64_t number) const noexcept {
    return step() == shards_ ? ~std::uint64_t{0} : block_ - number % block_;
  }
  [[nodiscard]] std::uint64_t step() const noexcept {
    return block_ == 1 || shards_ == 1 ? shards_ : 1;
  }

 private:
  std::uint64_t shards_;
  std::uint64_t block_;
};

/// Deals new vectors to shards, some of whose vectors may have left: each goes to the shard whose
/// next position comes first if the living are counted alone. Where none left, that is its
/// position.
class Dealer {
 public:
  /// `living`: how many each shard has.
  Dealer(const Placement& placement, std::span<const std::uint64_t> living)
      : placement_(placement), living_(living.begin(), living.end()) {
    for (std::size_t s = 0; s < living_.size(); ++s) put(s);
  }
  /// The shard of the next vector. O(log shards).
  std::size_t next() {
    const std::size_t shard = next_.top().second;
    next_.pop();
    ++living_[shard];
    put(shard);
    return shard;
  }

 private:
  using Place = std::pair<std::uint64_t, std::size_t>;  // position, shard
  void put(std::size_t shard) { next_.emplace(placement_.position(shard, living_[shard]), shard); }

  Placement placement_;
  std::vector<std::uint64_t> living_;
  std::priority_queue<Place, std::vector<Place>, std::greater<>> next_;
};

/// Calls take(s, i) for the i-th number of shard s, of all shards in the order of positions.
/// Numbers of a shard ascend. O(numbers · log shards).
template <class Take>
void for_each_by_position(const Placement& placement,
                          const std::vector<std::vector<std::uint64_t>>& numbers,
                          const Take& take) {
  using Place = std::pair<std::uint64_t, std::size_t>;  // position, shard
  std::priority_queue<Place, std::vector<Place>, std::greater<>> next;
  std::vector<std::size_t> taken(numbers.size(), 0);
  const auto put = [&](std::size_t s) {
    if (taken[s] < numbers[s].size()) next.emplace(placement.position(s, numbers[s][taken[s]]), s);
  };
  for (std::size_t s = 0; s < numbers.size(); ++s) put(s);
  while (!next.empty()) {
    const std::size_t s = next.top().second;
    next.pop();
    take(s, taken[s]++);
    put(s);
  }
}

}  // namespace concord::core
