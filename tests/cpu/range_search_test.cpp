// Range searches on the CPU: the list of a closure, and that hits do not depend on what a visited
// table forgets.

#include "cpu/range_search.hpp"

#include <limits>
#include <set>

#include "cpu/filtered_search.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using core::Key;
using core::NodeId;

TEST(ReachedNodes, HoldEachNodeWithinTheReachOnceInTheOrderInWhichItWasMet) {
  cpu::ReachedNodes nodes;
  for (int round = 0; round < 2; ++round) {
    nodes.reset(2.0f, 5000);
    std::set<NodeId> met;
    std::vector<Key> expected;
    for (std::uint64_t i = 0; i < 20000; ++i) {
      const auto id = static_cast<NodeId>(hash(3, i) % 3000);
      const float distance = static_cast<float>(id % 5);
      const Key key = core::make_key(distance, id);
      const bool is_new = distance <= 2.0f && met.insert(id).second;
      if (is_new) expected.push_back(key);
      ASSERT_EQ(nodes.insert(key) < expected.size(), is_new);
    }
    ASSERT_EQ(nodes.size(), expected.size());
    for (const Key key : expected) {
      ASSERT_FALSE(nodes.is_done());
      ASSERT_EQ(nodes.closest(), key);
      ASSERT_EQ(nodes.expand_closest(), core::key_id(key));
    }
    EXPECT_TRUE(nodes.is_done());
    EXPECT_FALSE(nodes.is_too_many());
  }
}

TEST(ReachedNodes, AreDoneWithOneTooMany) {
  cpu::ReachedNodes nodes;
  nodes.reset(std::numeric_limits<float>::infinity(), 2);
  for (const NodeId id : {7u, 3u, 7u, 3u}) nodes.insert(core::make_key(1.0f, id));
  EXPECT_FALSE(nodes.is_too_many());
  EXPECT_FALSE(nodes.is_done());
  nodes.insert(core::make_key(1.0f, 9));
  EXPECT_TRUE(nodes.is_too_many());
  EXPECT_TRUE(nodes.is_done());
}

class ForgettingTables : public testing::TestWithParam<Shape> {
 protected:
  ForgettingTables() : data_(make_data(GetParam(), scaled(3000, 1200), 16)) {
    while (built_.graph.size() < data_.rows) built_.step();
    lossy_.visited = cpu::VisitedTable(64);
    lossy_.filtered = std::make_unique<cpu::FilterScratch>();
    lossy_.filtered->passed = cpu::VisitedTable(64);
    for (cpu::Scratch* scratch : {&exact_, &lossy_}) {
      scratch->query_bytes.resize(built_.vectors.stride());
    }
  }

  /// Radii at which a query has few and many hits, with slacks.
  template <class Check>
  void for_all(const Check& check) {
    const Matrix queries = make_data(GetParam(), 25, 16, 7);
    std::vector<float> vector(built_.vectors.stride());
    for (std::size_t q = 0; q < queries.rows; ++q) {
      built_.vectors.prepare(queries.row(q), vector.data(), "query", q);
      const cpu::Scorer scorer(built_.vectors, kernels_);
      const cpu::Query query = scorer.as_query(vector.data(), exact_.query_bytes.data());
      std::vector<NodeId> ids(data_.rows);
      for (NodeId id = 0; id < ids.size(); ++id) ids[id] = id;
      std::vector<float> distances(ids.size());
      scorer.score(query, ids.data(), ids.size(), distances.data());
      std::sort(distances.begin(), distances.end());
      for (const std::size_t rank : {3u, 40u, 120u, 400u}) {
        for (const float slack : {0.0f, 0.1f, 0.3f}) {
          check(vector.data(),
                core::RangeRule(distances[rank], 24, slack, core::RangeRule::kNoLimit));
        }
      }
    }
  }

  Matrix data_;
  GraphBuilder built_{make_params(16, 6, 40, 256), data_};
  const cpu::MetricKernels& kernels_ = cpu::for_metric(cpu::choose_kernels(), Metric::l2sq);
  cpu::Scratch exact_;
  cpu::Scratch lossy_;
};

TEST_P(ForgettingTables, ChangeNoHit) {
  std::size_t found = 0;
  std::size_t scans = 0;
  for_all([&](const float* vector, const core::RangeRule& rule) {
    core::RangeHits hits(rule);
    core::RangeHits hits_of_lossy(rule);
    const auto search = [&](core::RangeHits& into, cpu::Scratch& scratch) {
      return cpu::search_range(built_.graph, built_.vectors, kernels_, vector, rule, into, scratch);
    };
    const bool by_graph = search(hits, exact_);
    ASSERT_EQ(search(hits_of_lossy, lossy_), by_graph);
    const std::vector<Key> keys = hits.take();
    ASSERT_EQ(hits_of_lossy.take(), keys);
    found += keys.size();
    scans += by_graph ? 0 : 1;
  });
  EXPECT_GT(found, 1000u);
  EXPECT_GT(scans, 10u);
  EXPECT_GT(lossy_.counts.distances, exact_.counts.distances);
}

TEST_P(ForgettingTables, ChangeNoHitAmongMatches) {
  std::vector<NodeId> ids;
  for (NodeId id = 0; id < data_.rows; ++id) {
    if (hash(5, id) % 10 < 4) ids.push_back(id);
  }
  const auto n = static_cast<NodeId>(data_.rows);
  const core::FilterSnapshot snapshot{
      1, built_.graph.numbering().shared_from_this(), n, 0, 4096, nullptr};  // wide: it has bits
  const core::PlacedSet set(snapshot, {ids, ids});
  const cpu::MatchingIds matches(set.bits());
  const auto seed = [&set](std::uint32_t i) { return set.seed(i); };
  const core::UnlimitedReach reach;
  std::size_t found = 0;
  std::size_t scans = 0;
  for_all([&](const float* vector, const core::RangeRule& rule) {
    const core::FilterRule walked(n, static_cast<NodeId>(ids.size()), 6, 4096, rule.width());
    std::vector<Key> keys[2];
    bool by_graph[2];
    for (const bool is_lossy : {false, true}) {
      cpu::Scratch& scratch = is_lossy ? lossy_ : exact_;
      const cpu::Scorer scorer(built_.vectors, kernels_);
      const cpu::Query query = scorer.as_query(vector, scratch.query_bytes.data());
      const cpu::WalkedGraph<core::LiveView> over{built_.graph, built_.graph.live(), scorer, query};
      core::RangeHits hits(rule);
      by_graph[is_lossy] =
          cpu::FilteredWalk(over, walked, matches, reach, scratch.list, scratch)
              .run(seed, rule.width()) &&
          cpu::collect_range(
              rule, static_cast<NodeId>(ids.size()), [](NodeId) { return true; },
              [&] {
                return cpu::FilteredWalk(over, walked, matches, reach, scratch.reached, scratch)
                    .close();
              },
              hits, scratch);
      keys[is_lossy] = hits.take();
    }
    ASSERT_EQ(by_graph[0], by_graph[1]);
    ASSERT_EQ(keys[0], keys[1]);
    found += keys[0].size();
    scans += by_graph[0] ? 0 : 1;
  });
  EXPECT_GT(found, 100u);
  EXPECT_GT(scans, 10u);
}

INSTANTIATE_TEST_SUITE_P(Shapes, ForgettingTables,
                         testing::Values(Shape::random, Shape::clustered, Shape::u8));

}  // namespace
}  // namespace concord::test
