// A reader beside the writer may see the graph at any moment, and the writer may be kept from going
// on there for as long as the system likes: searches repeat themselves on the strength of a graph
// that is whole even then (cpu/searcher.cpp). Here the processor stops after every instruction of
// a commit or a seal and the graph is looked at. Only x86-64 lets a process do that to itself.

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

#include "common/contents/slide.hpp"
#include "common/search/filter_rule.hpp"
#include "common/search/match_set.hpp"
#include "common/threads/reader_gate.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/stepping.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using core::kNoNode;
using core::NodeId;
using Habit = ArbitraryProposer::Habit;

/// `nodes`, but half as many with less than the whole scale: a moment costs the square of the nodes
/// there are, and the sanitizers' instructions are moments as well.
NodeId small(NodeId nodes) { return full_scale() ? nodes : nodes / 2; }

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

/// Lets look() see every moment of a scope.
class Stepping {
 public:
  explicit Stepping(const core::Graph& graph, void (*look_at)(int) = look)
      : steps_((watched = &graph, look_at)) {}

 private:
  EachInstruction steps_;
};

class EveryMoment : public testing::TestWithParam<Habit> {
 protected:
  EveryMoment() {
    lost = kNoNode;
    moments = 0;
  }
  static const core::ProposalBatch& propose_next(GraphBuilder& built, ArbitraryProposer& proposer) {
    const NodeId node = built.graph.size();
    proposer.start(built.graph.epoch(), node, node + 1, {});
    return *proposer.finish({});
  }
  static void grow(GraphBuilder& built, NodeId size, ArbitraryProposer& proposer) {
    while (built.graph.size() < size) commit(built, propose_next(built, proposer), proposer);
  }
  static void commit(GraphBuilder& built, const core::ProposalBatch& batch,
                     ArbitraryProposer& proposer) {
    built.committer.commit(batch);
    if (built.committer.seal_is_due()) built.committer.seal(proposer);
  }
};

TEST_P(EveryMoment, OfACommitAndASealLeavesTheGraphWhole) {
  const NodeId nodes = small(20);
  std::uint64_t reanchored = 0;
  for (std::uint64_t round = 0; round < scaled(1); ++round) {
    IndexParams params = make_params(2, 2, 10, 8);
    params.seed = round;
    GraphBuilder built(params, make_data(Shape::random, nodes, 2));
    ArbitraryProposer proposer(built.graph, GetParam(), round);
    while (built.graph.size() < nodes) {
      const core::ProposalBatch& batch = propose_next(built, proposer);
      const Stepping stepping(built.graph);
      commit(built, batch, proposer);
    }
    reanchored += built.stats.reanchored;
    ASSERT_EQ(lost, kNoNode) << "had no anchor at one of " << moments << " moments";
  }
  if (moments == 0) GTEST_SKIP() << "this machine does not step";
  EXPECT_GT(reanchored, 0u) << "no seal moved a child";
}

// Every node that lives is reached from the entry point, in each of its layers.
void look_for_the_living(int) {
  constexpr NodeId kMost = 64;
  ++moments;
  const core::LiveView view = watched->live();
  const core::Tombstones& tombstones = watched->tombstones();
  for (std::uint32_t layer = 0; layer <= view.entry.level && lost == kNoNode; ++layer) {
    if (view.entry.node == kNoNode) return;
    bool reached[kMost] = {};
    NodeId frontier[kMost];
    NodeId count = 0;
    reached[view.entry.node] = true;
    frontier[count++] = view.entry.node;
    while (count > 0) {
      watched->visit_live(view, frontier[--count], layer, [&](NodeId id, bool shown) {
        if (!shown || reached[id]) return;
        reached[id] = true;
        frontier[count++] = id;
      });
    }
    for (NodeId node = 0; node < view.size; ++node) {
      const bool lives = tombstones.gone(node) >= view.size;
      if (lives && watched->level(node) >= layer && !reached[node]) lost = node;
    }
  }
}

TEST_P(EveryMoment, OfARemovalAndItsSealLeavesTheLivingReachable) {
  const NodeId nodes = small(24);
  std::uint64_t unlinked = 0;
  for (std::uint64_t round = 0; round < scaled(1); ++round) {
    IndexParams params = make_params(2, round % 2 == 0 ? 2 : 4, 10, 16);
    params.seed = round;
    GraphBuilder built(params, make_data(Shape::random, nodes, 2));
    ArbitraryProposer proposer(built.graph, GetParam(), round);
    grow(built, nodes, proposer);
    built.graph.reserve_deaths(nodes);
    for (NodeId i = 0; i < nodes - 4; ++i) {
      const NodeId node = (i * 7 + static_cast<NodeId>(round)) % nodes;
      const Stepping stepping(built.graph, look_for_the_living);
      built.graph.remove(node);
      if (built.committer.seal_is_due() || i % 5 == 4) built.committer.seal(proposer);
    }
    unlinked += built.graph.unlinked();
    ASSERT_EQ(lost, kNoNode) << "was not reached at one of " << moments << " moments";
    expect_sound(built.audit());
  }
  if (moments == 0) GTEST_SKIP() << "this machine does not step";
  EXPECT_GT(unlinked, nodes * 2 / 5);
}

