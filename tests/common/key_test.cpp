// Keys order exactly as (distance, id) does and give both back.

#include "common/base/key.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace concord::core {
namespace {

std::vector<float> telling_distances() {
  constexpr float kMax = std::numeric_limits<float>::max();
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  std::vector<float> distances = {-kMax, -1e30f, -2, -1, -kTiny, 0,
                                  kTiny, 1e-20f, 1,  2,  1e30f,  kMax};
  for (const float start : {-3.0f, -1e-38f, 0.5f, 7e8f}) {
    float x = start;
    for (int i = 0; i < 5; ++i) distances.push_back(x = std::nextafter(x, kMax));
  }
  return distances;
}

TEST(Key, OrdersByDistanceThenId) {
  const std::vector<NodeId> ids = {0, 1, 2, 1000, kMaxNodes - 1, kMaxNodes};
  for (const float a : telling_distances()) {
    for (const float b : telling_distances()) {
      for (const NodeId i : ids) {
        for (const NodeId j : ids) {
          EXPECT_EQ(make_key(a, i) < make_key(b, j), std::pair(a, i) < std::pair(b, j))
              << a << ' ' << i << ' ' << b << ' ' << j;
        }
      }
    }
  }
}

TEST(Key, GivesDistanceAndIdBack) {
  for (const float distance : telling_distances()) {
    for (const NodeId id : {NodeId{0}, NodeId{5}, kMaxNodes}) {
      const Key key = make_key(distance, id);
      EXPECT_EQ(key_id(key), id);
      EXPECT_EQ(key_distance(key), distance);
      EXPECT_EQ(key_id(key | kExpanded), id);
      EXPECT_EQ(key & kExpanded, 0u);
      EXPECT_LT(key | kExpanded, kWorstKey);
    }
  }
}

TEST(Key, TheExpandedMarkChangesNoOrderBetweenDifferentNodes) {
  EXPECT_LT(make_key(1, 4) | kExpanded, make_key(1, 5));
  EXPECT_LT(make_key(1, kMaxNodes) | kExpanded, make_key(std::nextafter(1.0f, 2.0f), 0));
}

}  // namespace
}  // namespace concord::core
