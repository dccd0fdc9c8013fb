// The device's visited table when far more ids come than it holds: it forgets, and invents none.
#include "cuda/visited_table.hpp"

#include <gtest/gtest.h>

#include <unordered_set>
#include <vector>

#include "tests/cuda/host_devices.hpp"

namespace concord::test {
namespace {

using core::NodeId;
using cuda::HostTeam;
using cuda::VisitedTable;

class Table {
 public:
  explicit Table(std::uint32_t log2_sets)
      : sets_(std::size_t{1} << log2_sets, 0), table_(sets_.data(), log2_sets) {
    table_.clear(team_);
  }
  bool seen(NodeId id) { return table_.seen(team_, id); }

 private:
  HostTeam team_;
  std::vector<std::uint64_t> sets_;
  VisitedTable table_;
};

TEST(DeviceVisitedTable, ForgetsWhenItOverflowsAndInventsNone) {
  for (std::uint32_t log2_sets = cuda::kMinTableLog2; log2_sets <= cuda::kMaxTableLog2;
       ++log2_sets) {
    Table table(log2_sets);
    const std::uint64_t holds = 3u << log2_sets;
    std::unordered_set<NodeId> noted;
    std::size_t forgotten = 0;
    for (std::uint64_t i = 0; i < 20 * holds; ++i) {
      // Ids of all sizes, half of them from a range that comes again and again.
      const auto id = static_cast<NodeId>(hash(i, log2_sets) % (i % 2 == 0 ? 2 * holds : 1u << 31));
      const bool known = noted.contains(id);
      const bool seen = table.seen(id);
      ASSERT_TRUE(known || !seen) << "id " << id << " was never noted";
      forgotten += known && !seen ? 1 : 0;
      noted.insert(id);
    }
    EXPECT_GT(forgotten, holds / 10) << "the table was never full: the test shows nothing";
  }
}

TEST(DeviceVisitedTable, RemembersTheLastThreeOfASet) {
  Table table(cuda::kMinTableLog2);
  std::size_t remembered = 0;
  constexpr std::size_t kIds = 3000;
  for (NodeId id = 0; id < kIds; ++id) {
    EXPECT_FALSE(table.seen(id * 7919));
    remembered += table.seen(id * 7919) ? 1 : 0;
  }
  EXPECT_GE(remembered, kIds - 1);  // an id whose tag is all ones is never remembered
}

// Long lists and a small table: every search sees more ids than it holds.
TEST(DeviceVisitedTable, BuildsThatOverflowItGiveTheBytesOfTheCpu) {
  const HostDevices devices;
  const IndexParams params = make_params(24, 64, 20, 512);
  ASSERT_EQ(cuda::table_log2(20, 128), cuda::kMinTableLog2);
  const Matrix data = make_data(Shape::random, scaled(3000, 1500), 24);
  EXPECT_EQ(digest_on("cuda", params, data), digest_on("cpu", params, data));
}

}  // namespace
}  // namespace concord::test
