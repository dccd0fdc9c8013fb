// Copies in a graph (common/graph/copies.hpp): chains under every kind of change, and every moment
// of commits, removals, seals and slides for a reader.

#include <algorithm>
#include <vector>

#include "common/contents/slide.hpp"
#include "common/search/entries.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/stepping.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using core::kNoNode;
using core::NodeId;
using Habit = ArbitraryProposer::Habit;

std::vector<NodeId> chain_of(const core::Copies& copies, NodeId first) {
  std::vector<NodeId> chain;
  for (NodeId id = copies.next(first); id != kNoNode; id = copies.next(id)) {
    EXPECT_EQ(copies.first(id), first);
    EXPECT_TRUE(copies.is_next(id));
    EXPECT_TRUE(chain.empty() || chain.back() < id);
    chain.push_back(id);
  }
  return chain;
}

// Any sequence of appending, removing, taking back and moving leaves the chains of a list of lists.
TEST(Copies, AreTheChainsThatWereMade) {
  constexpr NodeId kMost = 400;
  for (std::uint64_t round = 0; round < 20; ++round) {
    core::Copies copies;
    EXPECT_FALSE(copies.any());
    EXPECT_EQ(copies.first(3), kNoNode);
    EXPECT_EQ(copies.node_of(3), 3u);
    EXPECT_EQ(copies.next(3), kNoNode);
    copies.reserve(kMost);
    std::vector<std::vector<NodeId>> chains(5);
    NodeId size = 0;
    for (auto& chain : chains) chain.push_back(size++);
    for (std::uint64_t step = 0; size < kMost; ++step) {
      auto& chain = chains[hash(round, step) % chains.size()];
      const std::uint64_t kind = hash(round, step, 1) % 4;
      if (kind < 2) {
        copies.append(size, chain[0]);
        chain.push_back(size++);
      } else if (kind == 2 && chain.size() > 1) {
        const std::size_t place = 1 + hash(round, step, 2) % (chain.size() - 1);
        copies.remove(chain[place]);
        chain.erase(chain.begin() + static_cast<std::ptrdiff_t>(place));
      } else if (kind == 3 && chain.back() + 1 == size && chain.size() > 1) {
        copies.take_back(chain.back());
        EXPECT_FALSE(copies.is_copy(chain.back()));
        chain.pop_back();
        --size;
      }
      for (const auto& expected : chains) {
        ASSERT_EQ(chain_of(copies, expected[0]),
                  std::vector<NodeId>(expected.begin() + 1, expected.end()));
      }
    }
    // As a slide moves them: those that are left, in order, to the front.
    std::vector<bool> is_left(kMost);
    for (const auto& chain : chains) {
      for (const NodeId id : chain) is_left[id] = true;
    }
    NodeId to = 0;
    for (NodeId from = 0; from < kMost; ++from) {
      if (!is_left[from]) continue;
      if (to != from) copies.move(from, to);
      for (auto& chain : chains) std::replace(chain.begin(), chain.end(), from, to);
      ++to;
      for (const auto& expected : chains) {
        ASSERT_EQ(chain_of(copies, expected[0]),
                  std::vector<NodeId>(expected.begin() + 1, expected.end()));
      }
    }
  }
}

// A view from before the replacement of a copy has that copy, whatever else has died since.
TEST(Copies, AnOlderViewKeepsTheNodeOfACopyThatWasReplaced) {
  GraphBuilder built(make_params(2, 2, 10, 64), make_data(Shape::random, 8, 2));
  core::Graph& graph = built.graph;
  ArbitraryProposer proposer(graph, Habit::anything, 1);
  graph.discard_announced();
  const auto add = [&](NodeId node, NodeId first, NodeId old) {
    graph.announce(node + 1);
    graph.reserve_deaths(1);
    if (old != kNoNode) graph.announce_replacements({&old, 1});
    graph.reserve_copies();
    if (first != kNoNode) graph.announce_copy(node, first);
    proposer.start(graph.epoch(), node, node + 1, {});
    core::ProposalBatch batch = *proposer.finish({});
    if (first != kNoNode) std::fill(batch.ids.begin(), batch.ids.end(), kNoNode);
    built.committer.commit(batch);
    graph.discard_announced();
  };
  add(0, kNoNode, kNoNode);
  add(1, 0, kNoNode);
  add(2, 0, kNoNode);
  add(3, kNoNode, kNoNode);
  graph.reserve_deaths(1);
  graph.remove(0);
  add(4, kNoNode, 1);
  graph.reserve_deaths(1);
  graph.remove(2);
  EXPECT_FALSE(graph.is_dead(0, 4));
  EXPECT_TRUE(graph.is_dead(0, 5));
  EXPECT_EQ(graph.gone(0), 4u);
}

const core::Graph* watched = nullptr;
const core::LabelMap* labels = nullptr;
std::uint64_t moments = 0;
NodeId lost = kNoNode;  // the first vector that was not found once
constexpr NodeId kMost = 96;

