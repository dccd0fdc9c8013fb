// The merge against a naive one: sort everything by (distance, position) and take k.

#include "common/search/merge.hpp"

#include <algorithm>
#include <tuple>

#include "common/shards/placement.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

struct Taken {
  std::size_t list;
  core::Key key;
  bool operator==(const Taken&) const = default;
};

using Lists = std::vector<std::vector<core::Key>>;

std::vector<Taken> merged(const Lists& lists, std::uint32_t k, const core::Placement& placement) {
  std::vector<core::MergeHead> heads(lists.size());
  for (std::size_t i = 0; i < lists.size(); ++i) heads[i].rest = lists[i];
  std::vector<Taken> taken;
  const auto position = [&](std::size_t list, core::NodeId id) {
    return placement.position(list, id);
  };
  const std::uint32_t count =
      core::merge_nearest(heads, k, position, [&](std::size_t list, core::Key key) {
        taken.push_back({list, key});
      });
  EXPECT_EQ(count, taken.size());
  return taken;
}

std::vector<Taken> sorted(const Lists& lists, std::uint32_t k, const core::Placement& placement) {
  std::vector<Taken> all;
  for (std::size_t i = 0; i < lists.size(); ++i) {
    for (const core::Key key : lists[i]) all.push_back({i, key});
  }
  std::sort(all.begin(), all.end(), [&](const Taken& a, const Taken& b) {
    const auto rank = [&](const Taken& t) {
      return std::tuple(core::key_distance(t.key), placement.position(t.list, core::key_id(t.key)));
    };
    return rank(a) < rank(b);
  });
  all.resize(std::min<std::size_t>(k, all.size()));
  return all;
}

TEST(Merge, IsASortByDistanceThenPosition) {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    std::uint64_t drawn = 0;
    const auto draw = [&](std::uint64_t below) { return hash(seed, ++drawn) % below; };
    const auto count = static_cast<std::uint32_t>(1 + draw(6));
    const core::Placement placement({count, static_cast<std::uint32_t>(1 + draw(4))});
    Lists lists(count);
    for (auto& list : lists) {
      const std::uint64_t length = draw(9);
      for (core::NodeId id = 0; id < length; ++id) {
        // Few distances, negative ones and both zeros among them, so that most are ties.
        const float distances[] = {-1.5F, 0.0F, 1.0F, 2.0F};
        list.push_back(core::make_key(distances[draw(4)], id));
      }
      std::sort(list.begin(), list.end());
    }
    for (const std::uint32_t k : {0U, 1U, 3U, 10U, 100U}) {
      EXPECT_EQ(merged(lists, k, placement), sorted(lists, k, placement)) << seed << ' ' << k;
    }
  }
}

// An id is smaller in the one list, a position in the other: ids must not decide.
TEST(Merge, TiesGoByPositionNotById) {
  const core::Placement placement({2, 3});
  const Lists lists = {{core::make_key(1, 3)}, {core::make_key(1, 2)}};  // positions 6 and 5
  const std::vector<Taken> nearest = merged(lists, 1, placement);
  ASSERT_EQ(nearest.size(), 1U);
  EXPECT_EQ(nearest[0].list, 1U);
}

TEST(Merge, OfNothingIsNothing) {
  EXPECT_TRUE(merged({}, 5, core::Placement({1, 1})).empty());
  EXPECT_TRUE(merged({{}, {}}, 5, core::Placement({2, 1})).empty());
}

}  // namespace
}  // namespace concord::test
