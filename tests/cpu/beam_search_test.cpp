// Beam search and greedy descent against a naive search with an exact visited set.

#include "cpu/beam_search.hpp"

#include <algorithm>
#include <set>

#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::cpu {
namespace {

using core::Key;
using core::NodeId;
using test::GraphBuilder;

Key key_of(const Scorer& scorer, const float* query, NodeId node) {
  float distance = 0;
  scorer.score(query, &node, 1, &distance);
  return core::make_key(distance, node);
}

// Always expands the closest unexpanded of the best ef seen so far; forgets nothing.
std::vector<Key> naive_search(const test::Rows& rows, std::uint32_t layer, const Scorer& scorer,
                              const float* query, NodeId from, std::size_t ef) {
  std::set<Key> best = {key_of(scorer, query, from)};
  std::set<Key> expanded;
  std::set<NodeId> visited = {from};
  for (;;) {
    const auto next =
        std::find_if(best.begin(), best.end(), [&](Key key) { return !expanded.contains(key); });
    if (next == best.end()) return {best.begin(), best.end()};
    const Key key = *next;
    expanded.insert(key);
    for (const NodeId id : rows[core::key_id(key)][layer]) {
      if (!visited.insert(id).second) continue;
      best.insert(key_of(scorer, query, id));
      if (best.size() > ef) best.erase(std::prev(best.end()));
    }
  }
}

TEST(BeamSearch, EqualsANaiveSearchThatForgetsNothing) {
  for (const test::Shape shape :
       {test::Shape::random, test::Shape::clustered, test::Shape::duplicate}) {
    const std::size_t n = test::scaled(6000, 1500);
    const test::Matrix data = test::make_data(shape, n, 6);
    GraphBuilder builder(test::make_params(6, 4, 30, 512), data, 2);
    while (builder.graph.size() < n) {
      const core::Epoch& epoch = builder.graph.epoch();
      builder.commit(builder.propose(epoch, builder.graph.size(),
                                     std::min<NodeId>(epoch.end, static_cast<NodeId>(n))));
      builder.seal_if_due();
    }
    const test::Rows rows = test::all_rows(builder.graph);
    const Scorer scorer(builder.vectors, for_metric(choose_kernels(), Metric::l2sq));
    const core::EntryPoint entry = builder.graph.entry_point();
    Scratch scratch;
    for (std::size_t q = 0; q < 60; ++q) {
      std::vector<float> query(builder.vectors.stride());
      for (std::size_t e = 0; e < 6; ++e) query[e] = test::hashed_float(77, q, e);
      for (const std::size_t ef : {1u, 2u, 10u, 100u, 1500u}) {
        for (const std::uint32_t layer : {0u, 1u}) {
          const auto read = [&](NodeId node, NodeId* out) {
            return builder.graph.read(node, layer, out);
          };
          beam_search(
              scorer, query.data(), key_of(scorer, query.data(), entry.node), ef, read,
              [](NodeId) {}, scratch);
          std::vector<Key> found;
          for (std::size_t i = 0; i < scratch.list.size(); ++i) {
            EXPECT_EQ(scratch.list[i] & core::kExpanded, core::kExpanded);
            found.push_back(scratch.list[i] & ~core::kExpanded);
          }
          ASSERT_EQ(found, naive_search(rows, layer, scorer, query.data(), entry.node, ef))
              << "ef " << ef << " layer " << layer;
        }
      }
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
    std::vector<float> query(builder.vectors.stride());
    for (std::size_t e = 0; e < 4; ++e) query[e] = test::hashed_float(5, q, e);
    Key closest = key_of(scorer, query.data(), builder.graph.entry_point().node);
    for (std::uint32_t layer = builder.graph.entry_point().level + 1; layer-- > 0;) {
      const auto read = [&](NodeId node, NodeId* out) {
        return builder.graph.read(node, layer, out);
      };
      const Key from = closest;
      closest = greedy_descent(scorer, query.data(), from, read, scratch);
      ASSERT_LE(closest, from);
      for (const NodeId id : rows[core::key_id(closest)][layer]) {
        ASSERT_LT(closest, key_of(scorer, query.data(), id));
      }
    }
  }
}

}  // namespace
}  // namespace concord::cpu
