// Every kind of damage is found by audit(), with a message that names node and layer.

#include "common/graph/audit.hpp"

#include <string>

#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::core {
namespace {

using test::GraphBuilder;
using testing::Contains;
using testing::HasSubstr;

constexpr std::uint32_t kM = 4;

class Audit : public testing::Test {
 protected:
  Audit()
      : builder_(test::make_params(4, kM, 20, 16), test::make_data(test::Shape::random, 300, 4)) {
    while (graph().size() < 300 || graph().size() != graph().epoch().begin) {
      if (graph().size() == graph().announced()) break;
      builder_.step();
    }
    EXPECT_TRUE(audit().ok);
  }

  // is_sound() must agree with every report, whatever the number of threads.
  AuditReport audit() {
    const AuditReport report = builder_.audit();
    EXPECT_EQ(is_sound(graph(), builder_.pool), report.ok);
    EXPECT_EQ(is_sound(graph(), four_threads_), report.ok);
    return report;
  }
  Graph& graph() { return builder_.graph; }
  LinkTable& lists(std::uint32_t layer) { return graph().table_of(layer); }
  ListIndex list(NodeId node, std::uint32_t layer) { return graph().list(node, layer); }
  ListHeader& header(NodeId node, std::uint32_t layer) {
    return lists(layer).header(list(node, layer));
  }
  NodeId neighbor(NodeId node, std::uint32_t layer, std::uint32_t j = 0) {
    return lists(layer).at(list(node, layer), j);
  }
  // A node of exactly this level, with at least two neighbors in its top layer; `skip` of them on.
  NodeId node_of_level(std::uint32_t level, int skip = 0) {
    for (NodeId node = 1; node < graph().size(); ++node) {
      if (graph().level(node) != level || header(node, level).degree < 2) continue;
      if (skip-- == 0) return node;
    }
    ADD_FAILURE() << "no node of level " << level;
    return 0;
  }
  void remove_one_way(NodeId from, NodeId to, std::uint32_t layer) {
    lists(layer).remove(list(from, layer), to);
    if (to < from) --header(from, layer).anchors;
  }
  void append_one_way(NodeId from, NodeId to, std::uint32_t layer, std::uint32_t epoch = 0) {
    lists(layer).append(list(from, layer), to, epoch);
    if (to < from) ++header(from, layer).anchors;
  }
  static std::string at(NodeId node, std::uint32_t layer) {
    return "node " + std::to_string(node) + ", layer " + std::to_string(layer) + ":";
  }
  void expect_message(const AuditReport& report, const std::string& start,
                      const std::string& part) {
    EXPECT_FALSE(report.ok);
    EXPECT_THAT(report.messages, Contains(testing::AllOf(HasSubstr(start), HasSubstr(part))));
  }

