// A replica beside a writer in a file system of the test: compactions, files that someone else has
// changed or replaced, promotion, and what may be done with its index.

#include <fcntl.h>

#include <concord/replica.hpp>

#include "common/system/file.hpp"
#include "tests/crash/operations.hpp"
#include "tests/support/journal_file.hpp"

namespace concord::test {
namespace {

using core::file::RecordHeader;
using core::file::RecordKind;

const std::filesystem::path kOtherPath =
    std::filesystem::path(MemoryFileSystem::kDirectory) / "other";

class OneReplica : public testing::Test {
 protected:
  Index open(const std::filesystem::path& path = kIndexPath) const {
    return Index::open(path, params_, Durability::synced, one_thread());
  }
  static Replica follow() { return Replica::open(kIndexPath, one_thread()); }
  void add(Index& index, std::size_t count, const Matrix& data) const {
    index.add(data.slice(index.stats().insertions, count));
  }
  void add(Index& index, std::size_t count) const { add(index, count, data_); }
  /// A writer that opens the index, does one thing, and closes it.
  void add_and_close(std::size_t count) const {
    Index index = open();
    add(index, count);
  }
  void remove_and_close(std::uint64_t label) const {
    Index index = open();
    index.remove(std::vector{label});
  }

  /// Writes these bytes into the file, which stays the same file.
  static void write_in_place(const std::filesystem::path& path, const std::vector<char>& bytes) {
    const core::File file(path, O_RDWR);
    file.truncate(bytes.size());
    file.write(0, bytes.data(), bytes.size());
  }
  void expect_diverged(Replica& replica, const std::vector<std::string>& words) const {
    EXPECT_THROW(replica.catch_up(), DivergedError);
    expect_error(ErrorCode::corrupt_file, words, [&] { replica.catch_up(); });
    EXPECT_THROW(static_cast<void>(replica.index()), DivergedError);
    EXPECT_THROW(static_cast<void>(replica.lag()), DivergedError);
    EXPECT_THROW(replica.promote(), DivergedError);
  }
  /// Puts the files of another index there, with other vectors.
  void replace_by_other(std::size_t vectors, std::size_t before_compaction) {
    const Matrix others = make_data(Shape::random, 400, 3, 99);
    {
      Index other = open(kOtherPath);
      if (before_compaction > 0) add(other, before_compaction, others);
      other.compact();
      if (vectors > before_compaction) add(other, vectors - before_compaction, others);
    }
    disk_.replace(kIndexPath, disk_.content(kOtherPath));
    disk_.replace(kJournalPath, disk_.content(kOtherPath.string() + ".journal"));
  }

