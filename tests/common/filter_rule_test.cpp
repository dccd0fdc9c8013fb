// The numbers of common/search/filter_rule.hpp at their boundaries: they are part of the answers.

#include "common/search/filter_rule.hpp"

#include <gtest/gtest.h>

namespace concord::core {
namespace {

TEST(FilterRule, ScansWhatIsCheaperThanAnyWalk) {
  EXPECT_TRUE(FilterRule(100000, 4096, 16, 128, 64).scans());
  EXPECT_FALSE(FilterRule(100000, 4097, 16, 128, 64).scans());
  EXPECT_TRUE(FilterRule(100000, 1024, 16, 128, 1).scans());  // no walk is narrower than 16
  EXPECT_FALSE(FilterRule(100000, 1025, 16, 128, 16).scans());
  EXPECT_TRUE(FilterRule::always_scans(1024, 128));
  EXPECT_FALSE(FilterRule::always_scans(1025, 128));
  EXPECT_TRUE(FilterRule(7, 7, 16, 128, 64).takes_all());
  EXPECT_FALSE(FilterRule(7, 6, 16, 128, 64).takes_all());
}

TEST(FilterRule, SpreadsSeedsEvenly) {
  EXPECT_EQ(FilterRule::seed_rank(0, 128), 1u);
  EXPECT_EQ(FilterRule::seed_rank(63, 128), 127u);
  EXPECT_EQ(FilterRule::seed_rank(63, 1), 0u);
  EXPECT_EQ(FilterRule::seed_rank(31, kMaxNodes), 63 * (std::size_t{kMaxNodes} / 128) + 62);
}

TEST(FilterRule, BridgesAsManyListsAsBringWhatIsMissing) {
  const FilterRule tenth(100000, 10000, 16, 128, 64);
  EXPECT_EQ(tenth.bridges(16, 32), 0u);  // M of them are enough
  EXPECT_EQ(tenth.bridges(15, 32), 2u);  // 17 are missing, and a list brings 15
  EXPECT_EQ(tenth.bridges(0, 32), 10u);  // 32 are missing, and a list brings 3.2
  EXPECT_EQ(FilterRule(100000, 100, 16, 128, 64).bridges(0, 32), 512u);
  EXPECT_EQ(FilterRule(100000, 10000, 4, 128, 64).bridges(0, 8), 20u);  // at least 16 are wanted
  EXPECT_EQ(FilterRule(100000, 10000, 16, 128, 64).bridges(0, 0), 512u);
}

TEST(FilterRule, GivesUpWhereTheScanIsCheaper) {
  const FilterRule rule(100000, 6400, 16, 128, 64);
  EXPECT_FALSE(rule.gives_up(6400, 64));
  EXPECT_TRUE(rule.gives_up(6401, 64));  // as much as all matches
  // After 8 hops of 64: 512 · W · 64 against 8 · 6,400 · 128.
  EXPECT_FALSE(rule.gives_up(200, 8));
  EXPECT_TRUE(rule.gives_up(201, 8));
  EXPECT_FALSE(rule.gives_up(6400, 7));  // too early to tell
  EXPECT_TRUE(rule.gives_up(1576, 63));
  EXPECT_FALSE(rule.gives_up(1575, 63));
  // The largest numbers do not overflow.
  const FilterRule largest(kMaxNodes, kMaxNodes - 1, 64, 65536, 65536);
  EXPECT_FALSE(largest.gives_up(kMaxNodes - 1, 65535));
  EXPECT_EQ(largest.bridges(1, 256), 1u);
}

}  // namespace
}  // namespace concord::core
