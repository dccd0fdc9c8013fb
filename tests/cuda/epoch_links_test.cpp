// An epoch's links made on the device: the kernels against the definition, and the mirror against
// one to which the host brings every list.
#include "cuda/epoch_links.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "cuda/mirror.hpp"
#include "tests/cuda/epoch_buffers.hpp"
#include "tests/cuda/simt_kernels.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/host_device.hpp"
#include "tests/support/host_kernels.hpp"
#include "tests/support/relaying_proposer.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using core::NodeId;
using cuda::kTables;
using cuda::testing::EpochBuffers;
using cuda::testing::EpochSpec;
using Habit = ArbitraryProposer::Habit;

TEST(EpochLinks, ListsGainLinksInTheOrderOfCommits) {
  for (const EpochSpec& spec : cuda::testing::epoch_specs()) {
    SCOPED_TRACE(spec.name());
    EpochBuffers epoch(spec);
    const std::vector<NodeId> expected[kTables] = {epoch.expected(0), epoch.expected(1)};
    cuda::run_sort_gains(epoch.sort_task());
    cuda::run_append_links(epoch.append_task());
    for (unsigned t = 0; t < kTables; ++t) EXPECT_EQ(epoch.tables[t], expected[t]) << "table " << t;
  }
}

TEST(EpochLinks, EmulatedThreadsInAnyOrderGiveTheSame) {
  for (const EpochSpec& spec : cuda::testing::epoch_specs()) {
    if (spec.before > 10000) continue;
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
      SCOPED_TRACE(spec.name() + ", seed " + std::to_string(seed));
      EpochBuffers epoch(spec);
      const std::vector<NodeId> expected[kTables] = {epoch.expected(0), epoch.expected(1)};
      cuda::testing::simt_sort_gains(epoch.sort_task(), seed);
      cuda::testing::simt_append_links(epoch.append_task(), seed);
      for (unsigned t = 0; t < kTables; ++t) EXPECT_EQ(epoch.tables[t], expected[t]);
    }
  }
}

/// Two mirrors of one graph: one makes what it can of the proposals, the other gathers all lists.
class TwoMirrors {
 public:
  TwoMirrors(const IndexParams& params, NodeId nodes, Habit habit, std::uint64_t seed)
      : built_(params, make_data(Shape::random, nodes, params.dimension)),
        proposer_(built_.graph, habit, seed) {}

  /// What the mirrors hold while an epoch is committed.
  enum class Holds {
    next,     ///< the next epoch's version, as in a build
    open,     ///< the open one's alone, as at the end of an addition
    live,     ///< the live graph, as after a search
    nothing,  ///< what they held before
  };

  /// Commits one epoch, and compares what the mirrors hold before.
  void step(Holds holds) {
    const core::Epoch open = built_.graph.epoch();
    const core::Epoch next = open.next(built_.graph.params().epoch_limit);
    for (cuda::Mirror* mirror : {&made_, &gathered_}) {
      mirror->reserve(0);
      mirror->upload_nodes(std::min(next.end, built_.graph.announced()));
      if (holds == Holds::next) mirror->hold_version(next);
      if (holds == Holds::open) mirror->hold_version(open);
      if (holds == Holds::live) mirror->hold_live();
    }
    if (holds == Holds::next) expect_same_version(next);
    if (holds == Holds::open) expect_same_version(open);
    proposer_.start(open, open.begin, open.end, {});
    const core::ProposalBatch& batch = *proposer_.finish({});
    core::LinkChanges changes;
    built_.committer.commit(batch, &changes);
    device_.propose(batch, changes);
    Seals seals(*this);
    built_.committer.seal(seals);
  }
  [[nodiscard]] bool is_done() const { return built_.graph.epoch().end > built_.graph.announced(); }
  void expect_last_version() {
    const core::Epoch open = built_.graph.epoch();
    for (cuda::Mirror* mirror : {&made_, &gathered_}) mirror->hold_version(open);
    expect_same_version(open);
  }

  bool told = true;  ///< of seals; if not, they were opened later
  DeviceStats made_stats, gathered_stats;
  std::size_t cut_lists = 0;
  std::size_t touched_lists = 0;
  std::size_t changed_links = 0;

 private:
  /// Proposals where the device has them.
  struct Proposals {
    std::vector<std::uint32_t> first_list;
    std::vector<NodeId> ids;
    cuda::ProposedEpoch epoch;
  };
  struct OnDevice {
    void propose(const core::ProposalBatch& batch, const core::LinkChanges& changes) {
      Proposals& to = proposals[number_of_batch++ % 2];
      to.first_list = batch.first_list;
      to.ids = batch.ids;
      to.epoch.changes = changes;
      to.epoch.links.begin = batch.begin;
      to.epoch.links.nodes = batch.end - batch.begin;
      to.epoch.links.lists = static_cast<std::uint32_t>(batch.lists());
      to.epoch.links.M = batch.M;
      to.epoch.links.first_list = to.first_list.data();
      to.epoch.links.ids = to.ids.data();
      last = &to;
    }
    Proposals proposals[2];
    const Proposals* last = nullptr;
    unsigned number_of_batch = 0;
  };

  class Seals final : public RelayingProposer {
   public:
    explicit Seals(TwoMirrors& mirrors) : RelayingProposer(mirrors.proposer_), mirrors_(mirrors) {}
    void sealed() override { mirrors_.sealed(); }

