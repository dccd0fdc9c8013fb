// The Committer keeps every invariant whatever is proposed: arbitrary legal proposals and scores,
// an audit after every single insertion.

#include "common/committer.hpp"

#include <stdexcept>
#include <string>
#include <tuple>

#include "tests/support/graph_builder.hpp"
#include "tests/support/relaying_proposer.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using core::NodeId;
using Habit = ArbitraryProposer::Habit;

struct Outcome {
  BuildStats stats;
  Rows rows;
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
  outcome.rows = all_rows(graph);
}

using Case = std::tuple<Habit, std::uint32_t, std::uint32_t>;
class CommitterWithArbitraryProposals : public testing::TestWithParam<Case> {};

TEST_P(CommitterWithArbitraryProposals, KeepsEveryInvariantAfterEveryInsertion) {
  const auto [habit, M, epoch_limit] = GetParam();
  for (std::uint64_t seed = 1; seed <= scaled(8); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Outcome outcome;
    IndexParams params = make_params(1, M, 10, epoch_limit);
    params.seed = seed;
    insert_arbitrarily(params, 300, habit, seed, 1, outcome);
    if (HasFatalFailure()) return;
  }
}

class CommitterOfALargerGraph : public CommitterWithArbitraryProposals {};

TEST_P(CommitterOfALargerGraph, KeepsEveryInvariantAtEverySeal) {
  const auto [habit, M, epoch_limit] = GetParam();
  Outcome outcome;
  insert_arbitrarily(make_params(1, M, 10, epoch_limit), static_cast<NodeId>(scaled(3000, 500)),
                     habit, 99, 997, outcome);
}

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
    EXPECT_TRUE(graph.table(0).touched().empty());
    EXPECT_TRUE(graph.table(1).touched().empty());
  }
  expect_sound(core::audit(graph));
}

constexpr Habit kHabits[] = {Habit::anything,   Habit::first_node, Habit::first_few,
                             Habit::one_recent, Habit::one_random, Habit::hubs,
                             Habit::mixed};

std::string name_of(const testing::TestParamInfo<Case>& test) {
  const char* const names[] = {"anything",   "first_node", "first_few", "one_recent",
                               "one_random", "hubs",       "mixed"};
  const auto [habit, M, epoch_limit] = test.param;
  return std::string(names[static_cast<int>(habit)]) + "_M" + std::to_string(M) + "_epoch" +
         std::to_string(epoch_limit);
}

INSTANTIATE_TEST_SUITE_P(Habits, CommitterWithArbitraryProposals,
                         testing::Combine(testing::ValuesIn(kHabits),
                                          testing::Values(2u, 3u, 4u, 16u),
                                          testing::Values(1u, 7u, 64u, 4096u)),
                         name_of);
// Epochs of one seal as often at small sizes.
INSTANTIATE_TEST_SUITE_P(Habits, CommitterOfALargerGraph,
                         testing::Combine(testing::ValuesIn(kHabits),
                                          testing::Values(2u, 3u, 4u, 16u),
                                          testing::Values(7u, 64u, 4096u)),
                         name_of);

}  // namespace
}  // namespace concord::test
