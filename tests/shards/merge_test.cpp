// The merge against a naive one: sort everything by (distance, position) and take what is taken.

#include "common/search/merge.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "common/shards/placement.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using Lists = std::vector<std::vector<core::Hit>>;

core::Hit hit(std::uint64_t label, float distance, std::uint64_t position) {
  return {label, position, core::ordered_bits(distance)};
}

template <class Takes>
std::vector<std::uint64_t> merged(const Lists& lists, std::size_t most, const Takes& takes) {
  std::vector<std::span<const core::Hit>> heads(lists.begin(), lists.end());
  std::vector<std::uint64_t> taken;
  const std::size_t count = core::merge_nearest(heads, most, [&](const core::Hit& one) {
    if (!takes(one)) return false;
    taken.push_back(one.label);
    return true;
  });
  EXPECT_EQ(count, taken.size());
  return taken;
}

template <class Takes>
std::vector<std::uint64_t> sorted(const Lists& lists, std::size_t most, const Takes& takes) {
  std::vector<core::Hit> all;
  for (const auto& list : lists) all.insert(all.end(), list.begin(), list.end());
  std::ranges::sort(all, {}, [](const core::Hit& one) {
    return std::pair(core::distance_of(one), one.position);
  });
  std::vector<std::uint64_t> taken;
  for (const core::Hit& one : all) {
    if (taken.size() < most && takes(one)) taken.push_back(one.label);
  }
  return taken;
}

constexpr auto kAll = [](const core::Hit&) { return true; };

TEST(Merge, IsASortByDistanceThenPosition) {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    std::uint64_t drawn = 0;
    const auto draw = [&](std::uint64_t below) { return hash(seed, ++drawn) % below; };
    const auto count = static_cast<std::uint32_t>(1 + draw(6));
    const core::Placement placement({count, static_cast<std::uint32_t>(1 + draw(4))});
    Lists lists(count);
    for (std::size_t s = 0; s < count; ++s) {
      const std::uint64_t length = draw(9);
      for (std::uint64_t number = 0; number < length; ++number) {
        // Few distances, negative ones among them, so that most are ties.
        const float distances[] = {-1.5F, 0.0F, 1.0F, 2.0F};
        lists[s].push_back(hit(draw(20), distances[draw(4)], placement.position(s, number)));
      }
      std::ranges::sort(lists[s],
                        [](const core::Hit& a, const core::Hit& b) { return a.comes_before(b); });
    }
    const auto no_odd_ones = [](const core::Hit& one) { return one.label % 2 == 0; };
    for (const std::size_t most : {std::size_t{0}, std::size_t{1}, std::size_t{3}, std::size_t{10},
                                   std::numeric_limits<std::size_t>::max()}) {
      EXPECT_EQ(merged(lists, most, kAll), sorted(lists, most, kAll)) << seed << ' ' << most;
      EXPECT_EQ(merged(lists, most, no_odd_ones), sorted(lists, most, no_odd_ones)) << seed;
    }
  }
}

// A number of insertion is smaller in the one shard, a position in the other.
TEST(Merge, TiesGoByPositionNotByNumber) {
  const core::Placement placement({2, 3});
  const Lists lists = {{hit(70, 1, placement.position(0, 3))},
                       {hit(71, 1, placement.position(1, 2))}};
  EXPECT_EQ(merged(lists, 1, kAll), std::vector<std::uint64_t>{71});  // positions 6 and 5
}

TEST(Merge, OfNothingIsNothing) {
  EXPECT_TRUE(merged({}, 5, kAll).empty());
  EXPECT_TRUE(merged({{}, {}}, 5, kAll).empty());
}

TEST(Merge, DistancesAreThoseThatWereKept) {
  for (const float distance : {0.0F, -0.0F, -1.5F, 3.25F, std::numeric_limits<float>::infinity()}) {
    EXPECT_EQ(core::distance_of(hit(1, distance, 2)), distance);
    EXPECT_EQ(std::signbit(core::distance_of(hit(1, distance, 2))), std::signbit(distance));
  }
}

}  // namespace
}  // namespace concord::test
