// What an index tells of itself agrees with what it is.

#include <numeric>

#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

TEST(Stats, AgreeWithTheGraph) {
  const std::size_t n = 1200;
  const Matrix data = make_data(Shape::random, n, 5);
  RuntimeOptions options;
  options.threads = 2;
  Index index(make_params(5, 6, 30, 128), options);
  index.add(data.view());
  const Stats stats = index.stats();
  EXPECT_EQ(stats.size, n);
  EXPECT_EQ(stats.threads, 2u);
  EXPECT_EQ(stats.isa, supported_isas().back());
  EXPECT_EQ(std::accumulate(stats.level_histogram.begin(), stats.level_histogram.end(), 0u), n);
  EXPECT_EQ(stats.level_histogram.size(), stats.max_level + 1);
  EXPECT_EQ(std::accumulate(stats.degree_histogram.begin(), stats.degree_histogram.end(), 0u), n);
  EXPECT_EQ(stats.build.ingest.count, n);
  EXPECT_EQ(stats.build.commit.count, n);
  EXPECT_GT(stats.build.distances, n * 30);
  EXPECT_GT(stats.build.score.count, 0u);

  const SearchResult result = index.search(data.slice(0, 30));
  const Stats after = index.stats();
  EXPECT_EQ(after.search.queries, 30u);
  EXPECT_GT(after.search.distances, 30u * 64);
  EXPECT_GT(after.search.hops, 30u);
  EXPECT_EQ(after.build.distances, stats.build.distances) << "searches are not construction";
  EXPECT_EQ(result.queries, 30u);
}

TEST(Stats, AnEmptyIndexHasNone) {
  const Index index(make_params(5, 6, 30, 128));
  const Stats stats = index.stats();
  EXPECT_EQ(stats.size, 0u);
  EXPECT_EQ(stats.max_level, 0u);
  EXPECT_TRUE(stats.level_histogram.empty());
  EXPECT_EQ(index.memory().vectors, 0u);
  EXPECT_EQ(index.memory().links, 0u);
}

// Between epochs a vector costs its padded floats, 16 + 8·M bytes of row and 17 of the rest.
TEST(Stats, MemoryIsWhatTheLayoutSays) {
  IndexParams params = make_params(20, 16, 40, 1);
  Index index(params);
  index.add(make_data(Shape::random, 500, 20).view());
  const MemoryUse use = index.memory();
  EXPECT_EQ(use.vectors, 500u * 24 * 4);
  EXPECT_EQ(use.links, 500u * (16 + 4 * 32));
  EXPECT_LE(use.upper, 500u * (16 + 4 * 16) / 10);
  EXPECT_EQ(use.labels, 500u * 8);
  EXPECT_EQ(use.total(),
            use.vectors + use.links + use.upper + use.labels + use.nodes + use.epoch + use.scratch);
  EXPECT_LT(use.epoch, 1u << 20);
}

}  // namespace
}  // namespace concord::test
