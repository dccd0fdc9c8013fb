// The visited set may forget, but never invents.

#include "cpu/visited_table.hpp"

#include <set>
#include <vector>

#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord::cpu {
namespace {

// True if the table remembers the node; it does afterwards.
bool test_and_set(VisitedTable& table, core::NodeId node) { return table.marker().mark(node) == 0; }

TEST(VisitedTable, TellsWhatWasNotMarked) {
  VisitedTable table;
  for (std::uint64_t run = 0; run < 200; ++run) {
    table.reset(1000);  // large enough to forget nothing here, or the expectation below fails
    const VisitedTable::Marker marker = table.marker();
    std::set<core::NodeId> marked;
    for (std::uint64_t step = 0; step < 200; ++step) {
      const auto node = static_cast<core::NodeId>(100 * run + test::hash(run, step) % 90);
      ASSERT_EQ(marker.mark(node), marked.insert(node).second ? 1u : 0u);
    }
  }
}

TEST(VisitedTable, ReportsOnlyWhatWasMarked) {
  VisitedTable table;
  for (const std::size_t ef : {1u, 10u, 200u, 65536u}) {
    table.reset(ef);
    std::set<core::NodeId> marked;
    std::uint64_t remembered = 0;
    std::uint64_t repeated = 0;
    for (std::uint64_t step = 0; step < 20000; ++step) {
      const auto node = static_cast<core::NodeId>(test::hash(ef, step) % 4000);
      const bool seen = test_and_set(table, node);
      const bool was_marked = !marked.insert(node).second;
      ASSERT_TRUE(!seen || was_marked) << "node " << node << " was never marked";
      ASSERT_TRUE(test_and_set(table, node)) << "the node marked last is remembered";
      repeated += was_marked;
      remembered += seen;
    }
    EXPECT_GT(remembered, 0u);
    if (ef >= 10000) {
      EXPECT_GT(remembered * 10, repeated * 9) << "a large table forgets little";
    }
    table.reset(ef);
    for (core::NodeId node = 0; node < 4000; ++node) ASSERT_FALSE(test_and_set(table, node));
  }
}

TEST(VisitedTable, TakesExtremeIds) {
  VisitedTable table;
  table.reset(10);
  for (const core::NodeId node : {core::NodeId{0}, core::kMaxNodes}) {
    EXPECT_FALSE(test_and_set(table, node));
    EXPECT_TRUE(test_and_set(table, node));
  }
}

TEST(VisitedTable, HasASizeThatDependsOnTheHopsAlone) {
  VisitedTable table;
  table.reset(64);
  const std::size_t bytes = table.bytes();
  for (core::NodeId node = 0; node < 100000; ++node) test_and_set(table, node);
  table.make_room(128);
  EXPECT_EQ(table.bytes(), bytes);
  table.reset(65536);
  EXPECT_LE(table.bytes(), std::size_t{1} << 20);
}

TEST(VisitedTable, RemembersWhenItGrows) {
  VisitedTable table;
  table.reset(1);
  std::set<core::NodeId> remembered;
  for (std::uint64_t step = 0; step < 300; ++step) {
    remembered.insert(static_cast<core::NodeId>(test::hash(step, 1, 2) & core::kMaxNodes));
  }
  for (const core::NodeId node : remembered) test_and_set(table, node);
  // Those that others pushed out are not what growing must keep.
  for (auto node = remembered.begin(); node != remembered.end();) {
    VisitedTable copy = table;
    node = test_and_set(copy, *node) ? std::next(node) : remembered.erase(node);
  }
  EXPECT_GT(remembered.size(), 200u);
  const std::size_t bytes = table.bytes();
  for (const std::size_t hops : {33u, 65u, 129u, 5000u, 5000u, 5000u, 5000u, 5000u}) {
    table.make_room(hops);
    VisitedTable copy = table;
    for (const core::NodeId node : remembered) ASSERT_TRUE(test_and_set(copy, node));
    for (core::NodeId node = 1; node < 100; ++node) {
      VisitedTable fresh = table;
      ASSERT_EQ(test_and_set(fresh, node), remembered.contains(node));
    }
  }
  EXPECT_GE(table.bytes(), 8 * bytes);
  for (int i = 0; i < 20; ++i) table.make_room(1u << 30);
  EXPECT_LE(table.bytes(), std::size_t{1} << 20);
  for (const core::NodeId node : remembered) ASSERT_TRUE(test_and_set(table, node));
}

}  // namespace
}  // namespace concord::cpu
