// A device that computes wrongly without an error: the check finds it before a wrong link is made,
// the CPU goes on, and the bytes are the same. What is checked is a function of places alone.

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>

#include "common/base/mix64.hpp"
#include "common/build/proposal_check.hpp"
#include "tests/cuda/host_devices.hpp"

namespace concord::test {
namespace {

using core::checked_places;

TEST(CheckedPlaces, AreOneOfEachRunWhoeverAsks) {
  constexpr std::uint32_t kPlaces = 100'000;
  for (const double share : {1.0, 0.5, 0.3, 0.01, 0.001}) {
    const std::vector<std::uint32_t> all = checked_places(share, 7, 0, kPlaces);
    EXPECT_NEAR(static_cast<double>(all.size()), share * kPlaces, 1) << share;
    EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
    EXPECT_EQ(std::set<std::uint32_t>(all.begin(), all.end()).size(), all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      EXPECT_NEAR(all[i], static_cast<double>(i) / share, 1 / share) << share;
    }
    std::vector<std::uint32_t> pieces;
    for (std::uint32_t begin = 0; begin < kPlaces;) {
      const std::uint32_t end = std::min(kPlaces, begin + 1 + begin % 777);
      const std::vector<std::uint32_t> some = checked_places(share, 7, begin, end);
      pieces.insert(pieces.end(), some.begin(), some.end());
      begin = end;
    }
    EXPECT_EQ(pieces, all) << share;
  }
}

TEST(CheckedPlaces, AreAllNoneOrFew) {
  EXPECT_EQ(checked_places(1, 3, 10, 14), (std::vector<std::uint32_t>{10, 11, 12, 13}));
  EXPECT_TRUE(checked_places(0, 3, 0, 1000).empty());
  EXPECT_TRUE(checked_places(1, 3, 10, 10).empty());
  for (const double share : {1e-12, 1e-300, std::numeric_limits<double>::denorm_min()}) {
    std::size_t count = 0;
    for (std::uint64_t sequence = 0; sequence < 1000; ++sequence) {
      count += checked_places(share, sequence, 0, 1000).size();
    }
    EXPECT_LE(count, 1u) << share;
  }
}

// A kernel's fault may be in one lane of a warp: no lane is left out.
TEST(CheckedPlaces, AreInEveryLane) {
  std::set<std::uint32_t> lanes;
  for (const std::uint32_t place : checked_places(0.001, 0, 0, 1'000'000)) lanes.insert(place % 32);
  EXPECT_EQ(lanes.size(), 32u);
  EXPECT_NE(checked_places(0.001, 1024, 0, 1024), checked_places(0.001, 2048, 0, 1024));
}

// ------------------------------------------------------------------------------- a device that
// lies

/// Flips one bit in each million of what its kernels for additions return, or what a test says.
class LyingDevice : public cuda::HostDevice {
 public:
  struct Lies {
    std::uint64_t seed = 1;
    std::uint64_t bits = 1'000'000;  ///< one of so many
    bool in_proposals = true;
    bool in_highest_bits = false;  ///< those of the words that have the bits
    bool in_rankings = true;
    bool in_dominators = true;
  };
  explicit LyingDevice(Lies lies) : lies_(lies) {}

 protected:
  void do_propose_async(const cuda::MirrorView& view, const cuda::ProposeTask& task,
                        cuda::Stream stream) override {
    HostDevice::do_propose_async(view, task, stream);
    const std::uint32_t first = task.first_list[0];
    const std::size_t lists = task.first_list[task.end - task.begin] - first;
    if (lies_.in_proposals) flip(task.ids + std::size_t{first} * view.M, lists * view.M);
  }
  void do_score_lists_async(const cuda::MirrorView& view, const cuda::ScoreTask& task,
                            cuda::Stream stream) override {
    HostDevice::do_score_lists_async(view, task, stream);
    for (std::uint32_t i = 0; i < task.count; ++i) {
      const core::OverfullList& list = task.lists[i];
      const std::size_t first = list.first;
      if (lies_.in_rankings) flip(task.ranking + first, list.count);
      if (!lies_.in_dominators) continue;
      flip(task.dominators + first * task.words, std::size_t{list.count} * task.words);
    }
  }

