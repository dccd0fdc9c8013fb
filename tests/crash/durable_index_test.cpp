// Index::open and compact() as a caller sees them: what comes back, what is refused.

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "common/system/file.hpp"
#include "tests/crash/reference.hpp"

namespace concord::test {
namespace {

class DurableIndex : public testing::Test {
 protected:
  DurableIndex() : reference_(make_params(3, 2, 8, 8), 40, 9) {}

  MemoryFileSystem disk_;
  ScopedFileSystem in_place_{disk_};
  Reference reference_;
};

TEST_F(DurableIndex, ComesBackWithTheSameDigest) {
  {
    Index index = reference_.open(kIndexPath);
    EXPECT_EQ(reference_.add(index, 20), 20u);
  }
  Index index = Index::open(kIndexPath, Durability::synced, one_thread());
  EXPECT_EQ(index.params(), reference_.params());
  EXPECT_EQ(index.digest(), reference_.digest(20));
  EXPECT_EQ(index.stats().journal.recovered, 20u);
  EXPECT_EQ(index.stats().journal.cut_bytes, 0u);
  EXPECT_FALSE(disk_.exists(kIndexPath)) << "compact() writes it";
}

TEST_F(DurableIndex, NeedsNoProposalsToComeBack) {
  {
    Index index = reference_.open(kIndexPath);
    reference_.add(index, 40);
  }
  const Index index = reference_.open(kIndexPath);
  EXPECT_EQ(index.stats().build.beam_search.count, 0u);
  EXPECT_EQ(index.stats().build.commit.count, 40u);
}

TEST_F(DurableIndex, IsCompactedIntoItsFile) {
  Index index = reference_.open(kIndexPath);
  reference_.add(index, 20);
  const std::uint64_t long_journal = index.stats().journal.bytes;
  index.compact();
  EXPECT_LT(index.stats().journal.bytes, long_journal / 4);
  EXPECT_EQ(Index::load(kIndexPath, one_thread()).digest(), reference_.digest(20));
  reference_.add(index, 5);
  index = Index(make_params(1, 2, 1, 1), one_thread());  // closes it
  index = reference_.open(kIndexPath);
  EXPECT_EQ(index.stats().journal.recovered, 5u);
  EXPECT_EQ(index.digest(), reference_.digest(25));
}

TEST_F(DurableIndex, OpensAFileThatSaveWrote) {
  {
    Index index(reference_.params(), one_thread());
    reference_.add(index, 15);
    index.save(kIndexPath);
  }
  {
    Index index = Index::open(kIndexPath, Durability::synced, one_thread());
    reference_.add(index, 3);
  }
  EXPECT_EQ(reference_.open(kIndexPath).digest(), reference_.digest(18));
}

// A crash between the two steps of compact(): the file is new, the journal old.
TEST_F(DurableIndex, TakesOnlyWhatTheFileLacksFromAnOlderJournal) {
  {
    Index index = reference_.open(kIndexPath);
    reference_.add(index, 20);
  }
  const std::vector<char> older = disk_.content(kJournalPath);
  {
    Index index = reference_.open(kIndexPath);
    index.compact();
  }
  disk_.replace(kJournalPath, older);
  {
    Index index = reference_.open(kIndexPath);
    EXPECT_EQ(index.stats().journal.recovered, 0u);
    EXPECT_EQ(index.digest(), reference_.digest(20));
    reference_.add(index, 4);
  }
  EXPECT_EQ(reference_.open(kIndexPath).digest(), reference_.digest(24));
}

TEST_F(DurableIndex, IsOpenOnceAtATime) {
  std::optional<Index> index = reference_.open(kIndexPath);
  reference_.add(*index, 3);
  expect_error(ErrorCode::io, {kJournalPath.string(), "in use"},
               [&] { reference_.open(kIndexPath); });
  index->compact();  // the lock goes over to the new journal
  expect_error(ErrorCode::io, {"in use"}, [&] { reference_.open(kIndexPath); });
  index.reset();
  EXPECT_EQ(reference_.open(kIndexPath).size(), 3u);
}

TEST_F(DurableIndex, IsNotMadeWithoutParameters) {
  expect_error(ErrorCode::io, {kIndexPath.string(), "no index"},
               [&] { Index::open(kIndexPath, Durability::synced, one_thread()); });
  EXPECT_TRUE(disk_.names().empty());
}

TEST_F(DurableIndex, RefusesOtherParameters) {
  {
    Index index = reference_.open(kIndexPath);
    reference_.add(index, 3);
  }
  const auto open_other = [&] {
    Index::open(kIndexPath, make_params(3, 3, 8, 8), Durability::synced, one_thread());
  };
  expect_error(ErrorCode::invalid_parameter, {"M 2", "M 3"}, open_other);
  Index index = reference_.open(kIndexPath);
  index.compact();
  index = Index(make_params(1, 2, 1, 1), one_thread());
  expect_error(ErrorCode::invalid_parameter, {"M 2", "M 3"}, open_other);
  expect_error(ErrorCode::invalid_parameter, {"dimension"},
               [&] { Index::open(kIndexPath, IndexParams{}); });
  EXPECT_EQ(reference_.open(kIndexPath).digest(), reference_.digest(3));
}

TEST_F(DurableIndex, LeavesNoJournalWhereItCouldNotBeOpened) {
  disk_.replace(kIndexPath, std::vector<char>(5000, 'x'));
  expect_error(ErrorCode::corrupt_file, {kIndexPath.string()},
               [&] { reference_.open(kIndexPath); });
  EXPECT_FALSE(disk_.exists(kJournalPath));
}

TEST_F(DurableIndex, RefusesToWriteOverFilesThatSomeoneElseReplaced) {
  Index index = reference_.open(kIndexPath);
  reference_.add(index, 10);
  index.compact();
  reference_.add(index, 1);
  disk_.replace(kIndexPath, std::vector<char>(100, 'x'));
  expect_error(ErrorCode::io, {kIndexPath.string(), "someone else"}, [&] { index.compact(); });
  EXPECT_EQ(disk_.content(kIndexPath), std::vector<char>(100, 'x'));
  EXPECT_EQ(index.digest(), reference_.digest(11));
}

TEST_F(DurableIndex, NoticesThatItsJournalIsGone) {
  Index index = reference_.open(kIndexPath);
  reference_.add(index, 10);
  disk_.unlink(kJournalPath.c_str());
  expect_error(ErrorCode::io, {kJournalPath.string(), "removed"},
               [&] { reference_.add(index, 1); });
  expect_error(ErrorCode::io, {kJournalPath.string(), "removed"}, [&] { index.compact(); });
  EXPECT_EQ(index.digest(), reference_.digest(10));
  index.save(kIndexPath.string() + "-rescued");
}

// Nothing is synced then, but what add returned from must survive the process.
TEST_F(DurableIndex, NoticesThatItsJournalIsGoneWhereSyncingIsLeftToTheSystem) {
  Index index = reference_.open(kIndexPath, Durability::system);
  const ProgressCallback remove = [&](std::uint64_t, std::uint64_t) {
    return !disk_.exists(kJournalPath) || disk_.unlink(kJournalPath.c_str()) == 0;
  };
  expect_error(ErrorCode::io, {kJournalPath.string(), "removed"},
               [&] { reference_.add(index, 10, remove); });
}

// As a shell does that empties it (`> index.journal`).
TEST_F(DurableIndex, NoticesThatSomeoneElseWroteToItsJournal) {
  Index index = reference_.open(kIndexPath);
  reference_.add(index, 10);
  const int file = disk_.open(kJournalPath.c_str(), 0, 0);
  disk_.ftruncate(file, 0);
  disk_.close(file);
  expect_error(ErrorCode::io, {kJournalPath.string(), "written to by someone else"},
               [&] { reference_.add(index, 1); });
  index.compact();
  reference_.add(index, 1);
  index = Index(make_params(1, 2, 1, 1), one_thread());  // closes it
  EXPECT_EQ(reference_.open(kIndexPath).digest(), reference_.digest(11));
}

TEST_F(DurableIndex, RefusesToSaveOverItsOwnFiles) {
  Index index = reference_.open(kIndexPath);
  expect_error(ErrorCode::invalid_parameter, {"compact()"}, [&] { index.save(kJournalPath); });
  expect_error(ErrorCode::invalid_parameter, {"compact()"}, [&] { index.save(kIndexPath); });
  Index plain(reference_.params(), one_thread());
  expect_error(ErrorCode::invalid_parameter, {"Index::open"}, [&] { plain.compact(); });
}

// What is refused before anything was inserted is not recorded.
TEST_F(DurableIndex, RecordsNothingOfARefusedAddition) {
  Index index = reference_.open(kIndexPath);
  reference_.add(index, 5);
  const std::vector<char> before = disk_.content(kJournalPath);
  const std::vector<float> bad(3, std::numeric_limits<float>::infinity());
  expect_error(ErrorCode::invalid_vector, {}, [&] { index.add({bad.data(), 1, 3}); });
  const std::uint64_t label = 7;
  expect_error(ErrorCode::duplicate_label, {}, [&] {
    index.add(reference_.data().slice(0, 1), {&label, 1});
  });
  EXPECT_EQ(disk_.content(kJournalPath), before);
  reference_.add(index, 1);
}

// Whoever computed the proposals, and however the calls were split: the journal's vectors and
// proposals are the same bytes where its records are.
TEST_F(DurableIndex, WritesTheSameJournalForAnyNumberOfThreads) {
  std::vector<std::vector<char>> journals;
  for (const unsigned threads : {1u, 3u}) {
    MemoryFileSystem disk;
    const ScopedFileSystem other(disk);
    RuntimeOptions options = one_thread();
    options.threads = threads;
    Index index = Index::open(kIndexPath, reference_.params(), Durability::synced, options);
    reference_.add(index, 40);
    journals.push_back(disk.content(kJournalPath));
  }
  EXPECT_EQ(journals[0], journals[1]);
}

// An interrupted call: what was committed stays, in memory and on disk, and the rest is added.
TEST_F(DurableIndex, GoesOnAfterACancelledAddition) {
  std::size_t committed = 0;
  {
    Index index = reference_.open(kIndexPath);
    committed = reference_.add(index, 40, [](std::uint64_t, std::uint64_t) { return false; });
    ASSERT_LT(committed, 40u);
    ASSERT_EQ(index.size(), committed);
  }
  Index index = reference_.open(kIndexPath);
  ASSERT_EQ(index.size(), committed);
  reference_.add(index, 40 - committed);
  EXPECT_EQ(index.digest(), reference_.digest(40));
}

/// The process may write files of at most so many bytes while it lives.
class FileLimit {
 public:
  explicit FileLimit(rlim_t bytes) : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }
  FileLimit(const FileLimit&) = delete;
  FileLimit& operator=(const FileLimit&) = delete;

