// Levels: pure in (seed, order, M) and geometrically distributed.

#include "common/graph/level.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace concord::core {
namespace {

TEST(Level, FollowsTheGeometricDistribution) {
  constexpr std::uint64_t kDraws = 400000;
  for (const std::uint32_t M : {2u, 3u, 16u, 64u}) {
    for (const std::uint64_t seed : {0ull, 42ull, ~0ull}) {
      std::vector<double> counts(kMaxLevel + 1);
      for (std::uint64_t order = 0; order < kDraws; ++order) ++counts[level_of(seed, order, M)];
      // Chi-square over the levels with at least 20 expected; the rest in one class.
      double chi_square = 0;
      double rest_expected = kDraws;
      double rest_seen = kDraws;
      int freedom = 0;
      for (unsigned level = 0;; ++level) {
        const double expected = kDraws * std::pow(M, -double(level)) * (1 - 1.0 / M);
        if (expected < 20) break;
        chi_square += std::pow(counts[level] - expected, 2) / expected;
        rest_expected -= expected;
        rest_seen -= counts[level];
        ++freedom;
      }
      if (rest_expected > 1) chi_square += std::pow(rest_seen - rest_expected, 2) / rest_expected;
      // Mean `freedom`, deviation sqrt(2 · freedom): five deviations and some for the tail.
      EXPECT_LT(chi_square, freedom + 5 * std::sqrt(2.0 * freedom) + 10)
          << "M " << M << " seed " << seed;
    }
  }
}

TEST(Level, DependsOnSeedOrderAndMAlone) {
  static_assert(level_of(42, 0, 16) == level_of(42, 0, 16));
  int differing_by_seed = 0;
  for (std::uint64_t order = 0; order < 1000; ++order) {
    const unsigned forwards = level_of(7, order, 4);
    level_of(8, 999 - order, 3);
    EXPECT_EQ(level_of(7, order, 4), forwards);
    EXPECT_LE(level_of(7, order, 5), forwards) << "a larger M can only lower a level";
    differing_by_seed += level_of(8, order, 4) != forwards;
  }
  EXPECT_GT(differing_by_seed, 200);
}

TEST(Level, NeverPassesTheHighest) {
  for (std::uint64_t order = 0; order < 2000000; ++order) {
    ASSERT_LE(level_of(1, order, 2), kMaxLevel);
  }
}

}  // namespace
}  // namespace concord::core
