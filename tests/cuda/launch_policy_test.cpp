// Properties of the launch policy: layouts do not overlap, sizes are enough and within limits.
#include "cuda/launch_policy.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace concord::cuda {
namespace {

constexpr std::size_t kH100Shared = 232448;      // of a block, opt-in
constexpr std::size_t kSmallestShared = 101376;  // sm_86, sm_89, sm_120

static_assert(ceil_log2(1) == 0 && ceil_log2(2) == 1 && ceil_log2(3) == 2 && ceil_log2(1024) == 10);
static_assert(tail_stride(10, 10) == 0 && tail_stride(10, 11) == 4 && tail_stride(10, 14) == 4);
static_assert(propose_scratch_floats(20, 24, 10) == 4 * 16);

TEST(LaunchPolicy, PartsOfABeamLayoutFollowOneAnother) {
  for (std::uint32_t ef : {1u, 7u, 64u, 200u, 1024u}) {
    for (std::uint32_t M : {2u, 5u, 16u, 64u}) {
      for (std::uint32_t dimension : {1u, 3u, 128u, 1536u}) {
        const BeamLayout layout = propose_layout(ef, M, dimension);
        const std::vector<std::pair<std::size_t, std::size_t>> parts = {
            {0, ef * 8},
            {layout.spare_list, ef * 8},
            {layout.batch_keys, kBatchCapacity * 8},
            {layout.batch_positions, kBatchCapacity * 4},
            {layout.batch_states, 16},
            {layout.kept, M * 4},
            {layout.alive, 24},
            {layout.query, (dimension + 3) / 4 * 16},
            {layout.table, std::size_t{8} << layout.table_log2}};
        std::size_t end = 0;
        for (const auto& [at, bytes] : parts) {
          EXPECT_EQ(at % 16, 0u);
          EXPECT_GE(at, end);
          end = at + bytes;
        }
        EXPECT_LE(end, layout.bytes);
        EXPECT_LT(layout.bytes, end + 16 * parts.size());
      }
    }
  }
}

TEST(LaunchPolicy, AWalkHasPlacesBehindTheBeamAndAScanFitsWhereItDoes) {
  for (std::uint32_t ef : {1u, 7u, 64u, 1024u, 4096u}) {
    for (std::uint32_t dimension : {1u, 3u, 128u, 1536u}) {
      const WalkLayout layout = walk_layout(ef, 16, dimension);
      EXPECT_EQ(layout.bridges, beam_layout(ef, 32, dimension).bytes);
      EXPECT_EQ(layout.bridges % 16, 0u);
      EXPECT_EQ(layout.met, layout.bridges + core::FilterRule::kMostBridges * 4);
      EXPECT_EQ(layout.counts, layout.met + kMostMet * 4);
      EXPECT_EQ(layout.bytes, layout.counts + kWarpsPerSearchBlock * 8 + 16);
      const BeamLayout scan = scan_layout(ef, dimension);
      EXPECT_EQ(scan.query, merge_layout(ef).bytes);
      EXPECT_GE(scan.bytes, scan.query + dimension * 4);
      EXPECT_LE(scan.bytes, layout.bytes);
    }
  }
}

TEST(LaunchPolicy, TheTableHoldsWhatASearchSees) {
  EXPECT_EQ(table_log2(1, 4), kMinTableLog2);
  EXPECT_EQ(table_log2(200, 32), 11u);
  EXPECT_EQ(table_log2(4096, 128), kMaxTableLog2);
  for (std::uint32_t ef = 1; ef < 512; ++ef) {
    EXPECT_GE((3u << table_log2(ef, 32)), ef * 16);
    EXPECT_LE(table_log2(ef, 32), table_log2(ef + 1, 32));
  }
}

TEST(LaunchPolicy, UsualBuildsFitAnyDeviceSeveralTimes) {
  EXPECT_TRUE(can_propose(1024, 64, 4096, kSmallestShared));
  EXPECT_LE(propose_layout(200, 16, 128).bytes * 6, kSmallestShared * 2);
  EXPECT_LE(propose_layout(200, 16, 128).bytes * 8, kH100Shared);
  EXPECT_LE(propose_layout(200, 16, 1536).bytes * 6, kH100Shared);
}

TEST(LaunchPolicy, WhatDoesNotFitIsLeftToTheCpu) {
  EXPECT_FALSE(can_propose(200, 16, 65536, kH100Shared));
  EXPECT_FALSE(can_search(kMaxList + 1, 16, 128, kH100Shared));
  EXPECT_FALSE(can_search(0, 16, 128, kH100Shared));
  EXPECT_FALSE(can_exact(kMaxList + 1, kH100Shared));
  EXPECT_TRUE(can_exact(kMaxList, kSmallestShared));
  EXPECT_TRUE(can_search(1024, 64, 1536, kSmallestShared));
  EXPECT_FALSE(can_filter(kMaxList + 1, 16, 128, kH100Shared));
  EXPECT_FALSE(can_filter(0, 16, 128, kH100Shared));
  EXPECT_FALSE(can_filter(200, 16, 65536, kH100Shared));
  EXPECT_TRUE(can_filter(1024, 64, 1536, kSmallestShared));
}

TEST(LaunchPolicy, SearchUsesWarpsForLargeBatchesThatFit) {
  const BeamLayout usual = beam_layout(64, 32, 128);
  EXPECT_EQ(search_threads(0, 1, usual.bytes), 128u);
  EXPECT_EQ(search_threads(0, 10000, usual.bytes), 32u);
  EXPECT_EQ(search_threads(32, 1, usual.bytes), 32u);
  const BeamLayout large = beam_layout(4096, 32, 4096);
  EXPECT_EQ(search_threads(32, 10000, large.bytes), 128u);
  for (std::uint32_t ef : {1u, 64u, 512u, 4096u}) {
    const BeamLayout layout = beam_layout(ef, 32, 128);
    const std::uint32_t threads = search_threads(32, 10000, layout.bytes);
    EXPECT_LE(search_shared_bytes(layout.bytes, threads), kSmallestShared) << "ef " << ef;
  }
}

TEST(LaunchPolicy, ExactTilesFitTheScratch) {
  for (std::uint32_t queries : {1u, 7u, 2048u, 10000u}) {
    for (std::uint32_t n : {0u, 1u, 4095u, 1000000u}) {
      for (std::size_t scratch : {kExactScratchMin, std::size_t{1} << 24}) {
        const ExactTile tile = exact_tile(queries, n, scratch);
        EXPECT_GE(tile.queries, 1u);
        EXPECT_LE(tile.queries, queries);
        EXPECT_EQ(tile.vectors % 4, 0u);
        EXPECT_LE(std::size_t{tile.queries} * tile.vectors, scratch);
        EXPECT_EQ(tile.vectors == 0, n == 0);
      }
    }
  }
}

TEST(LaunchPolicy, ScoreLayoutHoldsTheLongestList) {
  for (std::uint32_t words : {1u, 2u, 4u}) {
    const ScoreLayout layout = score_layout(words);
    EXPECT_EQ(layout.bits, (kMaxListCapacity + 2) * 8);
    EXPECT_EQ(layout.bytes, layout.bits + kMaxListCapacity * words * 8);
    EXPECT_LE(layout.bytes, 48u * 1024);
  }
}

TEST(LaunchPolicy, TheMergeLayoutHoldsTwoListsAndABatch) {
  for (std::uint32_t k : {1u, 3u, 10u, 1000u, 4096u}) {
    const BeamLayout layout = merge_layout(k);
    EXPECT_GE(layout.spare_list, k * 8);
    EXPECT_GE(layout.batch_keys, layout.spare_list + k * 8);
    EXPECT_EQ(layout.batch_positions, layout.batch_keys + kBatchCapacity * 8);
    EXPECT_EQ(layout.batch_states, layout.batch_positions + kBatchCapacity * 4);
    EXPECT_EQ(layout.bytes, layout.batch_states + 16);
  }
}

}  // namespace
}  // namespace concord::cuda
