// A reader beside the writer may see the graph at any moment, and the writer may be kept from going
// on there for as long as the system likes: searches repeat themselves on the strength of a graph
// that is whole even then (cpu/searcher.cpp). Here the processor stops after every instruction of
// a commit or a seal and the graph is looked at.

#include <csignal>
#include <vector>

#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

#if defined(__SANITIZE_THREAD__)
#define CONCORD_TEST_CAN_STEP 0  // its runtime, too, would be interrupted, and entered again
#else
#define CONCORD_TEST_CAN_STEP 1
#endif

namespace concord::test {
namespace {

using core::kNoNode;
using core::NodeId;
using Habit = ArbitraryProposer::Habit;

const core::Graph* watched = nullptr;
std::uint64_t moments = 0;
NodeId lost = kNoNode;  // the first node seen without a link to an earlier one

bool links_to(const core::LiveView& view, NodeId node, std::uint32_t layer, NodeId other) {
  bool found = false;
  watched->visit_live(view, node, layer,
                      [&](NodeId id, bool shown) { found |= shown && id == other; });
  return found;
}

// Every node but the layer's first has a link to an earlier one, and that one has it, too.
void look(int) {
  ++moments;
  const core::LiveView view = watched->live();
  NodeId first[core::kMaxLevel + 1];
  std::fill(std::begin(first), std::end(first), kNoNode);
  for (NodeId node = 0; node < view.size && lost == kNoNode; ++node) {
    for (std::uint32_t layer = 0; layer <= watched->level(node); ++layer) {
      if (first[layer] == kNoNode) {
        first[layer] = node;
        continue;
      }
      bool anchored = false;
      watched->visit_live(view, node, layer, [&](NodeId id, bool shown) {
        anchored |= shown && id < node && !anchored && links_to(view, id, layer, node);
      });
      if (!anchored) lost = node;
    }
  }
}

/// Lets look() see every moment of a scope: the processor's trap flag.
class Stepping {
 public:
  explicit Stepping(const core::Graph& graph) {
    watched = &graph;
    struct sigaction action = {};
    action.sa_handler = look;
    sigaction(SIGTRAP, &action, &before_);
    asm volatile("sub $128, %%rsp; pushfq; orq $0x100, (%%rsp); popfq; add $128, %%rsp" ::
                     : "memory", "cc");
  }
  ~Stepping() {
    asm volatile("sub $128, %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; add $128, %%rsp" ::
                     : "memory", "cc");
    sigaction(SIGTRAP, &before_, nullptr);
  }
  Stepping(const Stepping&) = delete;
  Stepping& operator=(const Stepping&) = delete;

 private:
  struct sigaction before_;
};

class EveryMoment : public testing::TestWithParam<Habit> {};

TEST_P(EveryMoment, OfACommitAndASealLeavesTheGraphWhole) {
  if (!CONCORD_TEST_CAN_STEP) GTEST_SKIP() << "no stepping beside a sanitizer's threads";
  constexpr NodeId kNodes = 20;
  lost = kNoNode;
  moments = 0;
  std::uint64_t reanchored = 0;
  for (std::uint64_t round = 0; round < scaled(1); ++round) {
    IndexParams params = make_params(2, 2, 10, 8);
    params.seed = round;
    GraphBuilder built(params, make_data(Shape::random, kNodes, 2));
    ArbitraryProposer proposer(built.graph, GetParam(), round);
    while (built.graph.size() < kNodes) {
      const NodeId node = built.graph.size();
      proposer.start(built.graph.epoch(), node, node + 1, {});
      const core::ProposalBatch& batch = *proposer.finish({});
      const Stepping stepping(built.graph);
      built.committer.commit(batch);
      if (built.committer.seal_is_due()) built.committer.seal(proposer);
    }
    reanchored += built.stats.reanchored;
    ASSERT_EQ(lost, kNoNode) << "had no anchor at one of " << moments << " moments";
  }
  if (moments == 0) GTEST_SKIP() << "this machine does not step";
  EXPECT_GT(reanchored, 0u) << "no seal moved a child";
}

INSTANTIATE_TEST_SUITE_P(Habits, EveryMoment, testing::Values(Habit::first_node, Habit::hubs));

}  // namespace
}  // namespace concord::test
