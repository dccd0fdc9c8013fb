// Journals of operations of every kind: additions, removals, updates, upserts and flushes. Whatever
// happens to machine, files and calls, what opens is the index after the first so many operations,
// nothing acknowledged is lost, and going on from there ends with the digest of a run undisturbed.

#include <cerrno>

#include "common/index/index_access.hpp"
#include "tests/crash/operations.hpp"
#include "tests/support/journal_file.hpp"

namespace concord::test {
namespace {

using core::file::RecordHeader;
using core::file::RecordKind;
using Call = MemoryFileSystem::Call;
using Fate = MemoryFileSystem::Fate;

/// Opens the index on this disk, which must be that of operations [least, most], and does the rest.
void expect_to_go_on(const Operations& operations, MemoryFileSystem& disk, std::size_t least,
                     std::size_t most, std::uint64_t seed,
                     Durability durability = Durability::synced) {
  const ScopedFileSystem in_place(disk);
  {
    Index index = operations.open(kIndexPath, durability);
    disk.set_oracle({});
    const std::size_t position = operations.position_of(index, least, most);
    expect_sound(index.audit());
    operations.apply_all(index, position, seed);
    ASSERT_EQ(index.digest(), operations.digests().back());
  }
  ASSERT_EQ(operations.open(kIndexPath, durability).digest(), operations.digests().back());
}

/// Files of an index at one moment, and which operations may be in it.
struct Moment {
  MemoryFileSystem disk;
  std::size_t acknowledged;
  std::size_t asked_for;
};

/// Plays all operations, with compactions and reopenings; takes every `every`-th moment.
std::vector<Moment> play(const Operations& operations, std::uint64_t seed, Durability durability,
                         std::size_t every) {
  MemoryFileSystem disk;
  std::vector<Moment> moments;
  std::size_t done = 0;
  std::size_t asked_for = 0;
  std::size_t calls = 0;
  disk.set_oracle([&](Call) {
    if (++calls % every == 0) moments.push_back({disk, done, asked_for});
    return Fate{};
  });
  const ScopedFileSystem in_place(disk);
  std::optional<Index> index = operations.open(kIndexPath, durability);
  for (std::uint64_t step = 0; done < operations.count(); ++step) {
    const std::uint64_t action = hash(seed, 9, step) % 12;
    if (action == 0) {
      index->compact();
    } else if (action == 1) {
      index.reset();
      index = operations.open(kIndexPath, durability);
    } else {
      asked_for =
          done + operations.length_of_call(done, 1 + hash(seed, 8, step) % (action < 6 ? 3 : 20));
      std::size_t left = action == 2 ? 1 : ~std::size_t{0};
      const ProgressCallback cancel = [&](std::uint64_t, std::uint64_t) { return --left > 0; };
      operations.apply(*index, done, asked_for - done, action == 2 ? cancel : ProgressCallback());
      done = asked_for = operations.position_of(*index, done, asked_for);
    }
    EXPECT_EQ(index->digest(), operations.digests()[done]);
    if (testing::Test::HasFailure()) return {};
  }
  return moments;
}

std::size_t crash_often(std::size_t wanted, Durability durability) {
  std::size_t crashes = 0;
  for (std::uint64_t seed = 1; crashes < wanted; ++seed) {
    const Operations operations(small_params(seed), 90, seed);
    for (const Moment& moment : play(operations, seed, durability, 5)) {
      for (const Survival survival : kAllSurvivals) {
        SCOPED_TRACE(testing::Message() << "operations " << seed << ", after crash " << crashes);
        MemoryFileSystem disk(moment.disk);
        if (hash(seed, 5, crashes) % 4 != 0) disk.crash(survival, hash(seed, 6, crashes));
        const bool is_kept = durability == Durability::synced || survival == Survival::all;
        expect_to_go_on(operations, disk, is_kept ? moment.acknowledged : 0, moment.asked_for, seed,
                        durability);
        ++crashes;
        if (testing::Test::HasFailure()) return crashes;
      }
    }
    if (testing::Test::HasFailure()) return crashes;
  }
  return crashes;
}

TEST(LivingJournal, LosesNothingAcknowledgedInACrash) {
  EXPECT_GE(crash_often(scaled(4000), Durability::synced), scaled(4000));
}

TEST(LivingJournal, LeavesAPrefixWhereSyncingIsLeftToTheSystem) {
  EXPECT_GE(crash_often(scaled(1000), Durability::system), scaled(1000));
}

// Torn records of every kind too: the journal ends at each byte of interest.
TEST(LivingJournal, OpensAtEveryLengthToAPrefix) {
  std::set<RecordKind> torn;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    const Operations operations(small_params(seed), 70, seed);
    MemoryFileSystem whole;
    std::vector<char> journal;
    {
      const ScopedFileSystem in_place(whole);
      Index index = operations.open(kIndexPath);
      operations.apply_all(index, 0, seed);
      journal = whole.content(kJournalPath);
    }
    const std::vector<std::size_t> ends = record_offsets(journal);
    std::size_t before = 0;
    for (std::size_t r = 0; r + 1 < ends.size(); ++r) {
      const auto header = read_at<RecordHeader>(journal, ends[r]);
      for (const std::size_t length : {ends[r], ends[r] + 40, ends[r] + 84, ends[r + 1] - 1}) {
        if (length >= ends[r + 1]) continue;
        if (length > ends[r]) torn.insert(header.kind);
        MemoryFileSystem disk;
        disk.replace(kJournalPath,
                     {journal.begin(), journal.begin() + static_cast<std::ptrdiff_t>(length)});
        const ScopedFileSystem in_place(disk);
        const Index index = operations.open(kIndexPath);
        const std::size_t position = operations.position_of(index, before, operations.count());
        ASSERT_FALSE(HasFailure()) << "length " << length;
        before = length == ends[r] ? position : before;
      }
    }
    expect_to_go_on(operations, whole, operations.count(), operations.count(), seed);
  }
  EXPECT_EQ(torn.size(), 5u) << "every kind of record was torn";
}

// Memory may keep the slots of unlinked vectors, or have given them back at another operation than
// the index that is opened. The file that compact() writes has none.
TEST(LivingJournal, GoesOnFromACompactedFileThatLacksUnlinkedSlots) {
  for (const std::uint32_t epoch_limit : {1U, 5U, 64U}) {
    const Operations operations(make_params(3, 3, 8, epoch_limit), 400, epoch_limit, 40);
    MemoryFileSystem disk;
    const ScopedFileSystem in_place(disk);
    std::optional<Index> index = operations.open(kIndexPath);
    for (std::size_t done = 0; done < operations.count();) {
      const std::size_t some = operations.length_of_call(done, 1 + hash(done, epoch_limit) % 9);
      operations.apply(*index, done, some);
      done += some;
      if (hash(done, 1) % 5 == 0) index->compact();
      if (hash(done, 2) % 7 != 0) continue;
      MemoryFileSystem other(disk);
      expect_to_go_on(operations, other, done, done, done);
      ASSERT_FALSE(HasFailure()) << "after " << done << " operations, limit " << epoch_limit;
    }
    EXPECT_GT(index->stats().removals, 50u);
    EXPECT_GT(IndexAccess::contents(*index).graph.slides(), 3u);
    EXPECT_EQ(index->digest(), operations.digests().back());
  }
}

/// An index file with a pending tombstone, and a journal that begins with its flush.
class FlushFirst : public testing::Test {
 protected:
  FlushFirst() {
    const ScopedFileSystem in_place(disk_);
    Index index = open();
    index.add(data_.view());
    index.remove(std::vector<std::uint64_t>{3, 9});
    EXPECT_EQ(index.stats().tombstones, 2u);
    index.compact();
    index.flush();
    journal_ = disk_.content(kJournalPath);
    digest_ = index.digest();
    index.compact();
  }
  Index open() const { return Index::open(kIndexPath, params_, Durability::synced, one_thread()); }