 private:
  rlimit old_{};
  void (*old_handler_)(int);
};

// On the real file system: a journal that may not grow, and one that may again.
TEST(DurableIndexOnDisk, SurvivesAFullDisk) {
  const Reference reference(make_params(3, 2, 8, 8), 40, 9);
  const TempPath path;
  std::size_t size = 0;
  {
    Index index = reference.open(path);
    {
      const FileLimit limit(1500);
      const auto fill = [&] {
        while (index.size() < 40) reference.add(index, 1);
      };
      expect_error(ErrorCode::io, {"File too large"}, fill);
      size = index.size();
      ASSERT_GT(size, 0u);
      reference.expect_prefix(index);
      expect_error(ErrorCode::io, {}, [&] { index.compact(); });
    }
    reference.expect_prefix(index);
    index.compact();
    reference.add(index, 1);
  }
  Index index = reference.open(path);
  EXPECT_EQ(index.size(), size + 1);
  reference.expect_prefix(index);
}

// Two journals of one file would each lack what the other has.
TEST(DurableIndexOnDisk, HasOneJournalUnderAllItsNames) {
  const Reference reference(make_params(3, 2, 8, 8), 20, 9);
  const TempPath path;
  const std::filesystem::path link = path.path().string() + "-link";
  std::filesystem::create_symlink(path.path().filename(), link);  // to nothing, for now
  {
    Index index = reference.open(link);
    reference.add(index, 5);
    expect_error(ErrorCode::io, {"in use"}, [&] { reference.open(path); });
    index.compact();
    reference.add(index, 5);
  }
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(Index::load(path, one_thread()).size(), 5u);
  EXPECT_EQ(reference.open(path).digest(), reference.digest(10));
  EXPECT_EQ(reference.open(link).digest(), reference.digest(10));
  const std::filesystem::path loop = path.path().string() + "-loop";
  std::filesystem::create_symlink(loop.filename(), loop);
  expect_error(ErrorCode::io, {"-loop", "symbolic links"}, [&] { reference.open(loop); });
  expect_error(ErrorCode::io, {"name of a file"}, [&] { reference.open(""); });
}

TEST(DurableIndexOnDisk, StaysWhereItIsWhenTheWorkingDirectoryChanges) {
  const Reference reference(make_params(3, 2, 8, 8), 20, 9);
  const TempPath path;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(path.path().parent_path());
  Index index = reference.open(path.path().filename());
  std::filesystem::current_path(before);
  reference.add(index, 5);
  index.compact();
  EXPECT_EQ(Index::load(path, one_thread()).digest(), reference.digest(5));
}

// What a new file's permissions are belongs to the process: nothing may change it, not for a
// moment.
TEST(DurableIndexOnDisk, MakesFilesWithTheProcessesPermissionsFromAnyThread) {
  const mode_t before = umask(027);
  const TempPath path;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        core::File file = core::File::temporary_for(path);
        EXPECT_EQ(file.status().st_mode & 0777, 0640u);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(umask(before), 027u);
}

mode_t mode_of(const std::filesystem::path& path) {
  struct stat status {};
  EXPECT_EQ(stat(path.c_str(), &status), 0);
  return status.st_mode & 0777;
}

// What is private stays private, in the journal too, and what others may write they still may.
TEST(DurableIndexOnDisk, KeepsThePermissionsOfItsFiles) {
  const Reference reference(make_params(3, 2, 8, 8), 20, 9);
  for (const mode_t mode : {0400u, 0600u, 0666u}) {
    const TempPath path;
    const std::filesystem::path journal = path.path().string() + ".journal";
    {
      Index index(reference.params(), one_thread());
      reference.add(index, 5);
      index.save(path);
    }
    chmod(path.path().c_str(), mode);
    Index index = reference.open(path);
    EXPECT_EQ(mode_of(journal) & 0600, 0600u);
    EXPECT_EQ(mode_of(journal) & 0077 & ~mode, 0u);
    chmod(journal.c_str(), mode);
    reference.add(index, 5);
    index.compact();
    EXPECT_EQ(mode_of(path), mode);
    EXPECT_EQ(mode_of(journal), mode);
    EXPECT_EQ(Index::load(path, one_thread()).digest(), reference.digest(10));
  }
}

// Whoever may read the index file may read the journal, and nobody else, also once it is compacted.
TEST(DurableIndexOnDisk, KeepsTheGroupOfItsFiles) {
  if (geteuid() != 0) GTEST_SKIP() << "only root may give files away";
  const Reference reference(make_params(3, 2, 8, 8), 20, 9);
  const TempPath path;
  const std::filesystem::path journal = path.path().string() + ".journal";
  {
    Index index(reference.params(), one_thread());
    reference.add(index, 5);
    index.save(path);
  }
  const auto expect_access = [&](const std::filesystem::path& of, mode_t mode) {
    struct stat status {};
    ASSERT_EQ(stat(of.c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, 65534u);
    EXPECT_EQ(status.st_gid, 1234u);
    EXPECT_EQ(status.st_mode & 0777, mode);
  };
  ASSERT_EQ(chown(path.path().c_str(), 65534, 1234), 0);
  chmod(path.path().c_str(), 0440);
  Index index = reference.open(path);
  expect_access(journal, 0640);
  reference.add(index, 5);
  index.compact();
  expect_access(path, 0440);
  expect_access(journal, 0640);
}

// What processes left that were killed while they compacted. Whoever saves to the path at that
// moment, as any process may, goes on.
TEST(DurableIndexOnDisk, RemovesTheTemporaryFilesOfKilledProcesses) {
  const Reference reference(make_params(3, 2, 8, 8), 20, 9);
  const TempPath path;
  const std::string names[] = {path.path().string() + ".unfinished-0a1b2c",
                               path.path().string() + ".journal.unfinished-vvvvvv"};
  for (const std::string& name : names) write_file(name, std::vector<char>(5000, 'x'));
  {
    core::File living = core::File::temporary_for(path);
    const Index index = reference.open(path);
    living.rename_to_path();
  }
  for (const std::string& name : names) EXPECT_FALSE(std::filesystem::exists(name)) << name;
  EXPECT_TRUE(std::filesystem::exists(path.path()));
}

// They are two files, of which each has a journal: nothing is lost under either name.
TEST(DurableIndexOnDisk, IsAnotherIndexUnderAHardLink) {
  const Reference reference(make_params(3, 2, 8, 8), 20, 9);
  const TempPath path;
  const std::filesystem::path link = path.path().string() + "-link";
  {
    Index index = reference.open(path);
    reference.add(index, 5);
    index.compact();
  }
  std::filesystem::create_hard_link(path.path(), link);
  {
    Index one = reference.open(path);
    Index other = reference.open(link);
    reference.add(one, 1);
    reference.add(other, 10);
    one.compact();
    other.compact();
  }
  EXPECT_EQ(std::filesystem::hard_link_count(path.path()), 1u);
  EXPECT_EQ(reference.open(path).digest(), reference.digest(6));
  EXPECT_EQ(reference.open(link).digest(), reference.digest(15));
}

TEST(DurableIndexOnDisk, TakesNothingButAFileForItsJournal) {
  const Reference reference(make_params(3, 2, 8, 8), 20, 9);
  const TempPath path;
  const std::filesystem::path journal = path.path().string() + ".journal";
  ASSERT_EQ(mkfifo(journal.c_str(), 0600), 0);
  expect_error(ErrorCode::io, {journal.string(), "not a regular file"},
               [&] { reference.open(path); });
  std::filesystem::remove(journal);
  std::filesystem::create_directory(journal);
  expect_error(ErrorCode::io, {journal.string(), "directory"}, [&] { reference.open(path); });
  std::filesystem::remove(journal);
  // The place of a journal that a process left which ended before it began one.
  write_file(journal, {});
  expect_error(ErrorCode::io, {"no index"},
               [&] { Index::open(path, Durability::synced, one_thread()); });
  write_file(journal, {});
  Index index = reference.open(path);
  reference.add(index, 5);
}

TEST(DurableIndexOnDisk, RefusesADirectoryThatIsNotThere) {
  const TempPath path;
  expect_error(ErrorCode::io, {"No such file"}, [&] {
    Index::open(path.path().parent_path() / "none" / "index", make_params(3, 2, 8, 8),
                Durability::synced, one_thread());
  });
}

}  // namespace
}  // namespace concord::test
