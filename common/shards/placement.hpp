// Where the vector at a position of the order of insertion is, and back: arithmetic, no table.
//
// Position p is in block p / block; blocks are dealt to the shards in turn. Within a shard ids grow
// with positions. Thread-safety: a plain value.
#pragma once

#include <algorithm>
#include <concord/sharded_index.hpp>
#include <cstdint>

namespace concord::core {

class Placement {
 public:
  /// REQUIRES valid `params`.
  explicit Placement(const ShardParams& params) noexcept
      : shards_(params.shards), block_(params.block) {}

  [[nodiscard]] std::uint32_t shard_of(std::uint64_t position) const noexcept {
    return static_cast<std::uint32_t>(position / block_ % shards_);
  }
  [[nodiscard]] std::uint64_t position(std::size_t shard, std::uint64_t id) const noexcept {
    return (id / block_ * shards_ + shard) * block_ + id % block_;
  }
  /// How many of the positions before `end` are in the shard: the id of its next one.
  [[nodiscard]] std::uint64_t count_before(std::size_t shard, std::uint64_t end) const noexcept {
    const std::uint64_t turn = shards_ * block_;
    const std::uint64_t own = shard * block_;
    const std::uint64_t rest = end % turn;
    return end / turn * block_ + std::min(block_, rest - std::min(rest, own));
  }
  /// From `id` on, so many ids of a shard are at positions that are step() apart.
  [[nodiscard]] std::uint64_t run(std::uint64_t id) const noexcept {
    return step() == shards_ ? ~std::uint64_t{0} : block_ - id % block_;
  }
  [[nodiscard]] std::uint64_t step() const noexcept {
    return block_ == 1 || shards_ == 1 ? shards_ : 1;
  }

 private:
  std::uint64_t shards_;
  std::uint64_t block_;
};

}  // namespace concord::core
