// The machine goes down between any two file operations of random histories: whatever was not
// synced is lost in whole, in part or not at all. What an index then opens to is the index of the
// first so many vectors, to the last byte of its digest, and nothing acknowledged is lost.

#include <cerrno>

#include "tests/crash/reference.hpp"

namespace concord::test {
namespace {

/// The disk at one moment, and what must come back if the machine goes down then.
struct CrashPoint {
  MemoryFileSystem disk;
  std::size_t acknowledged;
  std::size_t asked_for;  ///< acknowledged, and what a call under way adds
};

/// A random history of one index: additions, cancelled ones too, compactions, reopenings.
class History {
 public:
  History(std::uint64_t seed, Durability durability)
      : seed_(seed),
        durability_(durability),
        reference_(params(), kRows, seed, static_cast<Reference::Elements>(draw(3)), draw(2) == 0) {
  }

  /// Plays it, and takes every `every`-th moment between two calls as a crash point.
  std::vector<CrashPoint> play(std::size_t every) {
    MemoryFileSystem disk;
    std::vector<CrashPoint> points;
    std::size_t calls = 0;
    disk.set_oracle([&](MemoryFileSystem::Call) {
      if (++calls % every == 0) points.push_back({disk, acknowledged_, asked_for_});
      return MemoryFileSystem::Fate{};
    });
    const ScopedFileSystem in_place(disk);
    {
      std::optional<Index> index = reference_.open(kIndexPath, durability_);
      while (index->size() < kRows) step(index);
      EXPECT_EQ(index->digest(), reference_.digest(kRows));
    }
    points.push_back({disk, acknowledged_, asked_for_});
    return points;
  }

  /// Goes down at `point` and comes up again, or only the process is killed there and the machine
  /// goes down later; returns how many crashes it checked.
  std::size_t check(const CrashPoint& point, Survival survival, std::uint64_t seed) const {
    MemoryFileSystem disk(point.disk);
    if (hash(seed, 8) % 4 != 0) disk.crash(survival, seed);
    // The machine may go down again while the index is opened.
    std::vector<CrashPoint> again;
    const std::uint64_t second = hash(seed, 1) % 32;
    std::uint64_t calls = 0;
    disk.set_oracle([&](MemoryFileSystem::Call) {
      if (calls++ == second) again.push_back({disk, point.acknowledged, point.asked_for});
      return MemoryFileSystem::Fate{};
    });
    std::size_t crashes = open_and_check(disk, point, survival, hash(seed, 6));
    for (const CrashPoint& later : again) {
      MemoryFileSystem down(later.disk);
      down.crash(survival, hash(seed, 2));
      crashes += open_and_check(down, later, survival, hash(seed, 7));
    }
    return crashes;
  }

 private:
  static constexpr std::size_t kRows = 48;

  std::uint64_t draw(std::uint64_t below) { return hash(seed_, 100, drawn_++) % below; }
  IndexParams params() {
    const std::uint32_t limits[] = {1, 3, 8, 64};
    return make_params(3, 2 + static_cast<std::uint32_t>(draw(3)), 8, limits[draw(4)],
                       kAllMetrics[draw(3)]);
  }

  void step(std::optional<Index>& index) {
    acknowledged_ = asked_for_ = index->size();
    const std::uint64_t action = draw(8);
    if (action == 0) {
      index->compact();
    } else if (action == 1) {
      index.reset();
      index = reference_.open(kIndexPath, durability_);
      EXPECT_EQ(index->size(), acknowledged_);
    } else {
      const std::size_t most = action < 5 ? 2 : 20;
      const std::size_t count = std::min(kRows - index->size(), 1 + draw(most));
      asked_for_ = index->size() + count;
      std::size_t left = action == 7 ? 1 + draw(2) : ~std::size_t{0};
      const ProgressCallback cancel = [&](std::uint64_t, std::uint64_t) { return --left > 0; };
      reference_.add(*index, count, action == 7 ? cancel : ProgressCallback());
      acknowledged_ = asked_for_ = index->size();
    }
  }

  std::size_t open_and_check(MemoryFileSystem& disk, const CrashPoint& point, Survival survival,
                             std::uint64_t seed) const {
    const ScopedFileSystem in_place(disk);
    go_on(disk, point, survival, seed);
    return 2;
  }
  /// Opens what a crash left, adds a little, goes down once more, and adds the rest.
  void go_on(MemoryFileSystem& disk, CrashPoint point, Survival survival,
             std::uint64_t seed) const {
    for (const bool again : {false, true}) {
      std::optional<Index> index = reference_.open(kIndexPath, durability_);
      disk.set_oracle({});
      ASSERT_NO_FATAL_FAILURE(reference_.expect_prefix(*index));
      for (const std::string& name : disk.names()) {
        ASSERT_THAT(name, testing::Not(testing::HasSubstr("unfinished"))) << "a leftover stays";
      }
      ASSERT_LE(index->size(), point.asked_for);
      // Left to the system, additions survive where the system does.
      if (durability_ == Durability::synced || survival == Survival::all) {
        ASSERT_GE(index->size(), point.acknowledged);
      }
      expect_sound(index->audit());
      const std::size_t left = kRows - index->size();
      reference_.add(*index, again ? left : std::min<std::size_t>(left, hash(seed, 3) % 4));
      point.acknowledged = point.asked_for = index->size();
      if (again) {
        ASSERT_EQ(index->digest(), reference_.digest(kRows));
      }
      index.reset();
      disk.crash(survival, hash(seed, 4));
    }
  }

  std::uint64_t seed_;
  std::uint64_t drawn_ = 0;
  Durability durability_;
  Reference reference_;
  std::size_t acknowledged_ = 0;
  std::size_t asked_for_ = 0;
};

/// Histories until `wanted` crashes were checked or a check failed; returns how many were.
std::size_t crash_often(std::size_t wanted, Durability durability) {
  std::size_t crashes = 0;
  for (std::uint64_t seed = 1; crashes < wanted; ++seed) {
    History history(seed, durability);
    for (const CrashPoint& point : history.play(5)) {
      for (const Survival survival : kAllSurvivals) {
        SCOPED_TRACE(testing::Message() << "history " << seed << ", after crash " << crashes);
        crashes += history.check(point, survival, hash(seed, 5, crashes));
        if (testing::Test::HasFailure()) return crashes;
      }
    }
  }
  return crashes;
}

TEST(CrashPoints, LoseNothingAcknowledged) {
  EXPECT_GE(crash_often(scaled(10000), Durability::synced), scaled(10000));
}

TEST(CrashPoints, LeaveAPrefixWhereSyncingIsLeftToTheSystem) {
  EXPECT_GE(crash_often(scaled(2000), Durability::system), scaled(2000));
}

}  // namespace
}  // namespace concord::test
