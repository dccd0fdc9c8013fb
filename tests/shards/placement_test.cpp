// Positions and (shard, id) against a table that is filled by dealing blocks out.

#include "common/shards/placement.hpp"

#include "tests/support/support.hpp"

namespace concord::test {
namespace {

TEST(Placement, DealsBlocksOutInTurn) {
  for (const std::uint32_t shards : {1U, 2U, 3U, 5U, 8U}) {
    for (const std::uint32_t block : {1U, 2U, 7U, 64U}) {
      SCOPED_TRACE(testing::Message() << shards << " shards, block " << block);
      const core::Placement placement({shards, block});
      std::vector<std::uint64_t> sizes(shards);
      std::uint32_t shard = 0;
      for (std::uint64_t position = 0; position < 3 * shards * block + 5; ++position) {
        if (position > 0 && position % block == 0) shard = (shard + 1) % shards;
        for (std::uint32_t s = 0; s < shards; ++s) {
          ASSERT_EQ(placement.count_before(s, position), sizes[s]) << position << ' ' << s;
        }
        ASSERT_EQ(placement.shard_of(position), shard);
        ASSERT_EQ(placement.position(shard, sizes[shard]), position);
        ++sizes[shard];
      }
    }
  }
}

TEST(Placement, RunsAreEvenlySpacedAndAsLongAsTheySay) {
  for (const std::uint32_t shards : {1U, 2U, 5U}) {
    for (const std::uint32_t block : {1U, 4U, 7U}) {
      const core::Placement placement({shards, block});
      for (std::uint64_t id = 0; id < 30; ++id) {
        const std::uint64_t run = std::min<std::uint64_t>(placement.run(id), 30);
        ASSERT_GE(run, 1U);
        for (std::uint64_t i = 0; i < run; ++i) {
          ASSERT_EQ(placement.position(shards - 1, id + i),
                    placement.position(shards - 1, id) + i * placement.step());
        }
      }
    }
  }
}

TEST(Placement, HoldsBeyondThirtyTwoBits) {
  const core::Placement placement({1024, 1 << 20});
  const std::uint64_t id = 0x7FFFFFFD;
  const std::uint64_t position = placement.position(1023, id);
  EXPECT_GT(position, std::uint64_t{1} << 40);
  EXPECT_EQ(placement.shard_of(position), 1023U);
  EXPECT_EQ(placement.count_before(1023, position), id);
  EXPECT_EQ(placement.count_before(1023, position + 1), id + 1);
}

}  // namespace
}  // namespace concord::test