 private:
  template <class T>
  void flip(T* words, std::size_t count) {
    constexpr std::uint64_t kBits = 8 * sizeof(T);
    for (const std::uint64_t end = passed_ + count * kBits; next() < end; ++flips_) {
      const std::uint64_t bit = next() - passed_;
      const std::uint64_t place = lies_.in_highest_bits ? kBits - 1 : bit % kBits;
      words[bit / kBits] ^= static_cast<T>(T{1} << place);
    }
    passed_ += count * kBits;
  }
  /// The next bit that is flipped: one in each run of lies_.bits.
  [[nodiscard]] std::uint64_t next() const {
    return flips_ * lies_.bits + core::mix64(lies_.seed * 1000 + flips_) % lies_.bits;
  }

  Lies lies_;
  std::uint64_t passed_ = 0;
  std::uint64_t flips_ = 0;
};

const Matrix& check_data() {
  static const Matrix data = make_data(Shape::clustered, 3200, 4);
  return data;
}
/// What is built of it, and the digest that must come of it.
struct Build {
  IndexParams params;
  std::string digest = digest_on("cpu", params, check_data());
};
/// Proposals of more than a million bits.
const Build& of_many_bits() {
  static const Build build{make_params(4, 16, 24, 512)};
  return build;
}
/// Short lists, of which seals have enough to cut for the device to score.
const Build& of_many_scores() {
  static const Build build{make_params(4, 2, 16, 512)};
  return build;
}

/// What came of a build on a device that lies.
struct Life {
  std::string digest;
  std::vector<std::string> warnings;
  DeviceStats device;
  std::size_t batches;  ///< that the device proposed, or pieces of them
};
Life live(const Build& build, LyingDevice::Lies lies, double share, unsigned threads = 2) {
  Calls calls;
  const HostDevices devices([=] { return std::make_unique<Watched<LyingDevice>>(lies); },
                            calls.hook());
  LogLines log;
  RuntimeOptions options = on("cuda", threads);
  options.checked_share = share;
  options.log = log.callback();
  Index index(build.params, options);
  index.add(check_data().view());
  expect_sound(index.audit());
  return {index.digest(), log.warnings, index.stats().device, calls.of("propose")};
}

void expect_found(const Life& life, const Build& build, const std::string& what) {
  EXPECT_EQ(life.digest, build.digest);
  ASSERT_EQ(life.warnings.size(), 1u);
  EXPECT_THAT(life.warnings[0], testing::ContainsRegex(what + " node [0-9]+ in layer [0-9]"));
  EXPECT_EQ(life.device.name, "cpu");
  EXPECT_THAT(life.device.reason, testing::HasSubstr("given up"));
}

TEST(DeviceCheck, OfAllFindsOneBitInAMillion) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(seed);
    const Life life = live(of_many_bits(), {.seed = seed}, 1);
    expect_found(life, of_many_bits(), "(proposal for|score of the links of)");
    EXPECT_GT(life.device.checked, 0u);
  }
}

// Without the check nobody notices: the tests around this one have something to find.
// Its lies are in what decides between links, because a wrong id might name no node.
TEST(DeviceCheck, OfNoneBelievesALie) {
  const Life life =
      live(of_many_scores(), {.bits = 4, .in_proposals = false, .in_rankings = false}, 0);
  EXPECT_NE(life.digest, of_many_scores().digest);
  EXPECT_TRUE(life.warnings.empty());
  EXPECT_EQ(life.device.checked, 0u);
}

