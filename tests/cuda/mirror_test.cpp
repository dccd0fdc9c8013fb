// Mirror: what the device holds after each step of an index's life is the version asked for.
#include "cuda/mirror.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "common/contents/slide.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/host_device.hpp"
#include "tests/support/relaying_proposer.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using core::kNoNode;
using core::NodeId;

class MirrorTest : public testing::Test {
 protected:
  static constexpr NodeId kNodes = 700;
  static constexpr std::uint32_t kEpochLimit = 90;

  MirrorTest()
      : built_(make_params(3, 2, 12, kEpochLimit), make_data(Shape::clustered, kNodes, 3)) {}

  /// Commits up to `size` nodes; if `tell`, the mirror is told of the seals.
  void grow_to(NodeId size, bool tell = true) {
    Relay relay(built_.proposer, tell ? &mirror_ : nullptr, stages_);
    while (built_.graph.size() < size) {
      const NodeId node = built_.graph.size();
      built_.commit(built_.propose(built_.graph.epoch(), node, node + 1));
      if (built_.committer.seal_is_due()) built_.committer.seal(relay);
    }
  }
  /// Removes living nodes, `step` ids apart, until the open epoch's seal has unlinked some.
  void remove_until_a_seal(NodeId first, NodeId step, bool tell = true) {
    Relay relay(built_.proposer, tell ? &mirror_ : nullptr, stages_);
    built_.graph.reserve_deaths(kEpochLimit);
    const std::uint32_t before = open().number;
    for (NodeId node = first % built_.graph.size();
         open().number == before && built_.graph.living() > 1;
         node = (node + step) % built_.graph.size()) {
      while (built_.graph.tombstones().is_dead(node, built_.graph.size())) {
        node = (node + 1) % built_.graph.size();
      }
      built_.graph.remove(node);
      if (built_.committer.seal_is_due()) built_.committer.seal(relay);
    }
  }
  void expect_deaths() {
    mirror_.bring_deaths(built_.graph.size());
    const cuda::MirrorView view = mirror_.view();
    ASSERT_NE(view.gone, nullptr);
    for (NodeId node = 0; node < built_.graph.size(); ++node) {
      ASSERT_EQ(view.gone[node], built_.graph.tombstones().gone(node)) << "node " << node;
    }
  }
  void reserve_and_upload() {
    mirror_.reserve(0);
    mirror_.upload_nodes(built_.graph.size());
  }

  /// The ids of a list on the device, continuations included.
  [[nodiscard]] std::vector<NodeId> list_on_device(NodeId node, std::uint32_t layer) const {
    const cuda::MirrorView view = mirror_.view();
    std::vector<NodeId> ids;
    for (const NodeId* list = view.links_of(node, layer); list != nullptr;) {
      const NodeId* const next = view.continuation(list, layer);
      const std::uint32_t width = view.list_width(layer) - (next == nullptr ? 0 : 1);
      for (std::uint32_t j = 0; j < width && list[j] != kNoNode; ++j) ids.push_back(list[j]);
      list = next;
    }
    return ids;
  }
  void expect_version(const core::Epoch& epoch) {
    const core::SealedVersion version = built_.graph.version_for(epoch);
    std::vector<NodeId> ids(core::kMaxListCapacity);
    for (NodeId node = 0; node < version.end; ++node) {
      for (std::uint32_t layer = 0; layer <= built_.graph.level(node); ++layer) {
        const auto n = built_.graph.read_sealed_list(version, built_.graph.table_of(layer),
                                                     built_.graph.list(node, layer), ids.data());
        ASSERT_EQ(list_on_device(node, layer), std::vector<NodeId>(ids.begin(), ids.begin() + n))
            << "node " << node << ", layer " << layer << ", version for epoch " << epoch.number;
      }
    }
  }
  /// Returns how many lists are longer than their width.
  std::size_t expect_live() {
    const Links lists = all_links(built_.graph);
    std::size_t overfull = 0;
    for (NodeId node = 0; node < built_.graph.size(); ++node) {
      for (std::uint32_t layer = 0; layer < lists[node].size(); ++layer) {
        EXPECT_EQ(list_on_device(node, layer), lists[node][layer])
            << "node " << node << ", layer " << layer << ", size " << built_.graph.size();
        overfull += lists[node][layer].size() > mirror_.view().list_width(layer);
      }
    }
    return overfull;
  }
  [[nodiscard]] core::Epoch open() const { return built_.graph.epoch(); }
  [[nodiscard]] core::Epoch next() const { return built_.graph.next_epoch(open()); }
  void hold_and_expect(const core::Epoch& epoch) {
    reserve_and_upload();
    mirror_.hold_version(epoch);
    expect_version(epoch);
  }