const core::Contents* contents = nullptr;
NodeId living = 0;

// Who comes at this moment finds each node that lives once, by every way there is.
void look_beside_a_slide(int) {
  constexpr NodeId kMost = 64;
  ++moments;
  // The way of a search: in each layer all nodes that live are reached, and no vector twice.
  const auto walk = [&](const auto& view) {
    for (std::uint32_t layer = 0; layer <= view.entry.level; ++layer) {
      bool reached[kMost] = {};
      bool labels[kMost] = {};
      NodeId frontier[kMost];
      NodeId count = 0;
      NodeId found = 0;
      reached[view.entry.node] = true;
      frontier[count++] = view.entry.node;
      while (count > 0) {
        const NodeId node = frontier[--count];
        const std::uint64_t label = contents->labels.label(node);
        if (labels[label]) lost = node;
        labels[label] = true;
        ++found;
        watched->visit_live(view, node, layer, [&](NodeId id, bool shown) {
          if (!shown || reached[id]) return;
          reached[id] = true;
          frontier[count++] = id;
        });
      }
      if (layer == 0 && found != living) lost = found;
    }
  };
  if (watched->is_sliding()) {
    walk(watched->sliding_view());
  } else {
    walk(watched->live());
  }
  // The way of an exact search.
  const core::Hole hole = watched->tombstones().hole();
  const NodeId size = watched->size();
  NodeId found = 0;
  for (NodeId node = 0; node < size; ++node) {
    found += !hole.contains(node) && !watched->tombstones().is_dead(node, size) ? 1 : 0;
  }
  if (found != living) lost = found;
}

// The way of a label.
void look_up_labels(int) {
  ++moments;
  NodeId found = 0;
  for (std::uint64_t label = 0; label < 24; ++label) {
    const NodeId node = contents->labels.find(label, watched->size());
    if (node == kNoNode) continue;
    ++found;
    if (contents->labels.label(node) != label) lost = node;
    float row[32];
    contents->vectors.copy(node, 1, row);
    if (row[0] != static_cast<float>(label)) lost = node;
  }
  if (found != living) lost = found;
}

TEST_P(EveryMoment, OfASlideFindsEachNodeOnce) {
  const NodeId nodes = small(24);
  std::uint64_t slides = 0;
  for (std::uint64_t round = 0; round < scaled(8); ++round) {
    IndexParams params = make_params(2, round % 2 == 0 ? 2 : 4, 10, 16);
    params.seed = round;
    Matrix data = make_data(Shape::random, nodes, 2);
    for (NodeId node = 0; node < nodes; ++node) data.row(node)[0] = static_cast<float>(node);
    GraphBuilder built(params, data);
    ArbitraryProposer proposer(built.graph, GetParam(), round);
    grow(built, nodes, proposer);
    std::vector<std::uint64_t> own(nodes);
    for (NodeId i = 0; i < nodes; ++i) own[i] = (i * 5) % nodes;
    const bool has_table = round % 4 < 2;
    if (has_table) {  // a table, whose labels do not ascend
      for (NodeId i = 0; i < nodes; ++i) data.row(i)[0] = static_cast<float>(own[i]);
      built.vectors.write(0, data.view(), built.pool);
    }
    built.contents.labels.truncate(0);
    built.contents.labels.append(
        has_table ? std::span<const std::uint64_t>(own) : std::span<const std::uint64_t>(), nodes,
        0);
    built.graph.reserve_deaths(nodes);
    for (NodeId i = 0; i < 3 + round; ++i) {
      built.graph.remove((i * 7 + static_cast<NodeId>(round)) % nodes);
    }
    built.committer.seal(proposer);
    contents = &built.contents;
    living = built.graph.living();
    {
      const Stepping stepping(built.graph, round % 2 == 0 ? look_beside_a_slide : look_up_labels);
      core::slide(built.contents);
    }
    slides += built.graph.slides();
    ASSERT_EQ(lost, kNoNode) << "was lost or found twice at one of " << moments << " moments";
    ASSERT_EQ(built.graph.size(), living);
    expect_sound(built.audit());
  }
  if (moments == 0) GTEST_SKIP() << "this machine does not step";
  EXPECT_GE(slides, scaled(8));
}

const core::MatchSet* filter = nullptr;  // of even labels
std::uint32_t matches_made = 0;

