// Journals kept in the tree open for ever, with the digest of the additions that they hold, and go
// on from there. Those of version 1 become version 2 by that, whole or not at all.
//
// tests/golden/*.journal were written once and are never written again; one with a base has its
// index file beside it. With CONCORD_UPDATE_GOLDEN=1 this test writes the files of a case that has
// none yet, in the journal's present version.

#include <cerrno>
#include <concord/replica.hpp>
#include <cstdlib>

#include "tests/crash/operations.hpp"
#include "tests/support/journal_file.hpp"

namespace concord::test {
namespace {

struct Case {
  const char* name;
  Metric metric;
  std::uint32_t M;
  std::uint32_t epoch_limit;
  Reference::Elements elements;
  bool labelled;
  std::size_t in_file;  ///< vectors in the index file that the journal goes on from
};

constexpr Case kCases[] = {
    {"v1-floats", Metric::l2sq, 2, 8, Reference::Elements::floats, true, 0},
    {"v1-bytes-then-floats", Metric::inner_product, 3, 64, Reference::Elements::bytes_then_floats,
     false, 0},
    {"v1-cosine-behind-a-file", Metric::cosine, 4, 16, Reference::Elements::floats, true, 21},
    {"v2-floats", Metric::l2sq, 2, 8, Reference::Elements::floats, true, 0},
    {"v2-bytes-then-floats", Metric::inner_product, 3, 64, Reference::Elements::bytes_then_floats,
     false, 0},
    {"v2-cosine-behind-a-file", Metric::cosine, 4, 16, Reference::Elements::floats, true, 21},
};

constexpr std::size_t kRows = 90;
constexpr std::size_t kRecorded = 60;  ///< in the index file and the journal

// These journals were written when a vector equal to another was a node of its own.
Reference reference_of(const Case& c) {
  return {make_params(3, c.M, 8, c.epoch_limit, c.metric),
          kRows,
          17,
          c.elements,
          c.labelled,
          kRecorded};
}

std::filesystem::path golden(const Case& c, const char* suffix) {
  return std::filesystem::path(CONCORD_GOLDEN_FOLDER) / (std::string(c.name) + suffix);
}

void make_files(const Case& c, const Reference& reference) {
  const TempPath path;
  {
    Index index = reference.open(path);
    if (c.in_file > 0) {
      reference.add(index, c.in_file);
      index.compact();
    }
    for (const std::size_t count : {1u, 7u, 2u}) reference.add(index, count);
    reference.add(index, kRecorded - index.size());
  }
  if (c.in_file > 0) write_file(golden(c, ".index"), read_file(path));
  write_file(golden(c, ".journal"), read_file(path.path().string() + ".journal"));
}

class GoldenJournal : public testing::TestWithParam<Case> {};

TEST_P(GoldenJournal, IsFollowedBeforeAndBehindItsUpgrade) {
  const Case& c = GetParam();
  const Reference reference = reference_of(c);
  const TempPath path;
  std::filesystem::copy_file(golden(c, ".journal"), path.path().string() + ".journal");
  if (c.in_file > 0) std::filesystem::copy_file(golden(c, ".index"), path);
  Replica replica = Replica::open(path, one_thread());
  reference.expect_prefix(*replica.index());
  EXPECT_GE(replica.index()->size(), c.in_file);
  Index index = reference.open(path);
  replica.catch_up();
  reference.expect_prefix(*replica.index());
  reference.add(index, kRows - index.size());
  replica.catch_up();
  EXPECT_EQ(replica.index()->digest(), reference.digest(kRows));
}

TEST_P(GoldenJournal, OpensAndGoesOnAsItAlwaysDid) {
  const Case& c = GetParam();
  const Reference reference = reference_of(c);
  const char* const update = std::getenv("CONCORD_UPDATE_GOLDEN");
  if (update != nullptr && std::string(update) == "1" && !exists(golden(c, ".journal"))) {
    make_files(c, reference);
    GTEST_SKIP() << "wrote the files of " << c.name;
  }
  const TempPath path;
  if (c.in_file > 0) write_file(path, read_file(golden(c, ".index")));
  write_file(path.path().string() + ".journal", read_file(golden(c, ".journal")));
  for (std::size_t size = kRecorded; size <= kRows; size += 15) {
    Index index = reference.open(path);
    ASSERT_EQ(index.size(), size);
    ASSERT_EQ(index.digest(), reference.digest(size));
    EXPECT_EQ(index.stats().journal.recovered, size - c.in_file);
    EXPECT_EQ(index.stats().journal.cut_bytes, 0u);
    reference.add(index, std::min<std::size_t>(15, kRows - size));
  }
}

// Of operations of every kind, behind a file that lacks slots which its writer's memory had. Some
// vectors are equal, and those were nodes when it was written.
TEST(GoldenJournalOfRemovals, OpensAsItAlwaysDidAndGoesOn) {
  constexpr const char* kDigest = "2f4e76a7d743eef414d1157cfc715e47";  // of commit 2029e22
  constexpr std::size_t kInFile = 120;
  constexpr std::size_t kAll = 240;
  const Operations operations(make_params(3, 3, 8, 16), 300, 17);
  const auto file = [](const char* suffix) {
    return std::filesystem::path(CONCORD_GOLDEN_FOLDER) / (std::string("v2-removals") + suffix);
  };
  const char* const update = std::getenv("CONCORD_UPDATE_GOLDEN");
  if (update != nullptr && std::string(update) == "1" && !exists(file(".journal"))) {
    const TempPath path;
    {
      Index index = operations.open(path);
      operations.apply_all(index, 0, 1, kInFile);
      index.compact();
      operations.apply_all(index, kInFile, 1, kAll);
    }
    write_file(file(".index"), read_file(path));
    write_file(file(".journal"), read_file(path.path().string() + ".journal"));
    GTEST_SKIP() << "wrote the files";
  }
  const TempPath path;
  write_file(path, read_file(file(".index")));
  write_file(path.path().string() + ".journal", read_file(file(".journal")));
  std::string digest;
  {
    Index index = operations.open(path);
    ASSERT_EQ(index.digest(), kDigest);
    operations.apply_all(index, kAll, 1);
    expect_sound(index.audit());
    digest = index.digest();
  }
  EXPECT_EQ(operations.open(path).digest(), digest);
}

std::uint32_t version_of(const std::vector<char>& journal) {
  return read_at<std::uint32_t>(journal, offsetof(core::file::JournalHeader, version));
}

class JournalOfVersion1 : public testing::Test {
 protected:
  JournalOfVersion1() {
    disk_.replace(kJournalPath, journal_);
    disk_.crash(Survival::all, 0);  // its name is on disk, too
  }