  /// Passes everything to the CPU and tells the mirror of seals.
  class Relay final : public RelayingProposer {
   public:
    Relay(core::RepairingProposer& cpu, cuda::Mirror* mirror, bool stages)
        : RelayingProposer(cpu), mirror_(mirror), stages_(stages) {}
    void sealed() override {
      RelayingProposer::sealed();
      if (mirror_ == nullptr) return;
      mirror_->sealed({});
      if (stages_) mirror_->stage_sealed();
    }

   private:
    cuda::Mirror* mirror_;
    bool stages_;
  };

  bool stages_ = false;  ///< what seals note is staged, as a DeviceProposer does
  GraphBuilder built_;
  cuda::HostDevice device_;
  DeviceStats stats_;
  cuda::Mirror mirror_{device_, built_.contents, built_.pool, stats_};
};

TEST_F(MirrorTest, HoldsVectorsAndLevels) {
  grow_to(300);
  reserve_and_upload();
  const cuda::MirrorView view = mirror_.view();
  EXPECT_EQ(view.n, 300u);
  std::vector<float> row(view.stride);
  for (NodeId node = 0; node < 300; ++node) {
    built_.vectors.copy(node, 1, row.data());
    EXPECT_TRUE(std::equal(row.begin(), row.end(), view.vector(node)));
    EXPECT_EQ(view.levels[node], built_.graph.level(node));
  }
  mirror_.forget_nodes(250);
  EXPECT_EQ(mirror_.view().n, 250u);
  row[0] = 123;
  built_.vectors.restore(260, 1, row.data(), built_.pool);
  mirror_.upload_nodes(300);
  EXPECT_EQ(mirror_.view().vector(260)[0], 123);
}

// The order of a build: the next epoch's version is wanted while the open one is committed.
TEST_F(MirrorTest, FollowsEverySeal) {
  while (built_.graph.size() < kNodes) {
    hold_and_expect(open());
    hold_and_expect(next());
    grow_to(std::min(open().end, kNodes));
  }
}

TEST_F(MirrorTest, FollowsSealsWhenTheOpenVersionAloneWasHeld) {
  while (built_.graph.size() < kNodes) {
    hold_and_expect(open());
    grow_to(std::min(open().end, kNodes));
  }
}

// Two deltas wait, or more seals pass than there are deltas.
TEST_F(MirrorTest, SkipsSeals) {
  for (const unsigned seals : {2u, 3u, 5u}) {
    hold_and_expect(next());
    for (unsigned i = 0; i < seals && built_.graph.size() < kNodes; ++i) {
      grow_to(std::min(open().end, kNodes));
    }
    hold_and_expect(open());
  }
}

TEST_F(MirrorTest, RewritesAVersionWithinItsEpoch) {
  for (NodeId size = 100; size < kNodes; size += 37) {
    grow_to(size);
    hold_and_expect(open());
    mirror_.hold_live();
    expect_live();
    hold_and_expect(open());
    hold_and_expect(next());
    hold_and_expect(next());
    mirror_.hold_live();
    expect_live();
    hold_and_expect(next());
  }
}

// As if the device was opened, or the index loaded, in mid-epoch.
TEST_F(MirrorTest, SealsItWasNotToldOf) {
  grow_to(kEpochLimit * 5 + 11, false);
  hold_and_expect(open());
  hold_and_expect(next());
  grow_to(std::min(next().end, kNodes));
  hold_and_expect(open());
}

TEST_F(MirrorTest, HoldsTheLiveGraphWithItsOverfullLists) {
  std::size_t overfull = 0;
  for (NodeId size = 1; size < kNodes; size += size < 50 ? 1 : 13) {
    grow_to(size);
    reserve_and_upload();
    mirror_.hold_live();
    overfull += expect_live();
  }
  EXPECT_GT(overfull, 100u);
}

// A seal that unlinks is followed by an empty epoch, so two epochs read what it leaves.
TEST_F(MirrorTest, FollowsSealsThatUnlink) {
  grow_to(300);
  for (NodeId round = 0; round < 8; ++round) {
    stages_ = round % 3 != 0;
    SCOPED_TRACE("round " + std::to_string(round));
    if (round % 4 != 3) hold_and_expect(open());
    if (round % 2 == 0) hold_and_expect(next());
    remove_until_a_seal(round * 31, 7 + round);
    if (round % 3 == 1) grow_to(std::min(open().end, kNodes));
    if (round % 3 == 2) remove_until_a_seal(round * 17, 11);
    hold_and_expect(round % 2 == 0 ? open() : next());
    hold_and_expect(next());
    hold_and_expect(open());
    expect_deaths();
    grow_to(open().begin + 9);
    hold_and_expect(open());
    hold_and_expect(next());
  }
}

