// The visited set may forget, but never invents.

#include "cpu/visited_table.hpp"

#include <set>

#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord::cpu {
namespace {

TEST(VisitedTable, ReportsOnlyWhatWasMarked) {
  VisitedTable table;
  for (const std::size_t ef : {1u, 10u, 200u, 65536u}) {
    table.reset(ef);
    std::set<core::NodeId> marked;
    std::uint64_t remembered = 0;
    std::uint64_t repeated = 0;
    for (std::uint64_t step = 0; step < 20000; ++step) {
      const auto node = static_cast<core::NodeId>(test::hash(ef, step) % 4000);
      const bool seen = table.test_and_set(node);
      const bool was_marked = !marked.insert(node).second;
      ASSERT_TRUE(!seen || was_marked) << "node " << node << " was never marked";
      ASSERT_TRUE(table.test_and_set(node)) << "the node marked last is remembered";
      repeated += was_marked;
      remembered += seen;
    }
    EXPECT_GT(remembered, 0u);
    if (ef >= 10000) {
      EXPECT_GT(remembered * 10, repeated * 9) << "a large table forgets little";
    }
    table.reset(ef);
    for (core::NodeId node = 0; node < 4000; ++node) ASSERT_FALSE(table.test_and_set(node));
  }
}

TEST(VisitedTable, TakesExtremeIds) {
  VisitedTable table;
  table.reset(10);
  for (const core::NodeId node : {core::NodeId{0}, core::kMaxNodes}) {
    EXPECT_FALSE(table.test_and_set(node));
    EXPECT_TRUE(table.test_and_set(node));
  }
}

TEST(VisitedTable, HasASizeThatDependsOnEfAlone) {
  VisitedTable table;
  table.reset(64);
  const std::size_t bytes = table.bytes();
  for (core::NodeId node = 0; node < 100000; ++node) table.test_and_set(node);
  EXPECT_EQ(table.bytes(), bytes);
  table.reset(65536);
  EXPECT_LE(table.bytes(), std::size_t{1} << 20);
}

}  // namespace
}  // namespace concord::cpu