  // Opens with these bytes as the journal, and adds, three times.
  void expect_to_go_on_behind(const std::vector<char>& journal) {
    disk_.replace(kJournalPath, journal);
    const ScopedFileSystem in_place(disk_);
    for (std::uint64_t time = 0; time < 3; ++time) {
      Index index = open();
      EXPECT_EQ(index.digest(), digest_);
      index.add(data_.slice(0, 1), std::vector<std::uint64_t>{1000 + time});
      digest_ = index.digest();
    }
  }

  const IndexParams params_ = make_params(3, 3, 8, 64);
  const Matrix data_ = make_data(Shape::random, 100, 3, 5);
  MemoryFileSystem disk_;
  std::vector<char> journal_;
  std::string digest_;
};

// The machine goes down when the new file is in place and the new journal is not. The flush changes
// the digest of the file and none of its counts.
TEST_F(FlushFirst, OfAnOlderJournalIsAFlushOfTheFile) { expect_to_go_on_behind(journal_); }

// The same with a journal that lost its end, as Durability::system allows.
TEST_F(FlushFirst, LostWithTheEndOfAnOlderJournalIsInTheFile) {
  expect_to_go_on_behind({journal_.begin(), journal_.begin() + core::file::kRecordsBegin});
}

TEST_F(FlushFirst, IsNoExcuseForAFileOfOtherContent) {
  {
    const ScopedFileSystem in_place(disk_);
    Index other(params_, one_thread());
    other.add(make_data(Shape::random, 100, 3, 6).view());
    other.remove(std::vector<std::uint64_t>{3, 9});
    other.save(std::string(MemoryFileSystem::kDirectory) + "/other");
  }
  disk_.replace(kIndexPath, disk_.content(std::string(MemoryFileSystem::kDirectory) + "/other"));
  disk_.replace(kJournalPath, journal_);
  const ScopedFileSystem in_place(disk_);
  expect_error(ErrorCode::corrupt_file, {"another digest"}, [&] { open(); });
}

/// A journal of 100 vectors, a removal, an update and an upsert, forged with checksums made right.
class ForgedOperation : public testing::Test {
 protected:
  ForgedOperation() {
    const ScopedFileSystem in_place(disk_);
    Index index = open();
    index.add(data_.slice(0, 100));
    index.remove(std::vector<std::uint64_t>{3});
    index.update(data_.slice(100, 2), std::vector<std::uint64_t>{9, 11});
    index.upsert(data_.slice(102, 2), std::vector<std::uint64_t>{12, 1000});
    EXPECT_EQ(index.stats().tombstones, 4u) << "all is one epoch";
    journal_ = disk_.content(kJournalPath);
    const std::vector<std::size_t> all = record_offsets(journal_);
    for (const std::size_t offset : all) {
      if (offset == all.back()) break;
      const auto header = read_at<RecordHeader>(journal_, offset);
      if (header.kind == RecordKind::remove) removal_ = offset;
      if (header.kind != RecordKind::update) continue;
      (update_ == 0 ? update_ : upsert_) = offset;
    }
  }
  Index open() const {
    return Index::open(kIndexPath, make_params(3, 3, 8, 64), Durability::synced, one_thread());
  }
  void expect_refused(const std::string& why) {
    sign_journal(journal_);
    disk_.replace(kJournalPath, journal_);
    const ScopedFileSystem in_place(disk_);
    expect_error(ErrorCode::corrupt_file, {kJournalPath.string(), why}, [&] { open(); });
    EXPECT_EQ(disk_.content(kJournalPath), journal_);
  }