   private:
    TwoMirrors& mirrors_;
  };

  void sealed() {
    if (!told) return;
    for (const core::LinkTable* table : built_.graph.tables()) {
      table->for_each_cut([&](core::ListIndex) { ++cut_lists; });
      touched_lists += table->touched().size();
    }
    changed_links += device_.last->epoch.changes.places.size();
    made_.sealed(device_.last->epoch);
    gathered_.sealed({});
    made_.stage_sealed();
    gathered_.stage_sealed();
  }
  void expect_same_version(const core::Epoch& epoch) {
    const core::SealedVersion version = built_.graph.version_for(epoch);
    const cuda::MirrorView made = made_.view();
    const cuda::MirrorView gathered = gathered_.view();
    for (NodeId node = 0; node < version.end; ++node) {
      for (std::uint32_t layer = 0; layer <= built_.graph.level(node); ++layer) {
        ASSERT_EQ(std::memcmp(made.links_of(node, layer), gathered.links_of(node, layer),
                              made.list_width(layer) * sizeof(NodeId)),
                  0)
            << "node " << node << ", layer " << layer << ", version for epoch " << epoch.number;
      }
    }
  }

  GraphBuilder built_;
  ArbitraryProposer proposer_;
  OnDevice device_;
  cuda::HostDevice host_;
  cuda::Mirror made_{host_, built_.contents, built_.pool, made_stats};
  cuda::Mirror gathered_{host_, built_.contents, built_.pool, gathered_stats};
};

class MirrorsOfArbitraryGraphs : public testing::TestWithParam<Habit> {};

TEST_P(MirrorsOfArbitraryGraphs, AreTheSameWhetherMadeOrGathered) {
  std::size_t cut_lists = 0;
  for (const std::uint32_t M : {2u, 3u, 5u, 16u}) {
    for (const std::uint32_t epoch_limit : {1u, 7u, 64u, 4096u}) {
      for (std::uint64_t seed = 1; seed <= scaled(4); ++seed) {
        SCOPED_TRACE(testing::Message()
                     << "M " << M << ", epoch_limit " << epoch_limit << ", seed " << seed);
        const NodeId nodes = epoch_limit == 1 ? 150 : static_cast<NodeId>(scaled(900, 300));
        IndexParams params = make_params(1, M, 10, epoch_limit);
        params.seed = seed;
        TwoMirrors mirrors(params, nodes, GetParam(), seed);
        while (!mirrors.is_done() && !testing::Test::HasFailure()) {
          mirrors.step(TwoMirrors::Holds::next);
        }
        mirrors.expect_last_version();
        if (testing::Test::HasFailure()) return;
        cut_lists += mirrors.cut_lists;
      }
    }
  }
  if (GetParam() != Habit::one_recent) {
    EXPECT_GT(cut_lists, 0u);
  }
}

std::string name_of(const testing::TestParamInfo<Habit>& test) {
  return ArbitraryProposer::name_of(test.param);
}

INSTANTIATE_TEST_SUITE_P(Habits, MirrorsOfArbitraryGraphs,
                         testing::ValuesIn(ArbitraryProposer::kAllHabits), name_of);

// A mirror that is behind needs more than what its lists gained in the last epoch.
TEST(EpochLinks, MirrorsThatHeldAnythingBefore) {
  using Holds = TwoMirrors::Holds;
  for (std::uint64_t seed = 0; seed < scaled(60); ++seed) {
    SCOPED_TRACE(seed);
    auto draw = [seed, drawn = std::uint64_t{0}](std::uint64_t below) mutable {
      return hash(seed, ++drawn) % below;
    };
    TwoMirrors mirrors(make_params(1, 3, 10, 40), 900, Habit::mixed, seed);
    const std::uint64_t opened = draw(8);
    for (std::uint64_t epoch = 0; !mirrors.is_done() && !testing::Test::HasFailure(); ++epoch) {
      mirrors.told = epoch >= opened;
      mirrors.step(mirrors.told ? static_cast<Holds>(draw(4)) : Holds::nothing);
    }
    mirrors.expect_last_version();
    if (testing::Test::HasFailure()) return;
  }
}

// The host sends number and ids of each cut list, and place and id of each changed link.
TEST(EpochLinks, TheHostSendsNoListThatTheSealHasNotCut) {
  constexpr std::uint32_t M = 5;
  TwoMirrors mirrors(make_params(1, M, 10, 64), 900, Habit::mixed, 3);
  while (!mirrors.is_done()) mirrors.step(TwoMirrors::Holds::next);
  const std::uint64_t made =
      mirrors.made_stats.bytes_in - mirrors.changed_links * 2 * sizeof(NodeId);
  const std::uint64_t gathered = mirrors.gathered_stats.bytes_in;
  const std::size_t lists = mirrors.touched_lists - mirrors.cut_lists;
  EXPECT_GT(lists, 1000u);
  EXPECT_GT(mirrors.changed_links, 0u);
  EXPECT_GE(gathered - made, lists * (M + 1) * sizeof(NodeId));
  EXPECT_LE(gathered - made, lists * (2 * M + 1) * sizeof(NodeId));
}

}  // namespace
}  // namespace concord::test