  GraphBuilder builder_;
  ThreadPool four_threads_{4};
};

TEST_F(Audit, CountsNodesAndEdgesOfASoundGraph) {
  const AuditReport report = audit();
  EXPECT_EQ(report.nodes, graph().size());
  std::uint64_t ends = 0;
  for (const auto& node : test::all_links(graph())) {
    for (const auto& ids : node) ends += ids.size();
  }
  EXPECT_EQ(report.edges * 2, ends);
  EXPECT_GT(report.edges, graph().size());
}

TEST_F(Audit, FindsAnEdgeRemovedOnOneSide) {
  for (const std::uint32_t layer : {0u, 1u}) {
    const NodeId a = node_of_level(layer);
    const NodeId b = neighbor(a, layer);
    remove_one_way(a, b, layer);
    const AuditReport report = audit();
    EXPECT_EQ(report.asymmetric_edges, 1u);
    expect_message(report, at(b, layer),
                   "links to " + std::to_string(a) + ", which does not link back");
    append_one_way(a, b, layer);
    EXPECT_TRUE(audit().ok);
  }
}

TEST_F(Audit, FindsAWrongAnchorCounter) {
  for (const std::uint32_t layer : {0u, 1u}) {
    const NodeId node = node_of_level(layer, 2);
    for (const int error : {1, -1}) {
      ListHeader& h = header(node, layer);
      const std::uint16_t right = h.anchors;
      h.anchors = static_cast<std::uint16_t>(right + error);
      const AuditReport report = audit();
      EXPECT_EQ(report.broken_anchors, 1u);
      expect_message(
          report, at(node, layer),
          "counts " + std::to_string(h.anchors) + " anchors, has " + std::to_string(right));
      h.anchors = right;
    }
  }
}

TEST_F(Audit, FindsANodeWithoutAnAnchor) {
  const NodeId node = node_of_level(0, 5);
  for (std::uint32_t j = header(node, 0).degree; j-- > 0;) {
    const NodeId other = neighbor(node, 0, j);
    if (other > node) continue;
    remove_one_way(node, other, 0);
    remove_one_way(other, node, 0);
  }
  const AuditReport report = audit();
  EXPECT_EQ(report.broken_anchors, 1u);
  expect_message(report, at(node, 0), "has no earlier neighbor");
}

TEST_F(Audit, FindsUnreachableNodes) {
  const NodeId node = node_of_level(1);
  while (header(node, 1).degree > 0) {
    const NodeId other = neighbor(node, 1);
    remove_one_way(node, other, 1);
    remove_one_way(other, node, 1);
  }
  const AuditReport report = audit();
  EXPECT_GE(report.unreachable, 1u);
  expect_message(report, at(node, 1), "not reached from the entry point");
}

TEST_F(Audit, FindsListsThatAreTooLong) {
  const NodeId node = node_of_level(0);
  for (NodeId other = 0; header(node, 0).degree <= 2 * kM; ++other) {
    if (other == node || lists(0).contains(list(node, 0), other) ||
        header(other, 0).degree >= 2 * kM) {
      continue;
    }
    append_one_way(node, other, 0);
    append_one_way(other, node, 0);
  }
  const AuditReport report = audit();
  EXPECT_EQ(report.over_degree, 1u);
  expect_message(report, at(node, 0), "degree 9 exceeds 8");
}

TEST_F(Audit, ReadsADegreeBeyondCapacityWithoutHarm) {
  const NodeId node = node_of_level(0);
  for (const std::uint16_t degree : {std::uint16_t{2 * kM + 1}, std::uint16_t{0xFFFF}}) {
    const std::uint16_t right = header(node, 0).degree;
    header(node, 0).degree = degree;
    const AuditReport report = audit();
    EXPECT_EQ(report.over_degree, 1u);
    expect_message(report, at(node, 0), "degree " + std::to_string(degree) + " exceeds");
    header(node, 0).degree = right;
  }
}

TEST_F(Audit, FindsInvalidLinks) {
  const NodeId low = node_of_level(0);
  const NodeId high = node_of_level(1);
  struct Damage {
    NodeId node;
    std::uint32_t layer;
    NodeId link;
    std::string message;
  };
  for (const Damage& damage :
       {Damage{low, 0, 300, "link to 300, which is no other node"},
        Damage{low, 0, kNoNode, "link to 4294967295, which is no other node"},
        Damage{low, 0, low, "which is no other node"},
        Damage{high, 1, low,
               "link to " + std::to_string(low) + ", which is no other node of the layer"},
        Damage{low, 0, neighbor(low, 0),
               "links to " + std::to_string(neighbor(low, 0)) + " twice"}}) {
    lists(damage.layer).append(list(damage.node, damage.layer), damage.link, 0);
    const AuditReport report = audit();
    EXPECT_EQ(report.invalid_links, 1u);
    expect_message(report, at(damage.node, damage.layer), damage.message);
    --header(damage.node, damage.layer).degree;
    EXPECT_TRUE(audit().ok);
  }
}

TEST_F(Audit, FindsAWrongLevelAndAWrongEntryPoint) {
  auto* levels = const_cast<std::uint8_t*>(graph().levels().data());
  const NodeId entry = graph().entry_point().node;
  ASSERT_GT(levels[entry], 0);
  const std::uint8_t right = levels[entry]--;
  const AuditReport report = audit();
  EXPECT_EQ(report.level_errors, 1u);
  EXPECT_EQ(report.entry_point_errors, 1u);
  expect_message(report,
                 "node " + std::to_string(entry) + " has level " + std::to_string(right - 1), "");
  expect_message(report, "the entry point is node " + std::to_string(entry), "earliest of highest");
  levels[entry] = right;
  EXPECT_TRUE(audit().ok);
}

TEST_F(Audit, FindsLevelsOfAnotherSeed) {
  auto& params = const_cast<IndexParams&>(graph().params());
  ++params.seed;
  const AuditReport report = audit();
  EXPECT_GT(report.level_errors, 0u);
  EXPECT_EQ(report.entry_point_errors, 0u);
  --params.seed;
}

TEST_F(Audit, FindsALongRowWithoutABlockForItsEnd) {
  for (NodeId node = 0; node < graph().size(); ++node) {
    ListHeader& h = header(node, 0);
    const ListHeader right = h;
    if (h.overflow != 0) continue;
    h.degree = 2 * kM + 1;
    h.touched_epoch = graph().epoch().number;
    EXPECT_EQ(audit().over_degree, 1u);
    h = right;
  }
}

// Several faults at once, among them some that hide one another from a count: each is a change of
// one field or place of a list. Lists in the middle of an epoch, some of them overflowed.
TEST_F(Audit, AndIsSoundAgreeOnFaultsAtRandom) {
  ASSERT_FALSE(lists(0).overflowed().empty());
  const std::uint64_t rounds = test::scaled(5000, 1000);
  std::uint64_t sound = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    std::uint64_t drawn = 0;
    const auto draw = [&](std::uint64_t below) {
      return static_cast<std::uint32_t>(test::hash(round, ++drawn) % below);
    };
    std::vector<std::pair<std::uint32_t*, std::uint32_t>> undo;
    const auto change = [&](std::uint32_t& word, std::uint32_t value) {
      undo.emplace_back(&word, word);
      word = value;
    };
    for (std::uint32_t faults = 1 + draw(4); faults > 0; --faults) {
      const NodeId node = draw(graph().size());
      const std::uint32_t layer = draw(graph().level(node) + 1);
      const std::uint32_t max_degree = lists(layer).max_degree();
      auto* const words = reinterpret_cast<std::uint32_t*>(&header(node, layer));
      auto* const ids = words + LinkTable::kHeaderWords;
      const std::uint32_t degree = std::min<std::uint32_t>(header(node, layer).degree, max_degree);
      if (degree == 0) continue;
      const std::uint32_t at = draw(degree);
      switch (draw(6)) {
        case 0:  // degree
          change(words[0], words[0] + (draw(2) == 0 ? 1U : ~0U));
          break;
        case 1:  // anchors
          change(words[0], words[0] + (draw(2) == 0 ? 0x10000U : 0xFFFF0000U));
          break;
        case 2:
          change(ids[at], draw(graph().size() + 2));
          break;
        case 3:
          change(ids[at], ids[draw(degree)]);
          break;
        case 4: {  // another order of the same links
          const std::uint32_t other = draw(degree);
          const NodeId id = ids[at];
          change(ids[at], ids[other]);
          change(ids[other], id);
          break;
        }
        default:  // touched_epoch
          change(words[3], draw(graph().epoch().number + 2));
      }
    }
    sound += audit().ok ? 1 : 0;
    for (auto each = undo.rbegin(); each != undo.rend(); ++each) *each->first = each->second;
    ASSERT_FALSE(testing::Test::HasFailure()) << "round " << round;
  }
  EXPECT_GT(sound, rounds / 100);
  EXPECT_LT(sound, rounds / 2);
  EXPECT_TRUE(audit().ok);
}

TEST_F(Audit, KeepsToAFewMessagesWhateverTheDamage) {
  for (NodeId node = 0; node < graph().size(); ++node) header(node, 0).degree = 0;
  const AuditReport report = audit();
  EXPECT_FALSE(report.ok);
  EXPECT_GE(report.broken_anchors, 299u);
  EXPECT_GE(report.unreachable, 299u);
  EXPECT_GE(report.messages.size(), 5u);
  EXPECT_LE(report.messages.size(), 100u);
}

}  // namespace
}  // namespace concord::core
