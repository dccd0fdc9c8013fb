// Positions and (shard, id) against a table that is filled by dealing blocks out.

#include "common/shards/placement.hpp"

#include <algorithm>

#include "tests/support/data_sets.hpp"
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

TEST(Placement, APositionTellsItsNumber) {
  for (const ShardParams params : {ShardParams{1, 1}, {3, 1}, {2, 7}, {1024, 1 << 20}}) {
    const core::Placement placement(params);
    for (const std::uint64_t number : {0U, 1U, 6U, 7U, 1000U, 0x7FFFFFFDU}) {
      const std::uint64_t position = placement.position(params.shards - 1, number);
      EXPECT_EQ(placement.number(position), number);
      EXPECT_EQ(placement.shard_of(position), params.shards - 1);
    }
  }
}

// Where none left, vectors go in the order of positions; where some did, to where they lack.
TEST(Placement, ADealerFillsShardsUp) {
  for (const ShardParams params : {ShardParams{1, 1}, {3, 1}, {4, 5}}) {
    const core::Placement placement(params);
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      std::vector<std::uint64_t> living(params.shards);
      const std::uint64_t even = hash(seed, 1) % 40;
      for (std::uint32_t s = 0; s < params.shards; ++s) living[s] = placement.count_before(s, even);
      if (seed >= 10) living[seed % params.shards] /= 2;
      core::Dealer dealer(placement, living);
      std::uint64_t position = even;
      for (int i = 0; i < 100; ++i) {
        std::size_t expected = 0;
        for (std::size_t s = 1; s < living.size(); ++s) {
          const bool is_first =
              placement.position(s, living[s]) < placement.position(expected, living[expected]);
          if (is_first) expected = s;
        }
        const std::size_t shard = dealer.next();
        ASSERT_EQ(shard, expected);
        if (seed < 10) {
          ASSERT_EQ(shard, placement.shard_of(position++));
        }
        ++living[shard];
      }
    }
  }
}

TEST(Placement, NumbersOfAllShardsAreTakenByPosition) {
  const core::Placement placement({3, 2});
  const std::vector<std::vector<std::uint64_t>> numbers = {{0, 3, 4}, {}, {1, 2, 900}};
  std::vector<std::uint64_t> positions;
  core::for_each_by_position(placement, numbers, [&](std::size_t s, std::size_t i) {
    positions.push_back(placement.position(s, numbers[s][i]));
  });
  EXPECT_EQ(positions.size(), 6U);
  EXPECT_TRUE(std::is_sorted(positions.begin(), positions.end()));
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