  const Matrix data_ = make_data(Shape::random, 104, 3, 5);
  MemoryFileSystem disk_;
  std::vector<char> journal_;
  std::size_t removal_ = 0, update_ = 0, upsert_ = 0;  ///< where their records are
  static constexpr std::size_t kLabels = sizeof(RecordHeader);
};

TEST_F(ForgedOperation, ThatIsNotForgedIsTaken) {
  disk_.replace(kJournalPath, journal_);
  const ScopedFileSystem in_place(disk_);
  EXPECT_EQ(open().size(), 100u);
}

TEST_F(ForgedOperation, RemovingWhatIsNotThereIsRefused) {
  write_at(journal_, removal_ + kLabels, std::uint64_t{100});
  expect_refused("removes label 100");
}

TEST_F(ForgedOperation, UpdatingWhatIsNotThereIsRefused) {
  write_at(journal_, update_ + kLabels, std::uint64_t{3});
  expect_refused("replaces other vectors");
}

TEST_F(ForgedOperation, UpdatingALabelTwiceIsRefused) {
  write_at(journal_, update_ + kLabels, std::uint64_t{11});
  expect_refused("label 11");
}

TEST_F(ForgedOperation, AddingWhatIsThereIsRefused) {
  write_at(journal_, upsert_ + kLabels + 8, std::uint64_t{20});
  expect_refused("replaces other vectors");
}

TEST_F(ForgedOperation, WithMoreAddedThanThereAreIsRefused) {
  write_at(journal_, upsert_ + offsetof(RecordHeader, added), std::uint32_t{2});
  expect_refused("no known kind");
}

TEST_F(ForgedOperation, ThatProposesARemovedVectorIsRefused) {
  const auto header = read_at<RecordHeader>(journal_, update_);
  const std::size_t rows =
      header.count * std::size_t{8} * core::bytes_of(static_cast<core::Element>(header.element));
  const std::size_t lists = update_ + kLabels + 8 * header.count;
  const std::size_t ids = lists + header.count;  // of layer 0 alone
  ASSERT_LE(update_ + header.length - rows - ids, 2 * 3 * 4 + 7u) << "both vectors have level 0";
  write_at(journal_, ids, std::uint32_t{3});
  expect_refused("a removed one");
}

// Every file operation of every call fails once; what fails for good comes back by compact().
TEST(LivingJournal, IsLeftByEveryFailingCallAsItWasOrAsAsked) {
  const Operations operations(make_params(3, 2, 8, 8), 60, 4);
  for (std::size_t first = 12; first < operations.count();) {
    const std::size_t some = operations.length_of_call(first, 12);
    MemoryFileSystem start;
    {
      const ScopedFileSystem in_place(start);
      Index index = operations.open(kIndexPath);
      for (std::size_t done = 0; done < first;) {
        const std::size_t length = operations.length_of_call(done, first - done);
        operations.apply(index, done, length);
        done += length;
        if (done * 2 > first && done * 2 < first + 20) index.compact();
      }
    }
    for (const Fate fate : {Fate{EIO, false}, Fate{ENOSPC, true}}) {
      bool reached = true;
      for (std::size_t at = 0; reached; ++at) {
        SCOPED_TRACE(testing::Message() << "operation " << first << ", file operation " << at);
        MemoryFileSystem disk(start);
        const ScopedFileSystem in_place(disk);
        std::optional<Index> index = operations.open(kIndexPath);
        std::size_t calls = 0;
        bool threw = false;
        disk.set_oracle([&](Call) { return calls++ == at ? fate : Fate{}; });
        try {
          operations.apply(*index, first, some);
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), ErrorCode::io) << error.what();
          threw = true;
        }
        disk.set_oracle({});
        reached = calls > at;
        const std::size_t least = threw ? first : first + some;
        const std::size_t position = operations.position_of(*index, least, first + some);
        expect_sound(index->audit());
        for (const Survival survival : kAllSurvivals) {
          MemoryFileSystem down(disk);
          down.crash(survival, at);
          expect_to_go_on(operations, down, least, first + some, at);
        }
        index->compact();
        operations.apply_all(*index, position, at);
        ASSERT_EQ(index->digest(), operations.digests().back());
        index.reset();
        ASSERT_EQ(operations.open(kIndexPath).digest(), operations.digests().back());
        ASSERT_FALSE(testing::Test::HasFailure());
      }
    }
    first += some;
  }
}

}  // namespace
}  // namespace concord::test
