// Matches of which a walk meets a few alone: the rule of filters must scan for the others.
#pragma once

#include <concord/params.hpp>
#include <cstdint>
#include <vector>

#include "common/graph/level.hpp"
#include "common/search/filter_rule.hpp"
#include "tests/support/data_sets.hpp"

namespace concord::test {

/// Two clusters of matches, with a chain of vectors between them that do not match. A walk begins
/// at the end of the descent and at 64 seeds, and all of these are in the smaller cluster, which
/// has no other vectors. Each has enough neighbors there, so the walk does not leave it.
struct Islands {
  static constexpr std::size_t kNear = core::FilterRule::kSeeds;
  static constexpr std::size_t kMatches = 17 * kNear;
  static constexpr std::size_t kDimension = 512;
  static constexpr std::uint32_t M = 4;
  /// Wider than the smaller cluster, and narrow enough that the rule walks: 2^13 · 66 < 1,088 ·
  /// 512.
  static constexpr std::uint32_t kWidth = kNear + 1;

  /// The chain comes first, and is so long that the entry point is in the smaller cluster.
  const std::size_t chain = chain_length();
  Matrix data{chain + kMatches, kDimension};
  std::vector<std::uint8_t> mask = std::vector<std::uint8_t>(data.rows, 1);
  Matrix queries{4, kDimension};  ///< near the smaller cluster

  Islands() {
    const auto far = static_cast<float>(10 * (chain + 1));
    for (std::size_t i = 0; i < data.rows; ++i) {
      if (i < chain) mask[i] = 0;
      place(data, i, i < chain ? static_cast<float>(10 * (i + 1)) : is_near(i, chain) ? 0 : far);
    }
    for (std::size_t q = 0; q < queries.rows; ++q) place(queries, q, -1);
  }

 private:
  static bool is_near(std::size_t row, std::size_t chain) {
    std::uint32_t i = 0;
    while (i < kNear && chain + core::FilterRule::seed_rank(i, kMatches) != row) ++i;
    return i < kNear;
  }
  static std::size_t chain_length() {
    for (std::size_t chain = 40;; ++chain) {
      std::size_t entry = 0;
      for (std::size_t i = 1; i < chain + kMatches; ++i) {
        if (level_of(i) > level_of(entry)) entry = i;
      }
      if (is_near(entry, chain)) return chain;
    }
  }
  static unsigned level_of(std::size_t row) { return core::level_of(IndexParams{}.seed, row, M); }
  /// Around a point of the first axis.
  static void place(Matrix& matrix, std::size_t row, float at) {
    for (std::size_t c = 0; c < matrix.cols; ++c) {
      matrix.row(row)[c] = hashed_float(matrix.rows, row, c) / 64;
    }
    matrix.row(row)[0] = at;
  }
};

}  // namespace concord::test