// The live lists are those of the epoch that was sealed since.
TEST_F(MirrorTest, TakesTheLiveListsAcrossSeals) {
  grow_to(300);
  for (NodeId round = 0; round < 10; ++round) {
    stages_ = round % 3 != 0;
    SCOPED_TRACE("round " + std::to_string(round));
    reserve_and_upload();
    mirror_.hold_live();
    expect_live();
    const std::uint64_t before = stats_.bytes_in;
    if (round % 2 == 0) remove_until_a_seal(round * 31, 7);
    if (round % 3 != 0) grow_to(std::min(open().end + 5, kNodes));
    if (round % 5 == 4) hold_and_expect(open());
    reserve_and_upload();
    mirror_.hold_live();
    expect_live();
    if (round % 2 == 0) expect_deaths();
    if (round % 3 == 0) {
      EXPECT_LT(stats_.bytes_in - before, std::uint64_t{300} * 12 * 4) << "written as a whole";
    }
  }
}

TEST_F(MirrorTest, NoticesSealsThatUnlinkAndThatItWasNotToldOf) {
  grow_to(300);
  for (NodeId round = 0; round < 6; ++round) {
    hold_and_expect(next());
    if (round % 2 == 0) {
      reserve_and_upload();
      mirror_.hold_live();
    }
    remove_until_a_seal(round * 31, 7, false);
    if (round % 3 == 0) grow_to(std::min(open().end + 5, kNodes));
    reserve_and_upload();
    mirror_.hold_live();
    expect_live();
    expect_deaths();
    hold_and_expect(open());
  }
}

// Ids are others behind a slide: all is uploaded anew, whatever was held.
TEST_F(MirrorTest, BeginsAnewBehindASlide) {
  grow_to(300);
  built_.contents.labels.append({}, kNodes, 0);
  for (NodeId round = 0; round < 6; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    hold_and_expect(next());
    remove_until_a_seal(round * 31, 5);
    reserve_and_upload();
    if (round % 2 == 0) mirror_.hold_live();
    expect_deaths();
    built_.contents.discard_announced();
    core::slide(built_.contents);
    hold_and_expect(round % 3 == 0 ? open() : next());
    mirror_.hold_live();
    expect_live();
    expect_deaths();
    std::vector<float> row(mirror_.view().stride);
    for (NodeId node = 0; node < built_.graph.size(); ++node) {
      built_.vectors.copy(node, 1, row.data());
      ASSERT_TRUE(std::equal(row.begin(), row.end(), mirror_.view().vector(node)));
      ASSERT_EQ(mirror_.view().levels[node], built_.graph.level(node));
    }
  }
}

TEST_F(MirrorTest, DeathsTakeNoMemoryBeforeTheFirst) {
  grow_to(300);
  reserve_and_upload();
  mirror_.bring_deaths(300);
  EXPECT_EQ(mirror_.view().gone, nullptr);
  const std::size_t before = device_.held_bytes();
  built_.graph.reserve_deaths(1);
  reserve_and_upload();
  expect_deaths();
  EXPECT_GE(device_.held_bytes(), before + 300 * sizeof(NodeId));
}

// Announced replacements are marked for the views that will have them, and unmarked where the
// addition ends before.
TEST_F(MirrorTest, ReplacementsAreMarkedAheadAndTakenBack) {
  grow_to(300);
  core::Graph& graph = built_.graph;
  built_.contents.discard_announced();
  for (NodeId round = 0; round < 3; ++round) {
    graph.announce(graph.size() + 20);
    graph.reserve_deaths(20);
    std::vector<NodeId> old(20, kNoNode);
    for (NodeId j = 0; j < 20; j += 2) old[j] = round * 50 + j;
    graph.announce_replacements(old);
    mirror_.reserve(0);
    mirror_.bring_deaths(graph.size() + 11);
    for (NodeId node = graph.size(); node < graph.size() + 20; ++node) {
      const NodeId replaced = graph.replaced_by(node);
      if (replaced == kNoNode) continue;
      EXPECT_EQ(mirror_.view().gone[replaced], node < graph.size() + 11 ? node : kNoNode);
    }
    if (round == 1) {
      const NodeId node = graph.size();
      built_.commit(built_.propose(open(), node, node + 1));
    }
    built_.contents.discard_announced();
    expect_deaths();
  }
}

TEST_F(MirrorTest, UploadsOnlyWhatIsMissing) {
  grow_to(400);
  reserve_and_upload();
  mirror_.hold_live();
  const std::uint64_t before = stats_.bytes_in;
  reserve_and_upload();
  mirror_.hold_live();
  EXPECT_EQ(stats_.bytes_in, before);
  grow_to(401);
  reserve_and_upload();
  mirror_.hold_live();
  EXPECT_LT(stats_.bytes_in - before, 100u * 100);
}

}  // namespace
}  // namespace concord::test
