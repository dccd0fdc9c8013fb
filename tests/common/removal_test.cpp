// Removal keeps every invariant whatever is proposed, and at every step: arbitrary legal proposals,
// edges and scores, an audit after every operation.

#include <algorithm>
#include <set>

#include "common/build/committer.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using core::kNoNode;
using core::NodeId;
using Habit = ArbitraryProposer::Habit;

/// A life of insertions, removals, replacements and flushes, drawn by a seed.
class Life {
 public:
  Life(const IndexParams& params, Habit habit, std::uint64_t seed)
      : seed_(seed), graph_(params), committer_(graph_, stats_), proposer_(graph_, habit, seed) {}

  void step(std::uint64_t removals_of_100) {
    const std::uint64_t kind = draw(100);
    if (kind < removals_of_100 && !alive_.empty()) {
      remove(draw_alive());
    } else if (kind < removals_of_100 + 5 && !alive_.empty()) {
      const NodeId old = draw_alive();
      insert(old);
    } else if (kind >= 98) {
      flush();
    } else {
      insert(kNoNode);
    }
    check();
  }

  void remove(NodeId node) {
    graph_.reserve_deaths(1);
    graph_.remove(node);
    alive_.erase(node);
    seal_if_due();
  }
  void insert(NodeId old) {
    const NodeId node = graph_.size();
    graph_.announce(node + 1);
    if (old != kNoNode) {
      graph_.reserve_deaths(1);
      graph_.announce_replacements({&old, 1});
    }
    proposer_.start(graph_.epoch(), node, node + 1, {});
    committer_.commit(*proposer_.finish({}));
    graph_.discard_announced();
    alive_.erase(old);
    alive_.insert(node);
    seal_if_due();
  }
  void flush() {
    if (!graph_.pending().empty()) committer_.seal(proposer_);
    EXPECT_TRUE(graph_.pending().empty());
  }

  void check() {
    const AuditReport report = core::audit(graph_);
    ASSERT_TRUE(report.ok) << "after operation " << graph_.insertions() + graph_.removals() << ": "
                           << report.messages[0];
    ASSERT_EQ(graph_.living(), alive_.size());
    ASSERT_EQ(report.nodes, graph_.living() + graph_.pending().size());
    ASSERT_LE(graph_.pending().size(), graph_.params().epoch_limit);
    for (NodeId node = 0; node < graph_.size(); ++node) {
      ASSERT_EQ(graph_.tombstones().gone(node) == kNoNode, alive_.contains(node)) << node;
    }
    core::ThreadPool pool(1);
    ASSERT_TRUE(core::is_sound(graph_, pool));
  }

  [[nodiscard]] const core::Graph& graph() const { return graph_; }
  [[nodiscard]] std::size_t alive() const { return alive_.size(); }
  [[nodiscard]] const BuildStats& stats() const { return stats_; }
  NodeId draw_alive() {
    return *std::next(alive_.begin(), static_cast<std::ptrdiff_t>(draw(alive_.size())));
  }
  [[nodiscard]] NodeId oldest() const { return *alive_.begin(); }

 private:
  void seal_if_due() {
    if (committer_.seal_is_due()) committer_.seal(proposer_);
  }
  std::uint64_t draw(std::uint64_t below) { return hash(seed_ + 77, ++drawn_) % below; }

  std::uint64_t seed_;
  std::uint64_t drawn_ = 0;
  core::Graph graph_;
  BuildStats stats_;
  core::Committer committer_;
  ArbitraryProposer proposer_;
  std::set<NodeId> alive_;
};

class RemovalWithArbitraryProposals : public testing::TestWithParam<Habit> {};

TEST_P(RemovalWithArbitraryProposals, KeepsEveryInvariantAfterEveryOperation) {
  for (const std::uint32_t M : {2u, 3u, 4u, 16u}) {
    for (const std::uint32_t epoch_limit : {1u, 2u, 7u, 64u, 4096u}) {
      for (std::uint64_t seed = 1; seed <= scaled(4); ++seed) {
        SCOPED_TRACE(testing::Message()
                     << "M " << M << ", epoch_limit " << epoch_limit << ", seed " << seed);
        IndexParams params = make_params(1, M, 10, epoch_limit);
        params.seed = seed;
        Life life(params, GetParam(), seed);
        for (int i = 0; i < 150 && !HasFatalFailure(); ++i) life.step(10);
        for (int i = 0; i < 300 && !HasFatalFailure(); ++i) life.step(48);
        for (int i = 0; i < 100 && !HasFatalFailure(); ++i) life.step(85);
        if (HasFatalFailure()) return;
      }
    }
  }
}

// A window that slides over the order of insertion: each oldest node is the anchor of others.
TEST_P(RemovalWithArbitraryProposals, KeepsEveryInvariantOfAWindow) {
  for (const std::uint32_t M : {2u, 3u, 16u}) {
    for (const std::uint32_t epoch_limit : {7u, 64u}) {
      SCOPED_TRACE(testing::Message() << "M " << M << ", epoch_limit " << epoch_limit);
      Life life(make_params(1, M, 10, epoch_limit), GetParam(), 5);
      for (int i = 0; i < 400 && !HasFatalFailure(); ++i) {
        life.insert(kNoNode);
        if (life.alive() > 100) life.remove(life.oldest());
        life.check();
      }
      if (HasFatalFailure()) return;
      EXPECT_GT(life.stats().repair.count, 200u);
    }
  }
}

TEST_P(RemovalWithArbitraryProposals, OfAllNodesLeavesAnEmptyGraphThatGrowsAgain) {
  for (const NodeId n : {1u, 2u, 3u, 5u, 40u}) {
    for (const std::uint32_t epoch_limit : {1u, 4u, 4096u}) {
      SCOPED_TRACE(testing::Message() << n << " nodes, epoch_limit " << epoch_limit);
      Life life(make_params(1, 3, 10, epoch_limit), GetParam(), n);
      for (int round = 0; round < 3; ++round) {
        for (NodeId i = 0; i < n; ++i) life.insert(kNoNode), life.check();
        while (life.alive() > 0 && !HasFatalFailure()) life.remove(life.draw_alive()), life.check();
        if (round != 1) life.flush();
        life.check();
        if (HasFatalFailure()) return;
        EXPECT_EQ(life.graph().live().entry.node, kNoNode);
      }
      EXPECT_EQ(life.graph().insertions(), 3 * n);
      EXPECT_EQ(life.graph().removals(), 3 * n);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Habits, RemovalWithArbitraryProposals,
                         testing::Values(Habit::anything, Habit::first_node, Habit::first_few,
                                         Habit::one_recent, Habit::one_random, Habit::hubs,
                                         Habit::mixed));

}  // namespace
}  // namespace concord::test
