// Every file operation fails once, in every way: the error is a typed one, the index in memory is
// what it was or a longer prefix, what is on disk opens, and the index can be mended.

#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "tests/crash/reference.hpp"

namespace concord::test {
namespace {

using Call = MemoryFileSystem::Call;
using Fate = MemoryFileSystem::Fate;

/// A way to fail: one call, or that and all that follow, as where the disk is full.
struct Failure {
  const char* name;
  Fate fate;
  bool goes_on;
};
constexpr Failure kFailures[] = {{"EIO", {EIO, false}, false},
                                 {"ENOSPC from now on", {ENOSPC, false}, true},
                                 {"ENOSPC after half a write", {ENOSPC, true}, true},
                                 {"EROFS from now on", {EROFS, false}, true}};

const std::string kCopyPath = kIndexPath.string() + "-copy";

/// Lets a file system fail at its `at`-th call.
class FailAt {
 public:
  FailAt(MemoryFileSystem& disk, std::size_t at, const Failure& failure) : disk_(disk) {
    disk.set_oracle([=, this](Call call) {
      const bool hit = calls_ == at || (failure.goes_on && calls_ > at);
      ++calls_;
      if (!hit || !can_fail(call, failure)) return Fate{};
      failed_ = true;
      // Half of the first write reaches the disk; there is no room for more.
      return Fate{failure.fate.error, failure.fate.half_done && calls_ == at + 1};
    });
  }
  ~FailAt() { disk_.set_oracle({}); }
  FailAt(const FailAt&) = delete;
  FailAt& operator=(const FailAt&) = delete;

  [[nodiscard]] std::size_t calls() const { return calls_; }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  // A full or read-only disk can still be read, and files closed and removed.
  static bool can_fail(Call call, const Failure& failure) {
    if (failure.fate.error == EIO) return true;
    return call == Call::open || call == Call::write || call == Call::sync ||
           call == Call::truncate || call == Call::rename;
  }

  MemoryFileSystem& disk_;
  std::size_t calls_ = 0;
  bool failed_ = false;
};

class FailingCalls : public testing::Test {
 protected:
  FailingCalls() : reference_(make_params(3, 2, 8, 8), 40, 3) {}

  /// A compacted index of 12 vectors, 5 more in its journal.
  void make_disk(MemoryFileSystem& disk) const {
    const ScopedFileSystem in_place(disk);
    Index index = reference_.open(kIndexPath);
    reference_.add(index, 12);
    index.compact();
    reference_.add(index, 5);
  }
  static constexpr std::size_t kSize = 17;

  /// Makes each call of `act` on a fresh index fail in each way. `act` may make `acknowledged`
  /// more.
  void fail_each_call(const std::function<void(Index&, std::size_t& acknowledged)>& act) const {
    for (const Failure& failure : kFailures) {
      bool reached = true;
      for (std::size_t at = 0; reached; ++at) {
        SCOPED_TRACE(testing::Message() << failure.name << ", call " << at);
        MemoryFileSystem disk;
        make_disk(disk);
        const ScopedFileSystem in_place(disk);
        std::optional<Index> index = reference_.open(kIndexPath);
        std::size_t acknowledged = kSize;
        {
          const FailAt fail(disk, at, failure);
          expect_typed([&] { act(*index, acknowledged); });
          reached = fail.failed() || fail.calls() > at;
        }
        reference_.expect_prefix(*index);
        EXPECT_GE(index->size(), acknowledged);
        expect_sound(index->audit());
        check_disk(disk, acknowledged, index->size(), at);
        check_reopening(disk, acknowledged);
        check_mending(*index);
        const std::size_t size = index->size();
        index.reset();
        check_disk(disk, size, size, at);
        EXPECT_THAT(disk.names(),
                    testing::IsSubsetOf({kIndexPath.string(), kJournalPath.string(), kCopyPath}))
            << "temporary files are removed";
        if (HasFailure()) return;
      }
    }
  }

  template <class Action>
  static void expect_typed(const Action& action) {
    try {
      action();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::io) << error.what();
    }
  }

  // The machine goes down now.
  void check_disk(const MemoryFileSystem& disk, std::size_t least, std::size_t most,
                  std::uint64_t seed) const {
    for (const Survival survival : kAllSurvivals) {
      MemoryFileSystem down(disk);
      down.crash(survival, seed);
      const ScopedFileSystem in_place(down);
      const Index index = reference_.open(kIndexPath);
      reference_.expect_prefix(index);
      EXPECT_GE(index.size(), least);
      EXPECT_LE(index.size(), std::max(most, least + 20));  // of a call that was refused
    }
  }

