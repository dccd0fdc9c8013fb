// Sealed versions: proposals of epoch k read G_{k-2}, whether epoch k-1 is not begun, half
// committed or sealed by then.

#include <array>
#include <atomic>
#include <thread>
#include <tuple>

#include "common/graph.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::core {
namespace {

using test::GraphBuilder;
using test::Rows;
using test::Shape;

// All rows as `version` has them; order within a row included.
Rows sealed_rows(const Graph& graph, const SealedVersion& version) {
  Rows rows(version.end);
  std::vector<NodeId> ids(kMaxScored);
  for (NodeId node = 0; node < version.end; ++node) {
    for (std::uint32_t layer = 0; layer <= graph.level(node); ++layer) {
      const std::uint32_t n =
          graph.read_sealed_row(version, graph.table(layer), graph.row(node, layer), ids.data());
      rows[node].emplace_back(ids.begin(), ids.begin() + n);
    }
  }
  return rows;
}

using Case = std::tuple<Shape, std::uint32_t, std::uint32_t>;
class Versions : public testing::TestWithParam<Case> {};

TEST_P(Versions, AreTheSameBeforeDuringAndAfterTheEpochBetween) {
  const auto [shape, M, epoch_limit] = GetParam();
  const auto n = static_cast<NodeId>(epoch_limit == 1 ? 300 : test::scaled(1200, 400));
  GraphBuilder builder(test::make_params(5, M, 12, epoch_limit), test::make_data(shape, n, 5));
  Graph& graph = builder.graph;
  Rows before;  // G_{k-2}, k the epoch after the open one
  EntryPoint entry_before;
  Rows sealed;  // G_{k-1} of the open epoch: all rows at the last seal
  EntryPoint entry_sealed;
  std::uint64_t copies_seen = 0;
  for (Epoch open = graph.epoch(); open.end <= n; open = graph.epoch()) {
    sealed = test::all_rows(graph);
    entry_sealed = graph.entry_point();
    const auto expect_version = [&](const Epoch& epoch, const Rows& rows, const EntryPoint& entry) {
      const SealedVersion version = graph.version_for(epoch);
      ASSERT_EQ(version.end, rows.size());
      ASSERT_EQ(version.entry.node, entry.node);
      ASSERT_EQ(version.entry.level, entry.level);
      ASSERT_EQ(sealed_rows(graph, version), rows) << "epoch " << epoch.number;
    };
    const Epoch next = open.next(epoch_limit);
    const NodeId next_end = std::min(next.end, n);
    const ProposalBatch batch = builder.propose(open, open.begin, open.end);

    expect_version(open, before, entry_before);
    expect_version(next, sealed, entry_sealed);
    const std::vector<NodeId> early = builder.propose(next, next.begin, next_end).ids;

    const NodeId half = open.begin + (open.end - open.begin) / 2;
    const ProposalBatch first = builder.propose(open, open.begin, half);
    EXPECT_TRUE(std::equal(first.ids.begin(), first.ids.end(), batch.ids.begin()));
    if (half > open.begin) builder.commit(first);
    expect_version(open, before, entry_before);
    expect_version(next, sealed, entry_sealed);
    const ProposalBatch second = builder.propose(open, half, open.end);
    EXPECT_TRUE(std::equal(second.ids.rbegin(), second.ids.rend(), batch.ids.rbegin()));
    EXPECT_EQ(builder.propose(next, next.begin, next_end).ids, early);

    builder.commit(second);
    expect_version(next, sealed, entry_sealed);
    EXPECT_EQ(builder.propose(next, next.begin, next_end).ids, early);

    builder.seal_if_due();
    ASSERT_EQ(graph.epoch().number, next.number);
    expect_version(next, sealed, entry_sealed);
    EXPECT_EQ(builder.propose(next, next.begin, next_end).ids, early);
    copies_seen += graph.table(0).copied().size() + graph.table(1).copied().size();
    before = sealed;
    entry_before = entry_sealed;
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(copies_seen, 0u) << "no seal has cut a row: the data do not test this";
}

// Whatever the seal does to the rows, re-anchoring included.
TEST(VersionsOfArbitraryGraphs, AreTheSameBeforeDuringAndAfterTheEpochBetween) {
  using Habit = test::ArbitraryProposer::Habit;
  for (const Habit habit : {Habit::anything, Habit::first_node, Habit::first_few, Habit::one_random,
                            Habit::hubs, Habit::mixed}) {
    for (const std::uint32_t M : {2u, 3u, 4u}) {
      const IndexParams params = test::make_params(1, M, 10, 64);
      const auto n = static_cast<NodeId>(test::scaled(900, 300));
      BuildStats stats;
      Graph graph(params);
      Committer committer(graph, stats);
      test::ArbitraryProposer proposer(graph, habit, M);
      graph.announce(n);
      Rows before;
      Rows sealed;
      while (graph.size() < n) {
        const NodeId node = graph.size();
        if (node == graph.epoch().begin) {
          before = sealed;
          sealed = test::all_rows(graph);
        }
        const auto check = [&](const Epoch& epoch, const Rows& rows) {
          ASSERT_EQ(sealed_rows(graph, graph.version_for(epoch)), rows)
              << "habit " << static_cast<int>(habit) << " M " << M << " node " << node;
        };
        if (node % 5 == 0 || node == graph.epoch().begin) {
          check(graph.epoch(), before);
          check(graph.epoch().next(params.epoch_limit), sealed);
        }
        if (testing::Test::HasFatalFailure()) return;
        proposer.start(graph.epoch(), node, node + 1, {});
        committer.commit(*proposer.finish({}));
        if (committer.seal_is_due()) committer.seal(proposer);
      }
    }
  }
}

// A device's rows are gathered while the next epoch is committed. Once the epoch of a row's last
// change was read before its degree, and an id appended between the two was taken for a sealed one.
TEST(SealedVersions, AReaderBesideTheWriterTakesNoNewIdForASealedOne) {
  constexpr NodeId kRows = 50000;
  constexpr NodeId kEnd = 100;
  const Graph graph(test::make_params(1, 4, 10, 64));
  const SealedVersion version{kEnd, 5, false, {}};
  RowTable rows(8, kRows);
  rows.resize(kRows);
  const std::array<NodeId, 3> sealed = {1, 2, 3};
  for (RowIndex row = 0; row < kRows; ++row) rows.fill(row, sealed, 1);
  rows.reserve_epoch(kRows, 0);
  std::atomic<RowIndex> at{0};  // the row whose turn it is; each waits for the other's first visit
  std::atomic<RowIndex> visited{0};
  std::thread writer([&] {
    for (RowIndex row = 0; row < kRows; ++row) {
      at = row;
      for (int spins = 0; visited < row && spins < 1000; ++spins) {
      }
      rows.append(row, kEnd + row, 5);
    }
    at = kRows;
  });
  std::size_t new_ids = 0;
  for (RowIndex row = 0; (row = at) < kRows;) {
    std::array<NodeId, 16> ids;
    const std::uint32_t n = graph.read_sealed_row(version, rows, row, ids.data());
    new_ids += n == sealed.size() ? 0 : 1;
    visited = row;
  }
  writer.join();
  EXPECT_EQ(new_ids, 0u);
}

INSTANTIATE_TEST_SUITE_P(Data, Versions,
                         testing::Combine(testing::Values(Shape::random, Shape::clustered,
                                                          Shape::constant, Shape::duplicate),
                                          testing::Values(2u, 3u, 8u),
                                          testing::Values(1u, 7u, 64u, 4096u)));

}  // namespace
}  // namespace concord::core
