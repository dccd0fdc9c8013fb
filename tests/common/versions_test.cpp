// Sealed versions: proposals of epoch k read G_{k-2}, whether epoch k-1 is not begun, half
// committed or sealed by then. sealed_lists_test.cpp reads them beside the writer.

#include "common/graph/graph.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::core {
namespace {

using test::GraphBuilder;
using test::Links;
using test::Shape;

// All lists as `version` has them; order within a list included.
Links sealed_rows(const Graph& graph, const SealedVersion& version) {
  Links lists(version.end);
  std::vector<NodeId> ids(kMaxListCapacity);
  for (NodeId node = 0; node < version.end; ++node) {
    for (std::uint32_t layer = 0; layer <= graph.level(node); ++layer) {
      const std::uint32_t n = graph.read_sealed_list(version, graph.table_of(layer),
                                                     graph.list(node, layer), ids.data());
      lists[node].emplace_back(ids.begin(), ids.begin() + n);
    }
  }
  return lists;
}

// A test for each shape of the data; M and epoch_limit vary within.
class Versions : public testing::TestWithParam<Shape> {
 protected:
  static void compare(Shape shape, std::uint32_t M, std::uint32_t epoch_limit);
};

void Versions::compare(Shape shape, std::uint32_t M, std::uint32_t epoch_limit) {
  const auto n =
      static_cast<NodeId>(epoch_limit == 1 ? test::scaled(300, 200) : test::scaled(1200, 240));
  GraphBuilder builder(test::make_params(5, M, 12, epoch_limit), test::make_data(shape, n, 5));
  Graph& graph = builder.graph;
  Links before;  // G_{k-2}, k the epoch after the open one
  EntryPoint entry_before;
  Links sealed;  // G_{k-1} of the open epoch: all lists at the last seal
  EntryPoint entry_sealed;
  std::uint64_t copies_seen = 0;
  for (Epoch open = graph.epoch(); open.end <= n; open = graph.epoch()) {
    sealed = test::all_links(graph);
    entry_sealed = graph.entry_point();
    const auto expect_version = [&](const Epoch& epoch, const Links& lists,
                                    const EntryPoint& entry) {
      const SealedVersion version = graph.version_for(epoch);
      ASSERT_EQ(version.end, lists.size());
      ASSERT_EQ(version.entry.node, entry.node);
      ASSERT_EQ(version.entry.level, entry.level);
      ASSERT_EQ(sealed_rows(graph, version), lists) << "epoch " << epoch.number;
    };
    const Epoch next = open.next(epoch_limit);
    const NodeId next_end = std::min(next.end, n);
    const ProposalBatch batch = builder.propose(open, open.begin, open.end);

    expect_version(open, before, entry_before);
    expect_version(next, sealed, entry_sealed);
    const std::vector<NodeId> early = builder.propose(next, next.begin, next_end).ids;

    const NodeId half = open.begin + (open.end - open.begin) / 2;
    const ProposalBatch first = builder.propose(open, open.begin, half);
    EXPECT_TRUE(std::equal(first.ids.begin(), first.ids.end(), batch.ids.begin()));
    if (half > open.begin) builder.commit(first);
    expect_version(open, before, entry_before);
    expect_version(next, sealed, entry_sealed);
    const ProposalBatch second = builder.propose(open, half, open.end);
    EXPECT_TRUE(std::equal(second.ids.rbegin(), second.ids.rend(), batch.ids.rbegin()));
    EXPECT_EQ(builder.propose(next, next.begin, next_end).ids, early);

    builder.commit(second);
    expect_version(next, sealed, entry_sealed);
    EXPECT_EQ(builder.propose(next, next.begin, next_end).ids, early);

    builder.seal_if_due();
    ASSERT_EQ(graph.epoch().number, next.number);
    expect_version(next, sealed, entry_sealed);
    EXPECT_EQ(builder.propose(next, next.begin, next_end).ids, early);
    copies_seen += graph.base().copied().size() + graph.upper().copied().size();
    before = sealed;
    entry_before = entry_sealed;
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(copies_seen, 0u) << "no seal has cut a list: the data do not test this";
}

TEST_P(Versions, AreTheSameBeforeDuringAndAfterTheEpochBetween) {
  for (const std::uint32_t M : {2u, 3u, 8u}) {
    for (const std::uint32_t epoch_limit : {1u, 7u, 64u, 4096u}) {
      SCOPED_TRACE(testing::Message() << "M " << M << ", epoch_limit " << epoch_limit);
      compare(GetParam(), M, epoch_limit);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Data, Versions,
                         testing::Values(Shape::random, Shape::clustered, Shape::constant,
                                         Shape::duplicate));

// Whatever the seal does to the lists, re-anchoring included.
TEST(VersionsOfArbitraryGraphs, AreTheSameBeforeDuringAndAfterTheEpochBetween) {
  using Habit = test::ArbitraryProposer::Habit;
  for (const Habit habit : {Habit::anything, Habit::first_node, Habit::first_few, Habit::one_random,
                            Habit::hubs, Habit::mixed}) {
    for (const std::uint32_t M : {2u, 3u, 4u}) {
      const IndexParams params = test::make_params(1, M, 10, 64);
      const auto n = static_cast<NodeId>(test::scaled(900, 300));
      BuildStats stats;
      Graph graph(params);
      Committer committer(graph, stats);
      test::ArbitraryProposer proposer(graph, habit, M);
      graph.announce(n);
      Links before;
      Links sealed;
      while (graph.size() < n) {
        const NodeId node = graph.size();
        if (node == graph.epoch().begin) {
          before = sealed;
          sealed = test::all_links(graph);
        }
        const auto check = [&](const Epoch& epoch, const Links& lists) {
          ASSERT_EQ(sealed_rows(graph, graph.version_for(epoch)), lists)
              << "habit " << static_cast<int>(habit) << " M " << M << " node " << node;
        };
        if (node % 5 == 0 || node == graph.epoch().begin) {
          check(graph.epoch(), before);
          check(graph.epoch().next(params.epoch_limit), sealed);
        }
        if (testing::Test::HasFatalFailure()) return;
        proposer.start(graph.epoch(), node, node + 1, {});
        committer.commit(*proposer.finish({}));
        if (committer.seal_is_due()) committer.seal(proposer);
      }
    }
  }
}

}  // namespace
}  // namespace concord::core
