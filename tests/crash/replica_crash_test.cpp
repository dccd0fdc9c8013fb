// A replica that looks at its writer's files at any of the writer's file operations is the index
// after so many operations, and never has one that a crash can take away from the writer.

#include <concord/replica.hpp>

#include "common/base/finally.hpp"
#include "tests/crash/operations.hpp"

namespace concord::test {
namespace {

using Call = MemoryFileSystem::Call;
using Fate = MemoryFileSystem::Fate;

/// The writer's disk at one moment, and how many operations a replica had then.
struct Moment {
  MemoryFileSystem disk;
  std::size_t seen;
  std::size_t asked_for;
};

/// Does all operations, with compactions and reopenings, and has a replica look now and then.
class Watched {
 public:
  Watched(const Operations& operations, std::uint64_t seed, Durability durability, bool is_far)
      : operations_(operations), seed_(seed), durability_(durability), is_far_(is_far) {}

  std::vector<Moment> play() {
    MemoryFileSystem disk;
    const ScopedFileSystem in_place(disk);
    std::size_t calls = 0;
    disk.set_oracle([&](Call) {
      if (!is_looking_ && ++calls % 5 == 0) look(disk);
      return Fate{};
    });
    {
      std::optional<Index> index = operations_.open(kIndexPath, durability_);
      for (std::uint64_t step = 0; done_ < operations_.count(); ++step) {
        act(index, hash(seed_, 9, step) % 12, 1 + hash(seed_, 8, step) % (step % 2 == 0 ? 3 : 20));
      }
    }
    disk.set_oracle({});
    look(disk);
    EXPECT_EQ(replica_->index()->digest(), operations_.digests().back());
    EXPECT_EQ(replica_->lag().bytes, 0u);
    return std::move(moments_);
  }

 private:
  void act(std::optional<Index>& index, std::uint64_t action, std::size_t most) {
    if (action == 0) return index->compact();
    if (action == 1) {
      index.reset();
      index = operations_.open(kIndexPath, durability_);
      return;
    }
    asked_for_ = done_ + operations_.length_of_call(done_, most);
    operations_.apply(*index, done_, asked_for_ - done_);
    done_ = asked_for_;
    if (durability_ == Durability::system && is_far_) return;
    is_looking_ = true;
    const core::Finally looked([&] { is_looking_ = false; });
    replica_->catch_up();
    EXPECT_EQ(replica_->index()->digest(), operations_.digests()[done_])
        << "what was acknowledged is not seen";
    EXPECT_EQ(replica_->lag().operations, 0u);
  }

  void look(MemoryFileSystem& disk) {
    is_looking_ = true;
    const std::uint64_t start = is_far_ ? disk.pretend_start(77) : 0;
    const core::Finally looked([&] {
      if (is_far_) disk.pretend_start(start);
      is_looking_ = false;
    });
    try {
      if (!replica_) replica_.emplace(Replica::open(kIndexPath, one_thread()));
      replica_->catch_up();
    } catch (const Error& error) {
      ASSERT_EQ(error.system_error(), ENOENT) << error.what();
      return;
    }
    const std::size_t seen = operations_.position_of(*replica_->index(), seen_, asked_for_);
    seen_ = seen;
    moments_.push_back({disk, seen, asked_for_});
    if (is_far_) moments_.back().disk.pretend_start(start);
  }

  const Operations& operations_;
  std::uint64_t seed_;
  Durability durability_;
  bool is_far_;
  bool is_looking_ = false;
  std::optional<Replica> replica_;
  std::size_t seen_ = 0, done_ = 0, asked_for_ = 0;
  std::vector<Moment> moments_;
};

void crash_often(std::size_t wanted, Durability durability, bool is_far) {
  std::size_t crashes = 0;
  for (std::uint64_t seed = 1; crashes < wanted; ++seed) {
    const Operations operations(small_params(seed), 60, seed);
    for (const Moment& moment : Watched(operations, seed, durability, is_far).play()) {
      SCOPED_TRACE(testing::Message() << "operations " << seed << ", after crash " << crashes);
      MemoryFileSystem disk(moment.disk);
      if (is_far) disk.crash(kAllSurvivals[crashes % std::size(kAllSurvivals)], crashes);
      const ScopedFileSystem in_place(disk);
      const Index index = operations.open(kIndexPath, durability);
      EXPECT_GE(operations.position_of(index, moment.seen, moment.asked_for), moment.seen);
      ++crashes;
      if (testing::Test::HasFailure()) return;
    }
    if (testing::Test::HasFailure()) return;
  }
}

// On another machine, which stays up.
TEST(ReplicaOfACrash, HasNothingThatAPowerCutTakesFromTheWriter) {
  crash_often(scaled(2000), Durability::synced, true);
}

TEST(ReplicaOfACrash, HasNothingUnsyncedOfAnotherMachine) {
  crash_often(scaled(1000), Durability::system, true);
}

// On the writer's machine: the writer is killed, and the replica has what was acknowledged.
TEST(ReplicaOfACrash, HasNothingThatTheEndOfTheWriterTakes) {
  crash_often(scaled(1000), Durability::synced, false);
  crash_often(scaled(1000), Durability::system, false);
}

}  // namespace
}  // namespace concord::test
