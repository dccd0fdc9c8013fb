// The other ways of filtered search that concord-filter-work compares with: each finds what a scan
// finds if its effort is large, and nothing that does not match.

#include "bench/micro/filter_rivals.hpp"

#include <gtest/gtest.h>

#include <concord/index.hpp>

#include "bench/tool/synthetic.hpp"

namespace concord::bench {
namespace {

constexpr std::size_t kRows = 3000;
constexpr std::size_t kNeighbors = 10;

class FilterRivalsTest : public ::testing::Test {
 protected:
  FilterRivalsTest() : index(params()) { index.add(vectors.view()); }

  static IndexParams params() {
    IndexParams params;
    params.dimension = 16;
    return params;
  }
  static std::vector<std::uint8_t> every(std::size_t n) {
    std::vector<std::uint8_t> mask(kRows);
    for (std::size_t i = 0; i < kRows; i += n) mask[i] = 1;
    return mask;
  }
  static FloatMatrix rows_from(std::size_t first, std::size_t count) {
    return synthetic_vectors({kRows, 16, 1}, first, count, 1);
  }

  FloatMatrix vectors = rows_from(0, kRows);
  FloatMatrix queries = rows_from(kRows, 20);
  Index index;
};

TEST_F(FilterRivalsTest, FindWhatAScanFindsAtALargeEffort) {
  FilterRivals rivals(index);
  for (const std::size_t share : {1u, 3u, 20u}) {
    const std::vector<std::uint8_t> mask = every(share);
    const MatchIds matches(mask);
    for (std::size_t q = 0; q < queries.rows; ++q) {
      Work of_scan;
      const auto nearest =
          rivals.answer(Rival::scan, queries.row(q), matches, kNeighbors, kNeighbors, of_scan);
      ASSERT_EQ(nearest.size(), kNeighbors);
      EXPECT_EQ(of_scan.distances, matches.ids.size());
      EXPECT_EQ(of_scan.lists, 0u);
      for (const Rival rival : kRivals) {
        Work work;
        EXPECT_EQ(rivals.answer(rival, queries.row(q), matches, kNeighbors, kRows, work), nearest)
            << name_of(rival) << " of one in " << share;
      }
    }
  }
}

TEST_F(FilterRivalsTest, AreCheaperWithLessEffortAndFindMatchesAlone) {
  FilterRivals rivals(index);
  const std::vector<std::uint8_t> mask = every(3);
  const MatchIds matches(mask);
  for (const Rival rival : {Rival::sweep, Rival::bounded, Rival::post_filter, Rival::two_hop}) {
    Work little, much;
    for (std::size_t q = 0; q < queries.rows; ++q) {
      for (const core::Key key :
           rivals.answer(rival, queries.row(q), matches, kNeighbors, 20, little)) {
        EXPECT_EQ(mask[core::key_id(key)], 1) << name_of(rival);
      }
      (void)rivals.answer(rival, queries.row(q), matches, kNeighbors, 200, much);
    }
    EXPECT_LT(little.distances, much.distances) << name_of(rival);
    EXPECT_GT(little.lists, queries.rows * 5) << name_of(rival);
  }
}

// ACORN-1 reads the lists of neighbors that do not match, so it needs more of them than matches.
TEST_F(FilterRivalsTest, DifferInWhatTheyRead) {
  FilterRivals rivals(index);
  const std::vector<std::uint8_t> mask = every(20);
  const MatchIds matches(mask);
  Work sweep, bounded, post_filter, two_hop;
  for (std::size_t q = 0; q < queries.rows; ++q) {
    (void)rivals.answer(Rival::sweep, queries.row(q), matches, kNeighbors, 32, sweep);
    (void)rivals.answer(Rival::bounded, queries.row(q), matches, kNeighbors, 32, bounded);
    (void)rivals.answer(Rival::post_filter, queries.row(q), matches, kNeighbors, 32, post_filter);
    (void)rivals.answer(Rival::two_hop, queries.row(q), matches, kNeighbors, 32, two_hop);
  }
  EXPECT_LT(two_hop.distances, bounded.distances);
  EXPECT_GT(two_hop.lists, bounded.lists);
  EXPECT_GT(sweep.distances, 2 * bounded.distances);
  EXPECT_GT(post_filter.distances, bounded.distances);
}

}  // namespace
}  // namespace concord::bench
