// The Committer keeps every invariant whatever is proposed: arbitrary legal proposals and scores,
// an audit after every single insertion.

#include "common/build/committer.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/graph_builder.hpp"
#include "tests/support/relaying_proposer.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using core::NodeId;
using Habit = ArbitraryProposer::Habit;

struct Outcome {
  BuildStats stats;
  Links lists;
};

// Inserts n nodes one by one with arbitrary proposals; audits every `audit_every` insertions and
// around every seal.
void insert_arbitrarily(const IndexParams& params, NodeId n, Habit habit, std::uint64_t seed,
                        NodeId audit_every, Outcome& outcome) {
  core::Graph graph(params);
  core::Committer committer(graph, outcome.stats);
  ArbitraryProposer proposer(graph, habit, seed);
  graph.announce(n);
  while (graph.size() < n) {
    const NodeId node = graph.size();
    proposer.start(graph.epoch(), node, node + 1, {});
    committer.commit(*proposer.finish({}));
    const bool due = committer.seal_is_due();
    if (due || node % audit_every == 0) {
      const AuditReport report = core::audit(graph);
      ASSERT_TRUE(report.ok) << "after node " << node << ": " << report.messages[0];
    }
    if (!due) continue;
    committer.seal(proposer);
    const AuditReport report = core::audit(graph);
    ASSERT_TRUE(report.ok) << "after the seal behind node " << node << ": " << report.messages[0];
  }
  outcome.lists = all_links(graph);
}

// A test for each habit of the proposals; M and epoch_limit vary within.
class CommitterWithArbitraryProposals : public testing::TestWithParam<Habit> {
 protected:
  static void insert_with_seeds(Habit habit, std::uint32_t M, std::uint32_t epoch_limit) {
    for (std::uint64_t seed = 1; seed <= scaled(8); ++seed) {
      SCOPED_TRACE(testing::Message() << "seed " << seed);
      Outcome outcome;
      IndexParams params = make_params(1, M, 10, epoch_limit);
      params.seed = seed;
      insert_arbitrarily(params, 300, habit, seed, 1, outcome);
      if (HasFatalFailure()) return;
    }
  }
};

TEST_P(CommitterWithArbitraryProposals, KeepsEveryInvariantAfterEveryInsertion) {
  for (const std::uint32_t M : {2u, 3u, 4u, 16u}) {
    for (const std::uint32_t epoch_limit : {1u, 7u, 64u, 4096u}) {
      SCOPED_TRACE(testing::Message() << "M " << M << ", epoch_limit " << epoch_limit);
      insert_with_seeds(GetParam(), M, epoch_limit);
    }
  }
}

// Epochs of one seal as often at small sizes.
TEST_P(CommitterWithArbitraryProposals, KeepsEveryInvariantOfALargerGraphAtEverySeal) {
  for (const std::uint32_t M : {2u, 3u, 4u, 16u}) {
    for (const std::uint32_t epoch_limit : {7u, 64u, 4096u}) {
      SCOPED_TRACE(testing::Message() << "M " << M << ", epoch_limit " << epoch_limit);
      Outcome outcome;
      insert_arbitrarily(make_params(1, M, 10, epoch_limit), static_cast<NodeId>(scaled(3000, 500)),
                         GetParam(), 99, 997, outcome);
    }
  }
}

/// The links of a batch, from its proposals and what the committer says of them.
core::ProposalBatch committed_links(core::ProposalBatch batch, const core::LinkChanges& changes) {
  for (std::size_t j = 0; j < changes.places.size(); ++j) {
    batch.ids.at(changes.places[j]) = changes.ids[j];
  }
  return batch;
}

/// Appends the links of a batch, node by node and layer by layer.
void append_links(const core::ProposalBatch& batch, Links& lists) {
  for (NodeId node = batch.begin; node < batch.end; ++node) {
    for (std::uint32_t layer = 0; layer < lists[node].size(); ++layer) {
      const NodeId* const ids = &batch.ids[batch.number(node, layer) * batch.M];
      for (std::uint32_t place = 0; place < batch.M; ++place) {
        if (ids[place] == core::kNoNode) continue;
        lists[node][layer].push_back(ids[place]);
        lists[ids[place]][layer].push_back(node);
      }
    }
  }
}

/// Lists of a seal by its own account, as often as it names them.
std::vector<core::ListIndex> cut_lists(const core::LinkTable& table) {
  std::vector<core::ListIndex> lists;
  table.for_each_cut([&](core::ListIndex list) { lists.push_back(list); });
  std::sort(lists.begin(), lists.end());
  return lists;
}

