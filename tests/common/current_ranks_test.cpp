// CurrentRanks are the Ranks of a graph that goes on losing nodes, and lead back to the nodes.

#include "common/graph/current_ranks.hpp"

#include "common/graph/ranks.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord::core {
namespace {

/// Unlinks about one of `of` nodes that live.
void unlink_some(Graph& graph, std::uint64_t of, std::uint64_t seed) {
  graph.reserve_deaths(graph.size());
  for (NodeId node = 0; node < graph.size(); ++node) {
    if (graph.tombstones().gone(node) == kNoNode && test::hash(seed, node) % of == 0) {
      graph.remove(node);
    }
  }
  if (graph.pending().empty()) return;
  graph.begin_unlinking();
  graph.end_unlinking();
}

TEST(CurrentRanks, AreTheRanksOfTheGraphWhateverWasUnlinked) {
  std::size_t unlinked = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    Graph graph(IndexParams{.dimension = 1, .M = 2});
    const auto size = static_cast<NodeId>(1 + test::hash(seed, 1) % 400);
    graph.announce(size);
    graph.restore(size, graph.state());
    CurrentRanks current;
    for (std::uint64_t round = 0; round < 5; ++round) {
      unlink_some(graph, 1 + test::hash(seed, 2, round) % 9, test::hash(seed, 3, round));
      current.follow(graph);
      const Ranks ranks(graph);
      for (NodeId rank = 0; rank < ranks.size(); ++rank) {
        NodeId id = ranks.node(rank);
        ASSERT_EQ(current.node(rank), id);
        current.to_ranks({&id, 1});
        ASSERT_EQ(id, rank);
      }
      NodeId others[] = {size, size + 7, kNoNode};  // nodes to come
      current.to_ranks(others);
      EXPECT_EQ(others[0], ranks.size());
      EXPECT_EQ(others[1], ranks.size() + 7);
      EXPECT_EQ(others[2], kNoNode);
      EXPECT_EQ(current.node(others[1]), size + 7);
      EXPECT_EQ(current.node(kNoNode - 1), kNoNode) << "no index can hold it";
    }
    unlinked += graph.unlinked();
  }
  EXPECT_GT(unlinked, 1000u);
}

}  // namespace
}  // namespace concord::core