// Who walks layer 0 at this moment meets nodes that stand for each vector that lives once.
template <class View>
void walk(const View& view) {
  if (view.entry.node == kNoNode) return;
  const core::Tombstones& tombstones = watched->tombstones();
  bool reached[kMost] = {};
  NodeId found[kMost] = {};  // by label, which is a number of insertion
  NodeId frontier[kMost];
  NodeId count = 0;
  reached[view.entry.node] = true;
  frontier[count++] = view.entry.node;
  while (count > 0) {
    const NodeId node = frontier[--count];
    if (watched->copies().is_copy(node)) lost = node;
    if (!watched->is_dead(node, view.size)) {
      core::for_each_entry(*watched, view, node, [&](NodeId id) {
        if (++found[labels->label(id)] > 1) lost = id;
        return true;
      });
    }
    watched->visit_live(view, node, 0, [&](NodeId id, bool shown) {
      if (!shown || reached[id]) return;
      reached[id] = true;
      frontier[count++] = id;
    });
  }
  const core::Hole hole = tombstones.hole();
  for (NodeId id = 0; id < view.size; ++id) {
    if (hole.contains(id)) continue;
    const bool lives = !tombstones.any() || !tombstones.is_dead(id, view.size);
    if (lives && found[labels->label(id)] != 1) lost = id;
  }
}

void look(int) {
  ++moments;
  if (lost != kNoNode) return;
  if (watched->is_sliding()) {
    walk(watched->sliding_view());
  } else {
    walk(watched->live());
  }
}

class CopiesAtEveryMoment : public testing::TestWithParam<Habit> {};

// Half of the vectors are copies; all but a few are removed or replaced, and then slide.
TEST_P(CopiesAtEveryMoment, EachVectorIsFoundOnce) {
  const NodeId nodes = full_scale() ? 28 : 16;
  moments = 0;
  lost = kNoNode;
  NodeId kept = 0;
  std::uint64_t slides = 0;
  for (std::uint64_t round = 0; round < scaled(2, 1); ++round) {
    IndexParams params = make_params(2, round % 2 == 0 ? 2 : 4, 10, 8);
    params.seed = round;
    GraphBuilder built(params, make_data(Shape::random, 2 * nodes, 2));
    core::Graph& graph = built.graph;
    ArbitraryProposer proposer(graph, GetParam(), round);
    watched = &graph;
    labels = &built.contents.labels;
    built.contents.labels.truncate(0);
    built.contents.labels.append({}, 2 * nodes, 0);
    graph.discard_announced();
    std::vector<NodeId> alive;
    const auto add = [&](NodeId node, NodeId old) {
      graph.announce(node + 1);
      graph.reserve_deaths(1);
      if (old != kNoNode) graph.announce_replacements({&old, 1});
      graph.reserve_copies();
      const NodeId like = alive.empty() ? kNoNode : alive[hash(round, node) % alive.size()];
      const NodeId first = like == kNoNode ? kNoNode : graph.copies().node_of(like);
      const bool is_copy = first != kNoNode && hash(round, node, 1) % 2 == 0;
      if (is_copy) graph.announce_copy(node, first);
      proposer.start(graph.epoch(), node, node + 1, {});
      core::ProposalBatch batch = *proposer.finish({});
      if (is_copy) std::fill(batch.ids.begin(), batch.ids.end(), kNoNode);
      {
        const EachInstruction stepping(look);
        built.committer.commit(batch);
      }
      graph.discard_announced();
      alive.push_back(node);
    };
    const auto seal_if_due = [&] {
      if (!built.committer.seal_is_due()) return;
      const EachInstruction stepping(look);
      built.committer.seal(proposer);
    };
    for (NodeId node = 0; node < 2 * nodes; ++node) {
      NodeId old = kNoNode;
      if (node > nodes) {  // it replaces another
        const auto place = static_cast<std::ptrdiff_t>(hash(round, node, 2) % alive.size());
        old = alive[static_cast<std::size_t>(place)];
        alive.erase(alive.begin() + place);
      }
      add(node, old);
      seal_if_due();
      if (hash(round, node, 3) % 3 == 0 && alive.size() > 6) {
        const NodeId gone = alive[hash(round, node, 4) % alive.size()];
        std::erase(alive, gone);
        graph.reserve_deaths(1);
        {
          const EachInstruction stepping(look);
          graph.remove(gone);
        }
        seal_if_due();
      }
      kept = std::max(kept, graph.kept());
      ASSERT_EQ(graph.living(), alive.size());
      ASSERT_EQ(lost, kNoNode) << "was not found once at one of " << moments << " moments";
    }
    expect_sound(built.audit());
    graph.end_epoch();
    built.committer.seal(proposer);
    {
      const EachInstruction stepping(look);
      core::slide(built.contents);
    }
    slides += graph.slides();
    ASSERT_EQ(lost, kNoNode) << "was not found once at one of " << moments << " moments";
    ASSERT_EQ(graph.living(), alive.size());
    expect_sound(built.audit());
  }
  if (moments == 0) GTEST_SKIP() << "this machine does not step";
  EXPECT_GT(kept, 0u);
  EXPECT_EQ(slides, scaled(2, 1));
}

INSTANTIATE_TEST_SUITE_P(Habits, CopiesAtEveryMoment,
                         testing::Values(Habit::anything, Habit::first_node));

}  // namespace
}  // namespace concord::test
