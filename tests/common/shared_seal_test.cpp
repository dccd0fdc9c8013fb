// A seal whose lists several threads cut does what one thread does, to the order of ids in a list:
// whatever is proposed and scored, in every order that CutOrder allows, and with real threads.

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/build/committer.hpp"
#include "common/build/cutters.hpp"
#include "tests/support/any_order.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/relaying_proposer.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using core::ListIndex;
using core::NodeId;
using Habit = ArbitraryProposer::Habit;

/// Threads of a pool for every seal, however small.
class EverySeal final : public core::Cutters {
 public:
  explicit EverySeal(unsigned threads) : pool_(threads), cutters_(pool_) {}
  [[nodiscard]] bool take(std::size_t lists) const noexcept override { return lists > 0; }
  void run(core::CutOrder& order,
           const std::function<void(std::uint32_t group)>& cut) noexcept override {
    cutters_.run(order, cut);
  }

 private:
  core::ThreadPool pool_;
  core::PoolCutters cutters_;
};

/// All that anything reads of a graph and of the account of its seals, as one number.
class State {
 public:
  void take(const core::Graph& graph) {
    for (const core::LinkTable* const table : graph.tables()) {
      for (ListIndex list = 0; list < table->size(); ++list) take(*table, list);
    }
  }
  void take_account(const core::Graph& graph) {
    for (const core::LinkTable* const table : graph.tables()) {
      for (const ListIndex list : table->touched()) mix(list);
      mix(table->touched().size());
      table->for_each_cut([&](ListIndex list) { mix(list); });
    }
  }
  void mix(std::uint64_t value) { number_ = hash(number_, value); }
  [[nodiscard]] std::uint64_t number() const { return number_; }

 private:
  void take(const core::LinkTable& table, ListIndex list) {
    const core::ListHeader& header = table.header(list);
    mix(header.degree);
    mix(header.anchors);
    mix(header.touched_epoch);
    mix(header.overflow == 0 ? 0 : 1);
    std::array<NodeId, core::kMaxListCapacity> ids;
    for (const NodeId id : table.ids(list, ids.data())) mix(id);
    if (!table.has_sealed_copy(list)) return;
    for (const NodeId id : table.sealed_copy(list)) mix(id);
    mix(1);
  }

  std::uint64_t number_ = 0;
};

/// Takes the state at the end of each seal.
class Watcher final : public RelayingProposer {
 public:
  Watcher(core::RepairingProposer& to, const core::Graph& graph)
      : RelayingProposer(to), graph_(graph) {}
  const core::ListScores& score(const core::OverfullLists& batch) override {
    lists += batch.lists.size();
    return RelayingProposer::score(batch);
  }
  void sealed() override {
    RelayingProposer::sealed();
    State state;
    state.take(graph_);
    state.take_account(graph_);
    states.push_back(state.number());
  }

  std::vector<std::uint64_t> states;  ///< one for each seal
  std::size_t lists = 0;              ///< scored so far

 private:
  const core::Graph& graph_;
};

struct History {
  std::vector<std::uint64_t> states;
  std::size_t lists = 0;
  std::uint64_t cuts = 0;
  std::uint64_t reanchored = 0;

  friend bool operator==(const History&, const History&) = default;
};

struct Case {
  Habit habit;
  std::uint32_t M;
  std::uint32_t epoch_limit;
  NodeId nodes;
  std::uint64_t seed;
};

// Every third operation from the middle on is a removal where some are wanted.
History live(const Case& of, bool with_removals, core::Cutters* cutters) {
  IndexParams params = make_params(1, of.M, 10, of.epoch_limit);
  params.seed = of.seed;
  core::Graph graph(params);
  BuildStats stats;
  core::Committer committer(graph, stats, cutters);
  ArbitraryProposer arbitrary(graph, of.habit, of.seed);
  Watcher proposer(arbitrary, graph);
  graph.announce(of.nodes);
  graph.reserve_deaths(of.nodes);
  while (graph.size() < of.nodes) {
    const NodeId node = graph.size();
    proposer.start(graph.epoch(), node, node + 1, {});
    committer.commit(*proposer.finish({}));
    if (committer.seal_is_due()) committer.seal(proposer);
    if (!with_removals || node < of.nodes / 2 || node % 3 != 0) continue;
    graph.remove(node / 3);
    if (committer.seal_is_due()) committer.seal(proposer);
  }
  State end;
  end.take(graph);
  proposer.states.push_back(end.number());
  expect_sound(core::audit(graph));
  return {proposer.states, proposer.lists, stats.seal.count, stats.reanchored};
}

class SharedSeal : public testing::TestWithParam<Habit> {};

TEST_P(SharedSeal, OfArbitraryProposalsDoesWhatOneThreadDoesInAnyOrder) {
  std::uint64_t early = 0;
  for (const std::uint32_t M : {2u, 3u, 4u, 16u}) {
    for (const std::uint32_t epoch_limit : {1u, 16u, 64u, 256u}) {
      for (std::uint64_t seed = 1; seed <= scaled(3); ++seed) {
        for (const bool with_removals : {false, true}) {
          SCOPED_TRACE(testing::Message() << "M " << M << ", epoch_limit " << epoch_limit
                                          << ", seed " << seed << ", removals " << with_removals);
          const Case of{GetParam(), M, epoch_limit, 400, seed};
          AnyOrder any(seed);
          ASSERT_EQ(live(of, with_removals, &any), live(of, with_removals, nullptr));
          early += any.early;
        }
      }
    }
  }
  EXPECT_GT(early, 0u) << "no group was cut before an earlier one";
}

