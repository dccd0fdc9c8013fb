// Searches beside a seal, which moves nodes from one anchor to another: none loses a vector on the
// way. Links are proposed so that nearly every seal moves some.

#include "cpu/searcher.hpp"

#include <atomic>
#include <chrono>
#include <thread>

#include "cpu/search.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using core::NodeId;
using Habit = ArbitraryProposer::Habit;

constexpr NodeId kNodes = 600;

// Searches, as long as `done` is not set, in all ways that say how much has to be found. Returns
// how often it was less.
int count_short_answers(const GraphBuilder& built, const Matrix& data,
                        const std::atomic<bool>& done, std::atomic<int>& searches) {
  const cpu::Searcher searcher(built.contents,
                               cpu::for_metric(cpu::choose_kernels(), Metric::l2sq));
  const SearchParams everywhere{.k = kNodes, .ef = kNodes};
  const SearchParams ways[] = {everywhere, {.k = 10, .ef = 10}, {.k = 10, .ef = 40, .slack = 0.1F}};
  core::ThreadPool pool(1);
  std::vector<core::Key> found(kNodes);
  int short_ones = 0;
  while (!done) {
    const int number = searches++;
    const SearchParams& how = ways[number % 3];
    const NodeId before = built.graph.size();
    std::uint32_t count = 0;
    searcher.search(data.slice(static_cast<std::size_t>(number) % kNodes, 1), how, found.data(),
                    &count, pool);
    short_ones += count < std::min(how.k, before) ? 1 : 0;
  }
  return short_ones;
}

class SearchesBesideSeals : public testing::TestWithParam<Habit> {};

TEST_P(SearchesBesideSeals, FindAsMuchAsInAGraphAtRest) {
  const Matrix data = make_data(Shape::random, kNodes, 2);
  std::uint64_t reanchored = 0;
  for (std::uint64_t round = 0; round < scaled(20); ++round) {
    GraphBuilder built(make_params(2, 2, 10, 64), data);
    ArbitraryProposer proposer(built.graph, GetParam(), round);
    std::atomic<bool> done{false};
    std::atomic<int> searches{0};
    std::atomic<int> short_ones{0};
    const auto read = [&] { short_ones += count_short_answers(built, data, done, searches); };
    std::thread readers[] = {std::thread(read), std::thread(read)};
    while (searches == 0) std::this_thread::yield();
    while (built.graph.size() < kNodes) {
      const NodeId node = built.graph.size();
      proposer.start(built.graph.epoch(), node, node + 1, {});
      built.committer.commit(*proposer.finish({}));
      if (built.committer.seal_is_due()) built.committer.seal(proposer);
    }
    done = true;
    for (std::thread& reader : readers) reader.join();
    reanchored += built.stats.reanchored;
    ASSERT_EQ(short_ones, 0) << "of " << searches << " searches in round " << round;
  }
  EXPECT_GT(reanchored, 0u) << "no seal moved a child";
}

// Also one that begins and ends within the same seal, which no number of runs shows reliably.
TEST(Searches, KnowWhetherTheyOverlapASeal) {
  core::Graph graph(make_params(2, 2, 10, 64));
  const std::uint64_t before = graph.seals();
  EXPECT_FALSE(graph.was_sealing_since(before));
  graph.begin_seal();
  const std::uint64_t within = graph.seals();
  EXPECT_TRUE(graph.was_sealing_since(before));
  EXPECT_TRUE(graph.was_sealing_since(within));
  graph.close_epoch();
  EXPECT_TRUE(graph.was_sealing_since(before));
  EXPECT_TRUE(graph.was_sealing_since(within));
  EXPECT_FALSE(graph.was_sealing_since(graph.seals()));
}

// How often a reader begins beside a writer that changes something faster than the reader ends.
// `repeat` calls its argument until the answer stands, and change(i) is what the writer does.
template <class Repeat, class Change, class Counter>
int tries_beside(const Change& change, const Counter& changes, const Repeat& repeat) {
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (NodeId i = 0; i < kNodes && !done; ++i) change(i);
  });
  int tries = 0;
  repeat([&] {
    ++tries;
    const std::uint64_t before = changes();
    for (int i = 0; i < 300 && changes() == before; ++i) {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  });
  done = true;
  writer.join();
  return tries;
}

TEST(Searches, EndBesideAWriterThatIsFaster) {
  constexpr int kFew = 8;
  const Matrix data = make_data(Shape::random, kNodes, 2);
  GraphBuilder built(make_params(2, 2, 10, 64), data);
  core::Graph& graph = built.graph;
  while (graph.size() < kNodes) built.step();
  const int beside_seals = tries_beside(
      [&](NodeId /*i*/) {
        graph.begin_seal();
        graph.begin_unlinking();
        graph.end_unlinking();
        graph.end_seal();
        std::this_thread::sleep_for(std::chrono::microseconds(20));
      },
      [&] { return graph.unlinkings(); },
      [&](const auto& look) {
        cpu::fill_beside_seals(graph, [&](const auto& /*live*/) {
          look();
          return true;
        });
      });
  EXPECT_GT(beside_seals, 1);
  EXPECT_LE(beside_seals, kFew);
  graph.reserve_deaths(kNodes);
  const int beside_removals = tries_beside(
      [&](NodeId i) {
        graph.remove(i);
        std::this_thread::sleep_for(std::chrono::microseconds(20));
      },
      [&] { return graph.removals(); },
      [&](const auto& look) {
        cpu::search_beside_removals(graph, [&] {
          look();
          return false;
        });
      });
  EXPECT_GT(beside_removals, 1);
  EXPECT_LE(beside_removals, kFew);
}

INSTANTIATE_TEST_SUITE_P(Habits, SearchesBesideSeals,
                         testing::Values(Habit::first_node, Habit::first_few, Habit::hubs,
                                         Habit::mixed));

}  // namespace
}  // namespace concord::test