  // Another process goes on from what is in the files, though it may not be on disk; then the
  // machine goes down.
  void check_reopening(const MemoryFileSystem& disk, std::size_t least) const {
    MemoryFileSystem other(disk);
    const ScopedFileSystem in_place(other);
    std::size_t size = 0;
    {
      Index index = reference_.open(kIndexPath);
      EXPECT_GE(index.size(), least);
      reference_.add(index, 1);
      size = index.size();
    }
    other.crash(Survival::none, 0);
    const Index index = reference_.open(kIndexPath);
    EXPECT_EQ(index.size(), size);
    reference_.expect_prefix(index);
  }

  // Adding goes on, at the latest after compact().
  void check_mending(Index& index) const {
    const std::size_t size = index.size();
    bool added = false;
    expect_typed([&] {
      reference_.add(index, 1);
      added = true;
    });
    EXPECT_EQ(index.size(), size + (added ? 1 : 0));
    reference_.expect_prefix(index);
    index.compact();
    reference_.add(index, 1);
    reference_.expect_prefix(index);
  }

  Reference reference_;
};

TEST_F(FailingCalls, OfAnAddition) {
  fail_each_call([&](Index& index, std::size_t& acknowledged) {
    reference_.add(index, 1);
    acknowledged = index.size();
  });
}

TEST_F(FailingCalls, OfAnAdditionOverSeveralEpochs) {
  fail_each_call([&](Index& index, std::size_t& acknowledged) {
    reference_.add(index, 20);
    acknowledged = index.size();
  });
}

// What the journal's thread could not write comes out of a call that was cancelled meanwhile, too.
TEST_F(FailingCalls, OfAnAdditionCancelledAfterItsFirstBatch) {
  fail_each_call([&](Index& index, std::size_t& acknowledged) {
    bool again = false;
    const std::size_t added = reference_.add(index, 20, [&](std::uint64_t, std::uint64_t) {
      if (!again) std::this_thread::sleep_for(std::chrono::milliseconds(21));  // to be asked again
      return !std::exchange(again, true);
    });
    EXPECT_GT(added, 0u);
    EXPECT_LT(added, 20u);
    acknowledged = index.size();
  });
}

TEST_F(FailingCalls, OfCompact) {
  fail_each_call([&](Index& index, std::size_t&) { index.compact(); });
}

TEST_F(FailingCalls, OfSavingElsewhere) {
  fail_each_call([&](Index& index, std::size_t&) { index.save(kCopyPath); });
}

// An addition of one epoch that fails leaves the index as it was.
TEST_F(FailingCalls, OfAnAdditionWithinAnEpochLeaveTheIndexAsItWas) {
  for (std::size_t at = 1; at < 5; ++at) {  // call 0 looks if the journal is still there
    MemoryFileSystem disk;
    make_disk(disk);
    const ScopedFileSystem in_place(disk);
    Index index = reference_.open(kIndexPath);
    const FailAt fail(disk, at, kFailures[0]);
    expect_error(ErrorCode::io, {"journal"}, [&] { reference_.add(index, 1); });
    EXPECT_EQ(index.size(), kSize);
    EXPECT_EQ(index.digest(), reference_.digest(kSize));
    expect_error(ErrorCode::io, {"compact()", "Input/output error"},
                 [&] { reference_.add(index, 1); });
  }
}

// Opening that fails leaves the files as they were, or as well as they were.
TEST_F(FailingCalls, OfOpening) {
  for (const bool torn : {false, true}) {
    for (const Failure& failure : kFailures) {
      bool reached = true;
      for (std::size_t at = 0; reached; ++at) {
        SCOPED_TRACE(testing::Message() << failure.name << ", call " << at);
        MemoryFileSystem disk;
        make_disk(disk);
        const ScopedFileSystem in_place(disk);
        if (torn) {
          std::vector<char> journal = disk.content(kJournalPath);
          journal.resize(journal.size() + 24, 'x');
          disk.replace(kJournalPath, journal);
        }
        {
          const FailAt fail(disk, at, failure);
          expect_typed([&] { EXPECT_EQ(reference_.open(kIndexPath).size(), kSize); });
          reached = fail.failed() || fail.calls() > at;
        }
        check_disk(disk, kSize, kSize, at);
        check_reopening(disk, kSize);
        EXPECT_EQ(reference_.open(kIndexPath).digest(), reference_.digest(kSize));
        if (HasFailure()) return;
      }
    }
  }
}

TEST_F(FailingCalls, OfOpeningWhatIsNotThere) {
  for (const Failure& failure : kFailures) {
    bool reached = true;
    for (std::size_t at = 0; reached; ++at) {
      SCOPED_TRACE(testing::Message() << failure.name << ", call " << at);
      MemoryFileSystem disk;
      const ScopedFileSystem in_place(disk);
      {
        const FailAt fail(disk, at, failure);
        expect_typed([&] { EXPECT_TRUE(reference_.open(kIndexPath).empty()); });
        reached = fail.failed() || fail.calls() > at;
      }
      Index index = reference_.open(kIndexPath);
      reference_.add(index, 3);
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace concord::test