  const Case& case_ = kCases[0];
  Reference reference_ = reference_of(case_);
  std::vector<char> journal_ = read_file(golden(case_, ".journal"));
  MemoryFileSystem disk_;
};

// And only then: whatever fails, either file is there, whole, and the index opens.
TEST_F(JournalOfVersion1, BecomesVersion2WhenItIsOpenedWhateverFailsAtFirst) {
  EXPECT_EQ(version_of(journal_), 1u);
  std::size_t failures = 0;
  for (std::size_t at = 0; failures == at; ++at) {
    SCOPED_TRACE(at);
    MemoryFileSystem disk(disk_);
    const ScopedFileSystem in_place(disk);
    std::size_t calls = 0;
    disk.set_oracle([&](MemoryFileSystem::Call) {
      return MemoryFileSystem::Fate{calls++ == at ? EIO : 0, false};
    });
    try {
      EXPECT_EQ(reference_.open(kIndexPath).size(), kRecorded);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::io) << error.what();
    }
    disk.set_oracle({});
    failures += calls > at ? 1 : 0;
    if (version_of(disk.content(kJournalPath)) == 1) {
      EXPECT_EQ(disk.content(kJournalPath), journal_);
    }
    disk.crash(Survival::none, at);
    {
      Index index = reference_.open(kIndexPath);
      EXPECT_EQ(index.digest(), reference_.digest(kRecorded));
      reference_.add(index, 5);
    }
    EXPECT_EQ(version_of(disk.content(kJournalPath)), 2u);
    EXPECT_EQ(disk.names(), std::vector<std::string>{kJournalPath.string()});
    EXPECT_EQ(reference_.open(kIndexPath).digest(), reference_.digest(kRecorded + 5));
  }
  EXPECT_GT(failures, 10u);
}

TEST_F(JournalOfVersion1, CutAtAnyByteKeepsAPrefix) {
  const ScopedFileSystem in_place(disk_);
  std::size_t before = 0;
  const std::size_t step = full_scale() ? 3 : 41;
  for (std::size_t cut = journal_.size() - 1;; cut -= std::min(cut, step)) {
    const std::size_t length = journal_.size() - cut;
    disk_.replace(kJournalPath, {journal_.begin(), journal_.begin() + static_cast<long>(length)});
    if (length < sizeof(core::file::JournalHeaderV1)) {
      expect_error(ErrorCode::corrupt_file, {"too short"}, [&] { reference_.open(kIndexPath); });
      continue;
    }
    const Index index = reference_.open(kIndexPath);
    reference_.expect_prefix(index);
    ASSERT_GE(index.size(), before);
    before = index.size();
    if (cut == 0) break;
  }
  EXPECT_EQ(before, kRecorded);
}

// As far as this version could say so: what was synced before the last addition.
TEST_F(JournalOfVersion1, WithABitFlippedIsRefusedOrAPrefix) {
  const ScopedFileSystem in_place(disk_);
  std::size_t refused = 0;
  for (std::size_t bit = 0; bit < 8 * journal_.size(); bit += full_scale() ? 61 : 509) {
    std::vector<char> damaged = journal_;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    disk_.replace(kJournalPath, damaged);
    try {
      reference_.expect_prefix(reference_.open(kIndexPath));
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::corrupt_file) << error.what();
      ASSERT_EQ(disk_.content(kJournalPath), damaged);
      ++refused;
    }
  }
  EXPECT_GT(refused, 0u);
}

std::string name_of(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.name;
  std::ranges::replace(name, '-', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(All, GoldenJournal, testing::ValuesIn(kCases), name_of);

}  // namespace
}  // namespace concord::test
