// Mirror: what the device holds after each step of an index's life is the version asked for.
#include "cuda/mirror.hpp"

#include <gtest/gtest.h>

#include <algorithm>

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
    Relay relay(built_.proposer, tell ? &mirror_ : nullptr);
    while (built_.graph.size() < size) {
      const NodeId node = built_.graph.size();
      built_.commit(built_.propose(built_.graph.epoch(), node, node + 1));
      if (built_.committer.seal_is_due()) built_.committer.seal(relay);
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
  [[nodiscard]] core::Epoch next() const { return open().next(kEpochLimit); }
  void hold_and_expect(const core::Epoch& epoch) {
    reserve_and_upload();
    mirror_.hold_version(epoch);
    expect_version(epoch);
  }

  /// Passes everything to the CPU and tells the mirror of seals.
  class Relay final : public RelayingProposer {
   public:
    Relay(core::RepairingProposer& cpu, cuda::Mirror* mirror)
        : RelayingProposer(cpu), mirror_(mirror) {}
    void sealed() override {
      RelayingProposer::sealed();
      if (mirror_ != nullptr) mirror_->sealed({});
    }

   private:
    cuda::Mirror* mirror_;
  };

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