  const IndexParams params_ = make_params(3, 3, 8, 16);
  const Matrix data_ = make_data(Shape::random, 400, 3, 5);
  MemoryFileSystem disk_;
  const ScopedFileSystem in_place_{disk_};
};

TEST_F(OneReplica, NeedsAJournal) {
  const auto expect_none = [] {
    const std::optional<Error> error = error_of([] { follow(); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->system_error(), ENOENT) << error->what();
  };
  expect_none();
  expect_error(ErrorCode::io, {"there is no journal", "was opened with one"}, [] { follow(); });
  Index(params_, one_thread()).save(kIndexPath);
  expect_none();
  disk_.replace(kJournalPath, {});
  expect_none();
}

TEST_F(OneReplica, SeesEachCallOnceItHasReturned) {
  Index index = open();
  Replica replica = follow();
  EXPECT_EQ(replica.catch_up(), 0u);
  EXPECT_EQ(replica.index()->size(), 0u);
  for (const std::size_t count : {1U, 2U, 15U, 16U, 17U, 50U}) {
    add(index, count);
    EXPECT_EQ(replica.lag().operations, count);
    EXPECT_GT(replica.lag().bytes, 0u);
    EXPECT_EQ(replica.catch_up(), count);
    EXPECT_EQ(replica.lag().operations, 0u);
    EXPECT_EQ(replica.lag().bytes, 0u);
    ASSERT_EQ(replica.index()->digest(), index.digest());
  }
  index.remove(std::vector<std::uint64_t>{3, 9, 40});
  EXPECT_EQ(replica.catch_up(), 3u);
  index.update(data_.slice(300, 2), std::vector<std::uint64_t>{10, 11});
  EXPECT_EQ(replica.catch_up(), 4u) << "an update is an insertion and a removal";
  index.flush();
  EXPECT_EQ(replica.catch_up(), 0u);
  EXPECT_EQ(replica.index()->digest(), index.digest());
  expect_sound(replica.index()->audit());
}

TEST_F(OneReplica, GoesOnBehindEachCompaction) {
  Index index = open();
  Replica replica = follow();
  const std::shared_ptr<const Index> shown = replica.index();
  for (int round = 0; round < 5; ++round) {
    add(index, 20);
    if (round % 2 == 0) replica.catch_up();
    index.compact();
    if (round % 3 == 0) add(index, 7);
    replica.catch_up();
    ASSERT_EQ(replica.index()->digest(), index.digest()) << "round " << round;
  }
  EXPECT_EQ(replica.index(), shown) << "the files were never read anew";
}

TEST_F(OneReplica, FarBehindReadsTheFilesAnew) {
  Index index = open();
  add(index, 20);
  Replica replica = follow();
  const std::shared_ptr<const Index> before = replica.index();
  for (int round = 0; round < 10; ++round) {
    add(index, 20);
    index.remove(std::vector<std::uint64_t>{static_cast<std::uint64_t>(round)});
    index.compact();
  }
  EXPECT_EQ(replica.lag().operations, 210u);
  EXPECT_EQ(replica.catch_up(), 210u);
  EXPECT_EQ(replica.index()->digest(), index.digest());
  EXPECT_EQ(before->stats().insertions, 40u) << "whoever holds it may use it on";
  expect_sound(before->audit());
  add(index, 5);
  EXPECT_EQ(replica.catch_up(), 5u);
  EXPECT_EQ(replica.index()->digest(), index.digest());
}

// The journal in which the flush stood is gone, and no count tells of it.
TEST_F(OneReplica, DoesTheFlushThatItHasMissed) {
  Index index = open();
  add(index, 40);
  index.remove(std::vector<std::uint64_t>{3, 4});
  Replica replica = follow();
  index.compact();
  index.flush();
  index.compact();
  ASSERT_NE(replica.index()->digest(), index.digest());
  replica.catch_up();
  EXPECT_EQ(replica.index()->digest(), index.digest());
}

TEST_F(OneReplica, OpensBesideAFileThatIsAheadOfTheJournal) {
  std::vector<char> journal;
  {
    Index index = open();
    add(index, 30);
    journal = disk_.content(kJournalPath);
    index.compact();
  }
  disk_.replace(kJournalPath, journal);  // as if the machine had gone down between the two
  Replica replica = follow();
  EXPECT_EQ(replica.index()->size(), 30u);
  Index index = open();
  add(index, 3);
  EXPECT_EQ(replica.catch_up(), 3u);
  EXPECT_EQ(replica.index()->digest(), index.digest());
}

TEST_F(OneReplica, OfFilesOfAnotherHistoryHasDiverged) {
  struct Case {
    std::size_t before, vectors, before_compaction;
  };
  for (const Case& c : {Case{20, 20, 20}, Case{20, 30, 20}, Case{20, 30, 0}, Case{20, 30, 25},
                        Case{20, 10, 0}, Case{20, 10, 10}}) {
    SCOPED_TRACE(testing::Message() << c.vectors << ", compacted at " << c.before_compaction);
    MemoryFileSystem fresh;
    const ScopedFileSystem in_place(fresh);
    const Matrix others = make_data(Shape::random, 400, 3, 99);
    std::optional<Index> index = open();
    add(*index, c.before);
    Replica replica = follow();
    const std::shared_ptr<const Index> shown = replica.index();
    index.reset();
    for (const char* suffix : {"", ".journal"}) {
      if (fresh.exists(kIndexPath.string() + suffix)) {
        core::file_system().unlink((kIndexPath.string() + suffix).c_str());
      }
    }
    {
      Index other = open();
      if (c.before_compaction > 0) {
        add(other, c.before_compaction, others);
        other.compact();
      }
      add(other, c.vectors - c.before_compaction, others);
    }
    expect_diverged(replica, {kIndexPath.string()});
    EXPECT_EQ(shown->size(), c.before);
  }
}

TEST_F(OneReplica, OfAnOlderCopyOfTheFilesHasDiverged) {
  Index index = open();
  add(index, 20);
  const std::vector<char> older = disk_.content(kJournalPath);
  add(index, 20);
  Replica replica = follow();
  disk_.replace(kJournalPath, older);
  expect_diverged(replica, {"lacks operations"});
}

// The operations are as many, and vectors and labels that both have are the same.
TEST_F(OneReplica, OfAnOlderCopyThatWentOnOtherwiseHasDiverged) {
  add_and_close(20);
  const std::vector<char> older = disk_.content(kJournalPath);
  remove_and_close(3);
  Replica replica = follow();
  disk_.replace(kJournalPath, older);
  Index index = open();
  index.remove(std::vector<std::uint64_t>{4});
  add(index, 3);
  expect_diverged(replica, {"digest"});
}

TEST_F(OneReplica, OfTheSameOperationsInAnotherOrderHasDiverged) {
  {
    Index index = open();
    add(index, 20);
    index.remove(std::vector<std::uint64_t>{3});
    add(index, 40);
  }
  Replica replica = follow();
  core::file_system().unlink(kJournalPath.c_str());
  Index index = open();
  add(index, 60);
  index.remove(std::vector<std::uint64_t>{3});
  expect_diverged(replica, {"digest"});
}

// It stands exactly where the replica stands, which reads no record behind it.
TEST_F(OneReplica, OfAnotherLastCloseAtItsPlaceHasDiverged) {
  add_and_close(20);
  const std::vector<char> older = disk_.content(kJournalPath);
  remove_and_close(3);
  Replica replica = follow();
  write_in_place(kJournalPath, older);
  remove_and_close(4);
  expect_diverged(replica, {"last closed"});
}

TEST_F(OneReplica, OfFilesWithFewerRemovalsHasDiverged) {
  {
    Index index = open();
    add(index, 20);
    index.remove(std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6, 7, 8});
  }
  Replica replica = follow();
  core::file_system().unlink(kJournalPath.c_str());
  Index index = open();
  add(index, 25);
  index.compact();
  expect_diverged(replica, {"lacks operations"});
}

TEST_F(OneReplica, OfFilesInWhichItsDeadLiveHasDiverged) {
  {
    Index index = open();
    add(index, 20);
    index.remove(std::vector<std::uint64_t>{3});
  }
  Replica replica = follow();
  core::file_system().unlink(kJournalPath.c_str());
  Index index = open();
  add(index, 25);
  index.remove(std::vector<std::uint64_t>{4, 5});
  index.compact();
  expect_diverged(replica, {"removed"});
}

// As rsync and restored backups do. The flush changes the digest and no count.
TEST_F(OneReplica, GoesOnInACopyOfTheJournal) {
  Index index = open();
  add(index, 40);
  index.remove(std::vector<std::uint64_t>{3, 4});
  index.compact();
  Replica replica = follow();
  const std::shared_ptr<const Index> shown = replica.index();
  index.flush();
  replica.catch_up();
  const std::vector<char> copy = disk_.content(kJournalPath);
  add(index, 20);
  const std::vector<char> longer = disk_.content(kJournalPath);
  disk_.replace(kJournalPath, copy);
  EXPECT_EQ(replica.catch_up(), 0u);
  disk_.replace(kJournalPath, longer);
  EXPECT_EQ(replica.lag().operations, 20u);
  EXPECT_LT(replica.lag().bytes, longer.size() - copy.size() + 1);
  EXPECT_EQ(replica.catch_up(), 20u);
  EXPECT_EQ(replica.index()->digest(), index.digest());
  EXPECT_EQ(replica.index(), shown);
}

// A copy of the index from before the flush lacks an operation, which no count tells.
TEST_F(OneReplica, OfACopyWithoutItsFlushHasDiverged) {
  Index index = open();
  add(index, 40);
  index.remove(std::vector<std::uint64_t>{3, 4});
  index.compact();
  const std::vector<char> older = disk_.content(kJournalPath);
  index.flush();
  Replica replica = follow();
  disk_.replace(kJournalPath, older);
  expect_diverged(replica, {"digest"});
}

// The server of a network file system says so of a file that has lost its name.
TEST_F(OneReplica, OpensAStaleFileAnew) {
  Index index = open();
  add(index, 20);
  Replica replica = follow();
  add(index, 20);
  index.compact();
  add(index, 20);
  bool is_stale = true;
  disk_.set_oracle([&](MemoryFileSystem::Call call) {
    if (call == MemoryFileSystem::Call::open) is_stale = false;
    if (!is_stale || call != MemoryFileSystem::Call::read) return MemoryFileSystem::Fate{};
    return MemoryFileSystem::Fate{ESTALE, false};
  });
  EXPECT_EQ(replica.catch_up(), 40u);
  disk_.set_oracle({});
  EXPECT_EQ(replica.index()->digest(), index.digest());
}

TEST_F(OneReplica, OfAJournalThatWasCutHasDiverged) {
  Index index = open();
  add(index, 20);
  const std::vector<char> older = disk_.content(kJournalPath);
  add(index, 20);
  Replica replica = follow();
  write_in_place(kJournalPath, older);
  expect_diverged(replica, {"shortened"});
}

TEST_F(OneReplica, OfAnotherJournalInTheSameFileHasDiverged) {
  Index index = open();
  add(index, 20);
  Replica replica = follow();
  {
    Index other = open(kOtherPath);
    add(other, 10);
    other.compact();
    add(other, 30);
  }
  write_in_place(kJournalPath, disk_.content(kOtherPath.string() + ".journal"));
  expect_diverged(replica, {"another journal"});
}

// What it has read is not read again. The next mark tells.
TEST_F(OneReplica, OfARecordForgedBehindItHasDiverged) {
  {
    Index index = open();
    add(index, 20);
    index.remove(std::vector<std::uint64_t>{7});
  }
  Replica replica = follow();
  add_and_close(1);
  std::vector<char> journal = disk_.content(kJournalPath);
  for (const std::size_t offset : record_offsets(journal)) {
    if (read_at<RecordHeader>(journal, offset).kind != RecordKind::remove) continue;
    write_at(journal, offset + sizeof(RecordHeader), std::uint64_t{8});
    break;
  }
  sign_journal(journal);
  write_in_place(kJournalPath, journal);
  expect_diverged(replica, {"a mark is not one of the records before it"});
}

TEST_F(OneReplica, OfADamagedRecordIsAsItWas) {
  Index index = open();
  add(index, 20);
  Replica replica = follow();
  const std::shared_ptr<const Index> shown = replica.index();
  const std::size_t first = disk_.content(kJournalPath).size();
  add(index, 40);
  const std::vector<char> whole = disk_.content(kJournalPath);
  const std::size_t last_mark = sizeof(RecordHeader) + sizeof(core::file::Mark);
  for (std::size_t at = first; at < whole.size() - last_mark; at += 61) {
    std::vector<char> damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    write_in_place(kJournalPath, damaged);
    const std::optional<Error> error = error_of([&] { replica.catch_up(); });
    ASSERT_TRUE(error) << "byte " << at;
    EXPECT_EQ(error->code(), ErrorCode::corrupt_file);
    EXPECT_EQ(error_of([] { follow(); })->code(), ErrorCode::corrupt_file);
    ASSERT_EQ(replica.index(), shown) << "what it has is sound";
  }
  write_in_place(kJournalPath, whole);
  replica.catch_up();
  EXPECT_EQ(replica.index()->digest(), index.digest());
}

// --------------------------------------------------------------------------------------- promotion

TEST_F(OneReplica, IsPromotedOnceTheWriterIsGone) {
  std::optional<Index> index = open();
  add(*index, 30);
  Replica replica = follow();
  const std::shared_ptr<const Index> shown = replica.index();
  add(*index, 10);
  expect_error(ErrorCode::io, {"in use"}, [&] { replica.promote(); });
  index->remove(std::vector<std::uint64_t>{5});
  EXPECT_EQ(replica.catch_up(), 11u) << "it goes on as a replica";
  add(*index, 10);
  index.reset();
  const std::shared_ptr<Index> promoted = replica.promote();
  EXPECT_EQ(promoted->size(), 49u) << "with what was not followed yet";
  EXPECT_EQ(replica.index(), promoted);
  EXPECT_EQ(shown->size(), 49u) << "whoever holds it may use it on";
  expect_error(ErrorCode::unsupported, {"promoted"}, [&] { replica.catch_up(); });
  expect_error(ErrorCode::unsupported, {"promoted"}, [&] { static_cast<void>(replica.lag()); });
  expect_error(ErrorCode::unsupported, {"promoted"}, [&] { replica.promote(); });
  expect_error(ErrorCode::io, {"in use"}, [&] { open(); });

  Replica next = follow();
  add(*promoted, 20);
  promoted->compact();
  promoted->flush();
  add(*promoted, 20);
  next.catch_up();
  EXPECT_EQ(next.index()->digest(), promoted->digest());
  Index undisturbed(params_, one_thread());
  add(undisturbed, 40);
  undisturbed.remove(std::vector<std::uint64_t>{5});
  add(undisturbed, 30);
  undisturbed.flush();
  add(undisturbed, 20);
  EXPECT_EQ(promoted->digest(), undisturbed.digest());
}

TEST_F(OneReplica, IsPromotedBehindACompactionThatItHasNotSeen) {
  std::optional<Index> index = open();
  add(*index, 30);
  Replica replica = follow();
  for (int round = 0; round < 3; ++round) {
    add(*index, 10);
    index->compact();
  }
  add(*index, 1);
  const std::string digest = index->digest();
  index.reset();
  EXPECT_EQ(replica.promote()->digest(), digest);
}

// A writer whose disk is full can leave them so: compact() has saved what the journal lacks.
TEST_F(OneReplica, IsPromotedWithAnIndexFileThatIsAheadOfTheJournal) {
  std::optional<Index> index = open();
  add(*index, 30);
  Replica replica = follow();
  const std::vector<char> journal = disk_.content(kJournalPath);
  add(*index, 20);
  index->compact();
  index.reset();
  disk_.replace(kJournalPath, journal);
  replica.catch_up();
  ASSERT_EQ(replica.index()->size(), 30u);
  std::shared_ptr<Index> promoted = replica.promote();
  EXPECT_EQ(promoted->size(), 50u) << "as whoever opens the files";
  add(*promoted, 5);
  const std::string digest = promoted->digest();
  { const Replica gone = std::move(replica); }
  promoted.reset();
  EXPECT_EQ(open().digest(), digest);
}

TEST_F(OneReplica, OfAnotherHistoryLeavesTheFilesAndTheLock) {
  add_and_close(20);
  const std::vector<char> older = disk_.content(kJournalPath);
  remove_and_close(3);
  Replica replica = follow();
  disk_.replace(kJournalPath, older);
  remove_and_close(4);
  std::vector<char> torn = disk_.content(kJournalPath);
  torn.push_back(1);  // which an opening would cut off
  disk_.replace(kJournalPath, torn);
  EXPECT_THROW(replica.promote(), DivergedError);
  EXPECT_EQ(disk_.content(kJournalPath), torn);
  EXPECT_EQ(open().size(), 19u);
}

TEST_F(OneReplica, HoldsNoFileOnceItWasPromoted) {
  add_and_close(5);
  int files = 0;
  disk_.set_oracle([&](MemoryFileSystem::Call call) {
    files += call == MemoryFileSystem::Call::open ? 1 : 0;
    files -= call == MemoryFileSystem::Call::close ? 1 : 0;
    return MemoryFileSystem::Fate{};
  });
  { const Index index = open(); }
  const int of_an_opening = std::exchange(files, 0);  // it tries to open some that are not there
  Replica replica = follow();
  const int of_the_replica = files;
  replica.promote();
  EXPECT_EQ(files - of_the_replica, of_an_opening) << "the journal of the index, for the replica's";
  disk_.set_oracle({});
}

TEST_F(OneReplica, ShowsAnIndexThatCanOnlyBeRead) {
  Index index = open();
  add(index, 30);
  Replica replica = follow();
  Index& shown = const_cast<Index&>(*replica.index());
  const std::vector<std::uint64_t> label{3};
  const auto expect_refused = [&](const std::function<void()>& change) {
    expect_error(ErrorCode::unsupported, {"replica"}, change);
  };
  expect_refused([&] { add(shown, 1); });
  expect_refused([&] { shown.remove(label); });
  expect_refused([&] { shown.update(data_.slice(0, 1), label); });
  expect_refused([&] { shown.upsert(data_.slice(0, 1), label); });
  expect_refused([&] { shown.flush(); });
  for (const std::filesystem::path& path : {kIndexPath, kJournalPath}) {
    expect_error(ErrorCode::invalid_parameter, {"follows"}, [&] { shown.save(path); });
  }
  shown.save(kOtherPath);
  EXPECT_EQ(Index::load(kOtherPath, one_thread()).digest(), index.digest());
  EXPECT_EQ(shown.digest(), index.digest());
}

}  // namespace
}  // namespace concord::test