// A device makes a version of the graph from the one before by this account alone.
TEST_P(CommitterWithArbitraryProposals, GivesAFullAccountOfItsChanges) {
  for (const std::uint32_t M : {2u, 3u, 16u}) {
    for (const std::uint32_t epoch_limit : {7u, 64u, 4096u}) {
      SCOPED_TRACE(testing::Message() << "M " << M << ", epoch_limit " << epoch_limit);
      core::Graph graph(make_params(1, M, 10, epoch_limit));
      BuildStats stats;
      core::Committer committer(graph, stats);
      ArbitraryProposer proposer(graph, GetParam(), 7);
      graph.announce(static_cast<NodeId>(scaled(1500, 400)));
      while (graph.epoch().end <= graph.announced()) {
        const core::Epoch open = graph.epoch();
        Links expected = all_links(graph);
        proposer.start(open, open.begin, open.end, {});
        const core::ProposalBatch& batch = *proposer.finish({});
        core::LinkChanges changes;
        committer.commit(batch, &changes);
        expected.resize(open.end);
        for (NodeId node = open.begin; node < open.end; ++node) {
          expected[node].resize(graph.level(node) + 1);
        }
        append_links(committed_links(batch, changes), expected);
        const Links open_lists = all_links(graph);
        ASSERT_EQ(open_lists, expected) << "epoch " << open.number;

        committer.seal(proposer);
        const Links sealed = all_links(graph);
        std::vector<core::ListIndex> changed[2];
        for (NodeId node = 0; node < graph.size(); ++node) {
          for (std::uint32_t layer = 0; layer < sealed[node].size(); ++layer) {
            if (sealed[node][layer] == open_lists[node][layer]) continue;
            changed[layer == 0 ? 0 : 1].push_back(graph.list(node, layer));
          }
        }
        EXPECT_EQ(cut_lists(graph.base()), changed[0]) << "epoch " << open.number;
        EXPECT_EQ(cut_lists(graph.upper()), changed[1]) << "epoch " << open.number;
      }
    }
  }
}

std::string name_of(const testing::TestParamInfo<Habit>& test) {
  return ArbitraryProposer::name_of(test.param);
}

INSTANTIATE_TEST_SUITE_P(Habits, CommitterWithArbitraryProposals,
                         testing::ValuesIn(ArbitraryProposer::kAllHabits), name_of);

// What the rare chains do, where all but the last nodes are full of only children: a star in which
// every node hangs from the first alone.
TEST(CommitterReanchoring, SpreadsAStarOverTheGraph) {
  for (const std::uint32_t M : {2u, 3u}) {
    Outcome outcome;
    insert_arbitrarily(make_params(1, M, 10, 4096), 2000, Habit::first_node, 5, 500, outcome);
    EXPECT_GT(outcome.stats.refused_links, 0u);
    EXPECT_GT(outcome.stats.reanchored, 100u);
    EXPECT_EQ(outcome.stats.commit.count, 2000u);
  }
}

// What a proposer throws when it is told of a seal (from the caller's log, say) comes too late to
// undo it: the next epoch begins as after any other.
TEST(Committer, ASealIsWholeAlsoWhereTheProposerThrowsInTheEnd) {
  struct Fails final : RelayingProposer {
    using RelayingProposer::RelayingProposer;
    void sealed() override { throw std::runtime_error("told"); }
  };
  core::Graph graph(make_params(1, 2, 10, 64));
  BuildStats stats;
  core::Committer committer(graph, stats);
  ArbitraryProposer proposer(graph, Habit::hubs, 3);
  Fails fails(proposer);
  graph.announce(300);
  while (graph.size() < 300) {
    const NodeId node = graph.size();
    proposer.start(graph.epoch(), node, node + 1, {});
    committer.commit(*proposer.finish({}));
    if (!committer.seal_is_due()) continue;
    const std::uint32_t sealed = graph.epoch().number;
    EXPECT_THROW(committer.seal(fails), std::runtime_error);
    EXPECT_EQ(graph.epoch().number, sealed + 1);
    EXPECT_TRUE(graph.base().touched().empty());
    EXPECT_TRUE(graph.upper().touched().empty());
  }
  expect_sound(core::audit(graph));
}

}  // namespace
}  // namespace concord::test