TEST(DeviceCheck, OfAllFindsLiesInScores) {
  const Life life = live(of_many_scores(), {.bits = 10'000, .in_proposals = false}, 1);
  expect_found(life, of_many_scores(), "score of the links of");
}

// Its first batches have 64 nodes and more, so that one node of each is checked.
TEST(DeviceCheck, OfFewFindsADeviceThatAlwaysLiesInItsFirstBatch) {
  const Life life =
      live(of_many_bits(), {.bits = 64, .in_rankings = false, .in_dominators = false}, 1.0 / 64);
  expect_found(life, of_many_bits(), "proposal for");
  EXPECT_EQ(life.batches, 1u);
}

// Such a link would lead out of memory, so every proposal is looked at.
TEST(DeviceCheck, OfNearlyNoneFindsIdsOfNoEarlierNode) {
  const LyingDevice::Lies lies{
      .in_highest_bits = true, .in_rankings = false, .in_dominators = false};
  const Life life = live(of_many_bits(), lies, 1e-9);
  expect_found(life, of_many_bits(), "proposal for");
  EXPECT_EQ(life.device.checked, 0u);
}

TEST(DeviceCheck, FindsTheSameWhateverTheThreads) {
  const Life one = live(of_many_scores(), {.seed = 5, .bits = 200'000}, 1, 1);
  const Life three = live(of_many_scores(), {.seed = 5, .bits = 200'000}, 1, 3);
  EXPECT_EQ(one.warnings, three.warnings);
  EXPECT_EQ(one.device.checked, three.device.checked);
}

// ------------------------------------------------------------------------- a device that does not

TEST(DeviceCheck, OfAllAgreesWithEveryOrderOfADevicesWork) {
  const Matrix data = make_data(Shape::clustered, 1300, 4);
  const IndexParams params = make_params(4, 4, 16, 200);
  const std::string digest = digest_on("cpu", params, data);
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    SCOPED_TRACE(seed);
    const HostDevices devices(HostDevices::deferred(seed));
    LogLines log;
    RuntimeOptions options = on("cuda");
    options.checked_share = 1;
    options.log = log.callback();
    Index index(params, options);
    index.add(data.slice(0, 700));
    index.add(data.slice(700, 600));
    EXPECT_EQ(index.digest(), digest);
    EXPECT_TRUE(log.warnings.empty());
    const DeviceStats stats = index.stats().device;
    EXPECT_EQ(stats.name, "host team");
    // The CPU proposes epochs shorter than a device batch, which are those before node 320.
    EXPECT_GE(stats.checked, data.rows - 320);
    EXPECT_GT(stats.check_seconds, 0);
  }
}

TEST(DeviceCheck, AgreesAboutVectorsThatReplaceOthersAndCopies) {
  Matrix data = make_data(Shape::clustered, 1200, 4);
  for (std::size_t i = 0; i < 1200; i += 7) {
    std::copy_n(data.values.begin() + 4, 4,
                data.values.begin() + static_cast<std::ptrdiff_t>(4 * i));
  }
  const auto live = [&](const std::string& device, double share) {
    LogLines log;
    RuntimeOptions options = on(device);
    options.checked_share = share;
    options.log = log.callback();
    Index index(make_params(4, 4, 16, 128), options);
    index.add(data.view());
    std::vector<std::uint64_t> labels(300);
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = 3 * i;
    index.update(data.slice(600, labels.size()), labels);
    index.remove(std::vector<std::uint64_t>{1, 2, 4, 5});
    index.flush();
    index.add(data.slice(0, 500));
    EXPECT_TRUE(log.warnings.empty());
    return index.digest();
  };
  const std::string expected = live("cpu", 0);
  const HostDevices devices;
  EXPECT_EQ(live("cuda", 1), expected);
}

TEST(DeviceCheck, ChecksTheShareThatWasAskedFor) {
  const Build& build = of_many_scores();
  const auto checked = [&](double share) {
    const HostDevices devices;
    RuntimeOptions options = on("cuda");
    options.checked_share = share;
    Index index(build.params, options);
    index.add(check_data().view());
    EXPECT_EQ(index.digest(), build.digest);
    return index.stats().device.checked;
  };
  const double all = static_cast<double>(checked(1));
  EXPECT_EQ(checked(0), 0u);
  EXPECT_NEAR(static_cast<double>(checked(0.1)), 0.1 * all, 0.02 * all);
}

}  // namespace
}  // namespace concord::test