std::string name_of(const testing::TestParamInfo<Habit>& test) {
  return ArbitraryProposer::name_of(test.param);
}

INSTANTIATE_TEST_SUITE_P(Habits, SharedSeal, testing::ValuesIn(ArbitraryProposer::kAllHabits),
                         name_of);

History build(Shape shape, std::uint32_t M, std::uint32_t epoch_limit, core::Cutters* cutters) {
  const auto n = static_cast<NodeId>(scaled(900, 300));
  GraphBuilder built(make_params(4, M, 16, epoch_limit), make_data(shape, n, 4), 1, cutters);
  Watcher proposer(built.proposer, built.graph);
  while (built.graph.size() < n) {
    const core::Epoch& epoch = built.graph.epoch();
    built.commit(built.propose(epoch, built.graph.size(), std::min(epoch.end, n)));
    if (built.committer.seal_is_due()) built.committer.seal(proposer);
  }
  State end;
  end.take(built.graph);
  proposer.states.push_back(end.number());
  expect_sound(built.audit());
  return {proposer.states, proposer.lists, built.stats.seal.count, built.stats.reanchored};
}

class SharedSealOfData : public testing::TestWithParam<Shape> {};

TEST_P(SharedSealOfData, DoesWhatOneThreadDoes) {
  for (const std::uint32_t M : {2u, 4u, 16u}) {
    for (const std::uint32_t epoch_limit : {1u, 32u, 512u}) {
      SCOPED_TRACE(testing::Message() << "M " << M << ", epoch_limit " << epoch_limit);
      const History alone = build(GetParam(), M, epoch_limit, nullptr);
      AnyOrder any(M);
      EXPECT_EQ(build(GetParam(), M, epoch_limit, &any), alone);
      for (const unsigned threads : {1u, 2u, 4u}) {
        EverySeal cutters(threads);
        EXPECT_EQ(build(GetParam(), M, epoch_limit, &cutters), alone) << threads << " threads";
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, SharedSealOfData, testing::ValuesIn(kAllShapes));

TEST(PoolCutters, LeaveSmallSealsAndPoolsOfOneThreadToTheCommitter) {
  core::ThreadPool one(1);
  core::ThreadPool two(2);
  core::PoolCutters cutters(one);
  EXPECT_FALSE(cutters.take(1000000));
  cutters.use(two);
  EXPECT_TRUE(cutters.take(core::PoolCutters::kFewest));
  EXPECT_FALSE(cutters.take(core::PoolCutters::kFewest - 1));
}

/// Lists of random nodes and neighbors among the first `nodes`.
core::OverfullLists random_lists(std::size_t count, NodeId nodes, std::uint64_t seed) {
  core::OverfullLists lists;
  std::uint64_t drawn = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto first = static_cast<std::uint32_t>(lists.ids.size());
    const auto size = static_cast<std::uint32_t>(5 + hash(seed, ++drawn) % 20);
    for (std::uint32_t j = 0; j < size; ++j) {
      lists.ids.push_back(static_cast<NodeId>(hash(seed, ++drawn) % nodes));
    }
    const auto node = static_cast<NodeId>(hash(seed, ++drawn) % nodes);
    lists.lists.push_back({node, i < count / 2 ? 0u : 1u, first, size});
  }
  return lists;
}

using Claims = std::set<std::pair<std::uint32_t, NodeId>>;

std::vector<Claims> claims_of_groups(const core::OverfullLists& lists, std::uint32_t groups) {
  std::vector<Claims> claims(groups);
  for (std::size_t i = 0; i < lists.lists.size(); ++i) {
    const core::OverfullList& list = lists.lists[i];
    Claims& of_group = claims[i / core::CutOrder::kGroup];
    of_group.emplace(list.layer, list.node);
    for (std::uint32_t j = 0; j < list.count; ++j) {
      of_group.emplace(list.layer, lists.ids[list.first + j]);
    }
  }
  return claims;
}

bool share(const Claims& a, const Claims& b) {
  return std::any_of(a.begin(), a.end(), [&](const auto& claim) { return b.contains(claim); });
}

TEST(CutOrder, AGroupWaitsForTheLastEarlierOneThatSharesAClaim) {
  core::CutOrder order;  // the same for all, as for the seals of a build
  std::size_t waits = 0;
  std::size_t needless = 0;
  std::size_t free = 0;
  for (std::uint64_t seed = 0; seed < scaled(60, 10); ++seed) {
    const std::size_t count = seed < 6 ? seed : hash(seed, 1) % 300;
    const auto nodes = static_cast<NodeId>(50 + hash(seed, 2) % (1 << (seed % 20)));
    const core::OverfullLists lists = random_lists(count, nodes, seed);
    order.plan(lists);
    ASSERT_EQ(order.groups(), (count + core::CutOrder::kGroup - 1) / core::CutOrder::kGroup);
    const std::vector<Claims> claims = claims_of_groups(lists, order.groups());
    for (std::uint32_t group = 0; group < order.groups(); ++group) {
      std::uint32_t after = 0;
      for (std::uint32_t other = 0; other < group; ++other) {
        if (share(claims[group], claims[other])) after = other + 1;
      }
      ASSERT_GE(order.after(group), after) << "group " << group << " of seed " << seed;
      ASSERT_LE(order.after(group), group);
      waits += after > 0 ? 1 : 0;
      free += order.after(group) < group ? 1 : 0;
      needless += order.after(group) > after ? 1 : 0;
    }
  }
  EXPECT_GT(waits, free / 10);
  EXPECT_GT(free, needless);
}

}  // namespace
}  // namespace concord::test