// Who comes during a slide finds each match once under a name that it meets, and no other name
// matches. The code that is interrupted allocates nothing then.
void look_at_a_filter(int) {
  if (!watched->is_sliding()) return;
  ++moments;
  const core::SlidingView view = watched->sliding_view();
  std::unique_ptr<core::PlacedSet> own[2];
  const core::PlacedSet& before = filter->under(watched->numbering(), own[0]);
  const core::PlacedSet& after = filter->under(watched->next_numbering(), own[1]);
  const core::SlidingMatches matches(before, after, view.hole);
  const auto is_dead = [&](NodeId id) { return watched->tombstones().is_dead(id, view.size); };
  NodeId found = 0;
  for (const auto part : matches.ids()) {
    for (const NodeId id : part) {
      if (is_dead(id)) continue;
      ++found;
      if (contents->labels.label(id) % 2 != 0 || matches.bits()[id] == 0) lost = id;
    }
  }
  if (found != matches.living(0, is_dead)) lost = found;
  for (NodeId id = 0; id < view.size; ++id) {
    if (view.hole.contains(id) || is_dead(id)) continue;
    const bool is_even = contents->labels.label(id) % 2 == 0;
    found -= is_even ? 1 : 0;
    if ((matches.bits()[id] == 1) != is_even) lost = id;
  }
  if (found != 0) lost = found;
  for (std::uint32_t i = 0; i < core::FilterRule::kSeeds; ++i) {
    const NodeId seed = matches.seed(i);
    if (seed != kNoNode && contents->labels.label(seed) != 2 * ((2 * i + 1) * matches_made / 128))
      lost = seed;
  }
}

TEST_P(EveryMoment, OfASlideNamesEachMatchOfAFilterOnce) {
  const NodeId nodes = small(24);
  for (std::uint64_t round = 0; round < scaled(4); ++round) {
    GraphBuilder built(make_params(2, 4, 10, 16), make_data(Shape::random, nodes, 2));
    ArbitraryProposer proposer(built.graph, GetParam(), round);
    grow(built, nodes, proposer);
    built.contents.labels.append({}, nodes, 0);
    std::vector<NodeId> even;
    for (NodeId id = 0; id < nodes; id += 2) even.push_back(id);
    constexpr std::size_t kStride = 1 << 20;  // so that it has bits
    const core::MatchSet set(
        {1, built.graph.numbering().shared_from_this(), nodes, 0, kStride, nullptr}, even);
    filter = &set;
    matches_made = static_cast<std::uint32_t>(even.size());
    built.graph.reserve_deaths(nodes);
    for (NodeId i = 0; i < 3 + round; ++i) {
      built.graph.remove((i * 7 + static_cast<NodeId>(round)) % nodes);
    }
    built.committer.seal(proposer);
    built.graph.remove(nodes / 2);  // stays linked
    contents = &built.contents;
    {
      const Stepping stepping(built.graph, look_at_a_filter);
      core::slide(built.contents);
    }
    ASSERT_EQ(lost, kNoNode) << "at one of " << moments << " moments";
    EXPECT_EQ(built.graph.slides(), 1u);
  }
  if (moments == 0) GTEST_SKIP() << "this machine does not step";
}

using Reader = core::ReaderGate::Reader;
const core::ReaderGate* watched_gate = nullptr;
alignas(Reader) std::byte place_of_reader[sizeof(Reader)];  // a signal handler allocates nothing
Reader* inside = nullptr;
bool saw_a_slide = false;
std::uint64_t left_to_stay = 0;

void leave() {
  if (inside != nullptr) std::destroy_at(inside);
  inside = nullptr;
}

// A reader is inside at each moment: one enters as the one before it leaves. At the end of a slide
// it stays for more instructions than are left.
void stay_inside(int) {
  ++moments;
  if (inside != nullptr && left_to_stay-- > 0) return;
  leave();
  inside = new (place_of_reader) Reader(watched_gate->enter());
  saw_a_slide = watched->is_sliding();
  left_to_stay = watched->size() == living ? 5000 : 100;
}

// Who entered before the end knows a hole behind the new end, where the next nodes will be.
TEST_P(EveryMoment, WhoEntersDuringASlideIsWaitedFor) {
  const NodeId nodes = small(24);
  GraphBuilder built(make_params(2, 4, 10, 16), make_data(Shape::random, nodes, 2));
  ArbitraryProposer proposer(built.graph, GetParam(), 1);
  grow(built, nodes, proposer);
  built.contents.labels.append({}, nodes, 0);
  built.graph.reserve_deaths(nodes);
  for (NodeId i = 0; i < 5; ++i) built.graph.remove(i * (nodes / 8));
  built.committer.seal(proposer);
  living = built.graph.living();
  const core::ReaderGate gate;
  watched_gate = &gate;
  built.contents.gate = &gate;
  {
    const Stepping stepping(built.graph, stay_inside);
    core::slide(built.contents);
  }
  if (moments == 0) GTEST_SKIP() << "this machine does not step";
  EXPECT_FALSE(inside != nullptr && saw_a_slide);
  leave();
  EXPECT_EQ(built.graph.slides(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Habits, EveryMoment, testing::Values(Habit::first_node, Habit::hubs));

}  // namespace
}  // namespace concord::test
