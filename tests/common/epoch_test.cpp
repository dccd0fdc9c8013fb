// Epochs: boundaries depend on insertion order alone.

#include "common/graph/epoch.hpp"

#include <gtest/gtest.h>

namespace concord::core {
namespace {

TEST(Epoch, GrowsByAQuarterUpToTheLimit) {
  for (const std::uint32_t limit : {1u, 7u, 1024u, 65536u}) {
    Epoch epoch;
    EXPECT_EQ(epoch.begin, 0u);
    EXPECT_EQ(epoch.end, 1u);
    for (int i = 0; i < 200 && epoch.end < 10000000; ++i) {
      const Epoch next = epoch.next(limit);
      EXPECT_EQ(next.number, epoch.number + 1);
      EXPECT_EQ(next.begin, epoch.end);
      EXPECT_EQ(next.sealed_end, epoch.begin) << "proposals read two epochs back";
      const NodeId length = next.end - next.begin;
      EXPECT_GE(length, 1u);
      EXPECT_LE(length, limit);
      EXPECT_EQ(length, std::clamp<NodeId>(next.begin / 4, 1, limit));
      epoch = next;
    }
  }
}

TEST(Epoch, OfFindsTheEpochThatHoldsAnOrder) {
  for (const std::uint32_t limit : {1u, 3u, 64u, 4096u}) {
    Epoch expected;
    for (NodeId order = 0; order < 3000; ++order) {
      while (order >= expected.end) expected = expected.next(limit);
      const Epoch found = Epoch::of(order, limit);
      ASSERT_EQ(found.number, expected.number);
      ASSERT_EQ(found.sealed_end, expected.sealed_end);
      ASSERT_EQ(found.begin, expected.begin);
      ASSERT_EQ(found.end, expected.end);
    }
  }
}

}  // namespace
}  // namespace concord::core
