// Beam search and greedy descent against a naive search with an exact visited set.

#include "cpu/beam_search.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <set>

#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::cpu {
namespace {

using core::Key;
using core::NodeId;
using test::GraphBuilder;

Key key_of(const Scorer& scorer, const Query& query, NodeId node) {
  float distance = 0;
  scorer.score(query, &node, 1, &distance);
  return core::make_key(distance, node);
}

// Always expands the closest unexpanded of the best ef seen so far, unless it is farther than
// `factor` times the k-th; forgets nothing and keeps what is too far.
std::vector<Key> naive_search(const test::Rows& rows, std::uint32_t layer, const Scorer& scorer,
                              const Query& query, NodeId from, std::size_t ef,
                              std::size_t k = std::numeric_limits<std::size_t>::max(),
                              float factor = 1) {
  std::set<Key> best = {key_of(scorer, query, from)};
  std::set<Key> expanded;
  std::set<NodeId> visited = {from};
  for (;;) {
    const auto next =
        std::find_if(best.begin(), best.end(), [&](Key key) { return !expanded.contains(key); });
    if (next == best.end()) return {best.begin(), best.end()};
    const Key key = *next;
    if (best.size() >= k &&
        core::key_distance(key) > core::key_distance(*std::next(best.begin(), k - 1)) * factor) {
      return {best.begin(), best.end()};
    }
    expanded.insert(key);
    for (const NodeId id : rows[core::key_id(key)][layer]) {
      if (!visited.insert(id).second) continue;
      best.insert(key_of(scorer, query, id));
      if (best.size() > ef) best.erase(std::prev(best.end()));
    }
  }
}

// The graph of `data`, of 6 dimensions.
std::unique_ptr<GraphBuilder> build(const test::Matrix& data, std::size_t n) {
  auto made = std::make_unique<GraphBuilder>(test::make_params(6, 4, 30, 512), data, 2);
  GraphBuilder& builder = *made;
  while (builder.graph.size() < n) {
    const core::Epoch& epoch = builder.graph.epoch();
    builder.commit(builder.propose(epoch, builder.graph.size(),
                                   std::min<NodeId>(epoch.end, static_cast<NodeId>(n))));
    builder.seal_if_due();
  }
  return made;
}

TEST(BeamSearch, EqualsANaiveSearchThatForgetsNothing) {
  for (const test::Shape shape :
       {test::Shape::random, test::Shape::clustered, test::Shape::duplicate}) {
    const std::size_t n = test::scaled(6000, 1500);
    const test::Matrix data = test::make_data(shape, n, 6);
    const auto built = build(data, n);
    const GraphBuilder& builder = *built;
    const test::Rows rows = test::all_rows(builder.graph);
    const Scorer scorer(builder.vectors, for_metric(choose_kernels(), Metric::l2sq));
    const core::EntryPoint entry = builder.graph.entry_point();
    Scratch scratch;
    for (std::size_t q = 0; q < 60; ++q) {
      std::vector<float> vector(builder.vectors.stride());
      std::vector<std::uint8_t> bytes(vector.size());
      for (std::size_t e = 0; e < 6; ++e) vector[e] = test::hashed_float(77, q, e);
      const Query query = scorer.as_query(vector.data(), bytes.data());
      for (const std::size_t ef : {1u, 2u, 10u, 100u, 1500u}) {
        for (const std::uint32_t layer : {0u, 1u}) {
          const auto read = [&](NodeId node, const auto& visit) {
            builder.graph.visit_live(builder.graph.live(), node, layer, visit);
          };
          beam_search(
              scorer, query, key_of(scorer, query, entry.node), ef, read, [](NodeId) {},
              UnlimitedReach{ef}, scratch);
          std::vector<Key> found;
          for (std::size_t i = 0; i < scratch.list.size(); ++i) {
            EXPECT_EQ(scratch.list[i] & core::kExpanded, core::kExpanded);
            found.push_back(scratch.list[i] & ~core::kExpanded);
          }
          ASSERT_EQ(found, naive_search(rows, layer, scorer, query, entry.node, ef))
              << "ef " << ef << " layer " << layer;
        }
      }
    }
  }
}

// What is too far is not kept, and the table of visited nodes begins small and grows; neither may
// show.
TEST(BeamSearch, WithinAReachFindsTheNearestOfANaiveSearch) {
  for (const test::Shape shape :
       {test::Shape::random, test::Shape::clustered, test::Shape::duplicate}) {
    const std::size_t n = test::scaled(4000, 1500);
    const test::Matrix data = test::make_data(shape, n, 6);
    const auto built = build(data, n);
    const test::Rows rows = test::all_rows(built->graph);
    const Scorer scorer(built->vectors, for_metric(choose_kernels(), Metric::l2sq));
    const NodeId entry = built->graph.entry_point().node;
    const auto read = [&](NodeId node, const auto& visit) {
      built->graph.visit_live(built->graph.live(), node, 0, visit);
    };
    Scratch scratch;
    std::size_t ended_early = 0;
    for (std::size_t q = 0; q < 60; ++q) {
      std::vector<float> vector(built->vectors.stride());
      std::vector<std::uint8_t> bytes(vector.size());
      for (std::size_t e = 0; e < 6; ++e) {
        vector[e] = q % 3 == 0 ? data.row(q * 7)[e] : test::hashed_float(78, q, e);
      }
      const Query query = scorer.as_query(vector.data(), bytes.data());
      const Key from = key_of(scorer, query, entry);
      for (const std::size_t k : {1u, 5u, 40u}) {
        for (const std::size_t ef : {40u, 700u}) {
          for (const float factor : {1.0f, 1.1f, 2.0f, 1e20f}) {
            const AdaptiveReach reach{k, factor, 1};
            beam_search(
                scorer, query, from, ef, read, [](NodeId) {}, reach, scratch);
            std::vector<Key> found;
            for (std::size_t i = 0; i < std::min(k, scratch.list.size()); ++i) {
              found.push_back(scratch.list[i] & ~core::kExpanded);
            }
            std::vector<Key> expected = naive_search(rows, 0, scorer, query, entry, ef, k, factor);
            ended_early += scratch.list.size() < std::min(ef, n);
            expected.resize(std::min(k, expected.size()));
            ASSERT_EQ(found, expected) << "k " << k << " ef " << ef << " factor " << factor;
          }
        }
      }
    }
    EXPECT_GT(ended_early, 100u);
  }
}

// 1 − x·y of a vector and itself may come out below zero, and a factor would make it smaller still.
TEST(Reach, IsNeverLessThanTheKthDistance) {
  for (const float kth : {-1.2e-7f, -0.0f, 0.0f, 1e-45f, 0.3f, 3e38f}) {
    for (const float slack : {0.0f, 1e-7f, 0.1f, 1e18f}) {
      EXPECT_GE(core::reach(kth, core::reach_factor(slack)), kth) << kth << " " << slack;
    }
  }
}

TEST(GreedyDescent, EndsAtANodeThatNoNeighborImprovesOn) {
  const test::Matrix data = test::make_data(test::Shape::random, 2000, 4);
  GraphBuilder builder(test::make_params(4, 3, 20, 64), data);
  for (int i = 0; i < 2000; ++i) builder.step();
  const test::Rows rows = test::all_rows(builder.graph);
  const Scorer scorer(builder.vectors, for_metric(choose_kernels(), Metric::l2sq));
  Scratch scratch;
  for (std::size_t q = 0; q < 200; ++q) {
    std::vector<float> vector(builder.vectors.stride());
    std::vector<std::uint8_t> bytes(vector.size());
    for (std::size_t e = 0; e < 4; ++e) vector[e] = test::hashed_float(5, q, e);
    const Query query = scorer.as_query(vector.data(), bytes.data());
    Key closest = key_of(scorer, query, builder.graph.entry_point().node);
    for (std::uint32_t layer = builder.graph.entry_point().level + 1; layer-- > 0;) {
      const auto read = [&](NodeId node, const auto& visit) {
        builder.graph.visit_live(builder.graph.live(), node, layer, visit);
      };
      const Key from = closest;
      closest = greedy_descent(scorer, query, from, read, scratch);
      ASSERT_LE(closest, from);
      for (const NodeId id : rows[core::key_id(closest)][layer]) {
        ASSERT_LT(closest, key_of(scorer, query, id));
      }
    }
  }
}

}  // namespace
}  // namespace concord::cpu
