// Journals that were cut, damaged or forged. What a crash can leave is cut off and reported; all
// else is refused with the file left as it is, or is a sound index.

#include <cstring>
#include <limits>

#include "common/journal/record.hpp"
#include "tests/crash/reference.hpp"
#include "tests/support/journal_file.hpp"

namespace concord::test {
namespace {

using core::file::ClosedAt;
using core::file::JournalHeader;
using core::file::kRecordsBegin;
using core::file::RecordHeader;
using core::file::RecordKind;

class DamagedJournal : public testing::Test {
 protected:
  // Additions of 9, 1, 8 (in pieces: an epoch ends), 1 and 6 vectors, each acknowledged.
  DamagedJournal()
      : reference_(make_params(3, 2, 8, 8), 40, 6, Reference::Elements::floats, true, 0,
                   Shape::random) {
    const ScopedFileSystem in_place(disk_);
    {
      Index index = reference_.open(kIndexPath);
      for (const std::size_t count : {9u, 1u, 8u, 1u, 6u}) reference_.add(index, count);
      journal_ = disk_.content(kJournalPath);
    }
    closed_ = disk_.content(kJournalPath);
    EXPECT_EQ(closed_.size(), journal_.size()) << "the last addition's mark ends it";
    offsets_ = record_offsets(journal_);
    EXPECT_EQ(offsets_.back(), journal_.size());
    EXPECT_GT(offsets_.size(), 7u);
  }

  [[nodiscard]] RecordHeader record(std::size_t r) const {
    return read_at<RecordHeader>(journal_, offsets_[r]);
  }
  /// Vectors in the records before the one that byte `at` is in.
  [[nodiscard]] std::size_t vectors_before(std::size_t at) const {
    std::size_t vectors = 0;
    for (std::size_t r = 0; r + 1 < offsets_.size() && offsets_[r + 1] <= at; ++r)
      vectors += inserts(r) ? record(r).count : 0;
    return vectors;
  }
  [[nodiscard]] bool inserts(std::size_t r) const { return record(r).kind == RecordKind::insert; }

  /// A record of two or more vectors, in the middle of the journal.
  [[nodiscard]] std::size_t record_of_several() const {
    std::size_t r = 0;
    while (record(r).before.inserts < 8 || record(r).count < 2) ++r;
    return r;
  }

  /// What the journal opens to: an index, or the message of Error(corrupt_file).
  struct Opened {
    std::optional<Index> index;
    std::string refusal;
    std::string log;
  };
  [[nodiscard]] static Opened open(const std::vector<char>& journal,
                                   const MemoryFileSystem& from = {}) {
    MemoryFileSystem disk(from);
    disk.replace(kJournalPath, journal);
    const ScopedFileSystem in_place(disk);
    Opened opened;
    RuntimeOptions options = one_thread();
    options.log = [&](LogLevel level, std::string_view text) {
      if (level == LogLevel::warning) opened.log += text;
    };
    try {
      opened.index = Index::open(kIndexPath, Durability::synced, options);
      opened.index->set_runtime(one_thread());
      EXPECT_EQ(disk.content(kJournalPath).size(), opened.index->stats().journal.bytes);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::corrupt_file) << error.what();
      opened.refusal = error.what();
    }
    return opened;
  }
  static void expect_refused(const std::vector<char>& journal, const std::string& words) {
    EXPECT_THAT(open(journal).refusal, testing::HasSubstr(words));
  }

  MemoryFileSystem disk_;
  Reference reference_;
  std::vector<char> journal_;  ///< as a process leaves it that is killed
  std::vector<char> closed_;   ///< as one does that closes the index
  std::vector<std::size_t> offsets_;
};

TEST_F(DamagedJournal, CutAtAnyByteKeepsTheRecordsBefore) {
  for (std::size_t length = 1; length <= journal_.size(); ++length) {
    std::vector<char> cut = journal_;
    cut.resize(length);
    const Opened opened = open(cut);
    if (length < kRecordsBegin) {
      ASSERT_THAT(opened.refusal, testing::HasSubstr("too short"));
      continue;
    }
    ASSERT_TRUE(opened.index) << opened.refusal << " at " << length;
    ASSERT_EQ(opened.index->size(), vectors_before(length)) << length;
    reference_.expect_prefix(*opened.index);
    const JournalStats stats = opened.index->stats().journal;
    ASSERT_EQ(stats.recovered, opened.index->size());
    ASSERT_EQ(stats.bytes + stats.cut_bytes, length);
    ASSERT_EQ(stats.cut_bytes > 0, !opened.log.empty()) << opened.log;
  }
}

// Only of the last mark may damage be what a crash left.
TEST_F(DamagedJournal, WithASingleBitFlippedIsRefusedUnlessInTheLastMark) {
  const std::size_t last = offsets_[offsets_.size() - 2];
  EXPECT_EQ(record(offsets_.size() - 2).durable, last);
  const std::size_t step = full_scale() ? 1 : 13;
  for (std::size_t bit = 0; bit < 8 * journal_.size(); bit += step) {
    std::vector<char> damaged = journal_;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    const Opened opened = open(damaged);
    if (bit / 8 < last) {
      ASSERT_NE(opened.refusal, "") << "byte " << bit / 8;
    } else {
      ASSERT_TRUE(opened.index) << opened.refusal;
      ASSERT_EQ(opened.index->size(), 25u);
      reference_.expect_prefix(*opened.index);
      ASSERT_NE(opened.log, "");
    }
  }
}

// Where a record ends, too.
TEST_F(DamagedJournal, CutAnywhereAfterAnOrderlyCloseIsRefused) {
  for (std::size_t length = 1; length < closed_.size(); ++length) {
    std::vector<char> cut = closed_;
    cut.resize(length);
    ASSERT_THAT(open(cut).refusal,
                testing::HasSubstr(length < kRecordsBegin ? "too short" : "its end is missing"));
  }
  EXPECT_EQ(open(closed_).index->size(), 25u);
}

TEST_F(DamagedJournal, WithASingleBitFlippedAfterAnOrderlyCloseIsRefused) {
  const std::size_t step = full_scale() ? 1 : 13;
  for (std::size_t bit = 0; bit < 8 * closed_.size(); bit += step) {
    std::vector<char> damaged = closed_;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_NE(open(damaged).refusal, "") << "byte " << bit / 8;
  }
}

// An index that is opened and closed again, with nothing added, leaves the same bytes.
TEST_F(DamagedJournal, IsLeftAsItWasByOpeningAndClosing) {
  disk_.replace(kJournalPath, closed_);
  const ScopedFileSystem in_place(disk_);
  { const Index index = reference_.open(kIndexPath); }
  EXPECT_EQ(disk_.content(kJournalPath), closed_);
  disk_.replace(kJournalPath, journal_);
  { const Index index = reference_.open(kIndexPath); }
  EXPECT_EQ(disk_.content(kJournalPath), closed_) << "what a killed process left is now closed";
}

/// A bit of the first record is flipped behind a session's back.
struct DamagedSession {
  Durability durability;
  std::size_t additions;
};

void flip_a_bit(std::vector<char>& journal) {
  journal.at(kRecordsBegin + 200) = static_cast<char>(journal[kRecordsBegin + 200] ^ 1);
}

// The finding 1 of the attack on these promises: all acknowledged additions were cut off.
TEST_F(DamagedJournal, OfAnySessionThatWasClosedIsRefusedAndLeftAsItIs) {
  constexpr DamagedSession kSessions[] = {
      {Durability::system, 20}, {Durability::synced, 20}, {Durability::synced, 1}};
  for (const auto& [durability, additions] : kSessions) {
    MemoryFileSystem disk;
    const ScopedFileSystem in_place(disk);
    {
      Index index = reference_.open(kIndexPath, durability);
      for (std::size_t i = 0; i < additions; ++i) reference_.add(index, 40 / additions);
    }
    std::vector<char> damaged = disk.content(kJournalPath);
    flip_a_bit(damaged);
    disk.replace(kJournalPath, damaged);
    expect_error(ErrorCode::corrupt_file, {"damaged", "last closed", "left as it is"},
                 [&] { reference_.open(kIndexPath); });
    EXPECT_EQ(disk.content(kJournalPath), damaged);
  }
}

// Of a session that was killed, too, as long as the machine has not gone down. After that the hole
// may be what a power cut left, and Durability::system promises no more than a prefix.
TEST_F(DamagedJournal, OfAKilledSessionIsRefusedUntilTheMachineHasGoneDown) {
  MemoryFileSystem disk;
  std::vector<char> damaged;
  const ScopedFileSystem in_place(disk);
  {
    Index index = reference_.open(kIndexPath, Durability::system);
    for (int i = 0; i < 20; ++i) reference_.add(index, 2);
    damaged = disk.content(kJournalPath);
  }
  flip_a_bit(damaged);
  disk.replace(kJournalPath, damaged);
  expect_error(ErrorCode::corrupt_file, {"damaged", "has not gone down", "left as it is"},
               [&] { reference_.open(kIndexPath); });
  EXPECT_EQ(disk.content(kJournalPath), damaged);

  disk.crash(Survival::all, 0);
  const std::vector<std::size_t> offsets = record_offsets(damaged);
  std::size_t hole = 0;
  while (offsets[hole + 1] <= kRecordsBegin + 200) ++hole;
  const auto before = read_at<RecordHeader>(damaged, offsets[hole]);
  const std::uint64_t dropped = 40 - before.before.inserts - before.count;
  std::string log;
  RuntimeOptions options = one_thread();
  options.log = [&](LogLevel, std::string_view text) { log += text; };
  {
    const Index index = Index::open(kIndexPath, reference_.params(), Durability::system, options);
    reference_.expect_prefix(index);
    EXPECT_EQ(index.size(), before.before.inserts);
    EXPECT_EQ(index.stats().journal.cut_bytes, damaged.size() - offsets[hole]);
    EXPECT_EQ(index.stats().journal.dropped, dropped);
    EXPECT_THAT(log, testing::HasSubstr(" and " + std::to_string(dropped) + " vectors behind it"));
    EXPECT_THAT(log, testing::HasSubstr(kJournalPath.string() + ".dropped"));
    EXPECT_EQ(disk.content(kJournalPath.string() + ".dropped"),
              std::vector<char>(damaged.begin() + static_cast<std::ptrdiff_t>(offsets[hole]),
                                damaged.end()));
  }
  disk.replace(kJournalPath, damaged);  // and again: both are kept
  EXPECT_EQ(reference_.open(kIndexPath, Durability::system).size(), before.before.inserts);
  EXPECT_EQ(disk.content(kJournalPath.string() + ".dropped").size(),
            2 * (damaged.size() - offsets[hole]));
}

TEST_F(DamagedJournal, WithARemovalOfALabelThatIsNotThereIsRefused) {
  const auto header = read_at<JournalHeader>(journal_, 0);
  const std::uint64_t labels[] = {7, 8};
  std::vector<std::byte> remove;
  core::encode_remove(labels, {{.inserts = 25}, 0, header.checksum}, remove);
  std::vector<char> journal = journal_;
  const auto* const bytes = reinterpret_cast<const char*>(remove.data());
  journal.insert(journal.end(), bytes, bytes + remove.size());
  expect_refused(journal, "removes label 8, which no vector has");
}

TEST_F(DamagedJournal, OfALaterVersionIsRefused) {
  std::vector<char> later = closed_;
  write_at(later, offsetof(JournalHeader, version), std::uint32_t{3});
  expect_refused(later, "version is 3, this library reads versions 1 and 2");
}

// A vector may look like a record's header; an incomplete record that holds it is cut off all the
// same.
TEST_F(DamagedJournal, CutInARecordWhoseVectorsLookLikeARecord) {
  const IndexParams params = make_params(96, 2, 8, 8);
  MemoryFileSystem disk;
  const ScopedFileSystem in_place(disk);
  const std::size_t whole = kRecordsBegin;
  std::vector<char> torn;
  {
    Index index = Index::open(kIndexPath, params, Durability::synced, one_thread());
    ASSERT_EQ(disk.content(kJournalPath).size(), whole);
    const auto own = read_at<JournalHeader>(disk.content(kJournalPath), 0);
    RecordHeader forged{};
    forged.magic = core::file::kRecordMagic;
    forged.count = 1;
    forged.length = sizeof forged;
    forged.durable = ~std::uint64_t{0} >> 1;
    forged.checksum = core::file::checksum_of(forged, own.checksum);
    std::vector<float> vector(96);
    std::copy_n(reinterpret_cast<const unsigned char*>(&forged), sizeof forged, vector.begin());
    index.add({vector.data(), 1, 96});
    ASSERT_EQ(index.memory().vectors, 96u) << "kept as these bytes";
    torn = disk.content(kJournalPath);
  }
  torn.resize(record_offsets(torn)[1]);              // the mark did not get there,
  torn[whole] = static_cast<char>(torn[whole] ^ 1);  // nor all of the record's own header
  disk.replace(kJournalPath, torn);
  const Index index = Index::open(kIndexPath, params, Durability::synced, one_thread());
  EXPECT_TRUE(index.empty());
  EXPECT_EQ(index.stats().journal.cut_bytes, torn.size() - whole);
}

// Journals of the time when add took the label that results use for none.
TEST_F(DamagedJournal, WithALabelThatAddRefusesOpensAndKeepsIt) {
  const Matrix data = make_data(Shape::random, 3, 3);
  MemoryFileSystem disk;
  const ScopedFileSystem in_place(disk);
  std::size_t record = 0;
  {
    Index index = Index::open(kIndexPath, reference_.params(), Durability::synced, one_thread());
    record = disk.content(kJournalPath).size();
    index.add(data.slice(0, 1), std::vector<std::uint64_t>{7});
  }
  std::vector<char> older = disk.content(kJournalPath);
  write_at(older, record + sizeof(RecordHeader), kNoLabel);
  sign_journal(older);
  disk.replace(kJournalPath, older);
  Index index = Index::open(kIndexPath, reference_.params(), Durability::synced, one_thread());
  EXPECT_EQ(index.labels(), std::vector<std::uint64_t>{kNoLabel});
  const std::vector<std::uint64_t> again{9, kNoLabel};
  expect_error(ErrorCode::invalid_parameter, {"vector 1"},
               [&] { index.add(data.slice(1, 2), again); });
  EXPECT_EQ(index.size(), 1u);
}

TEST_F(DamagedJournal, WithRecordsMissingExchangedOrTwiceIsRefused) {
  const auto bytes = [&](std::size_t r) {
    return std::vector<char>(journal_.begin() + static_cast<std::ptrdiff_t>(offsets_[r]),
                             journal_.begin() + static_cast<std::ptrdiff_t>(offsets_[r + 1]));
  };
  const std::size_t records = offsets_.size() - 1;
  for (std::size_t r = 0; r + 1 < records; ++r) {
    for (const int how : {0, 1, 2}) {
      std::vector<char> other(journal_.begin(), journal_.begin() + kRecordsBegin);
      for (std::size_t i = 0; i < records; ++i) {
        std::size_t from = i;
        if (how == 1 && i == r) from = r + 1;
        if (how == 1 && i == r + 1) from = r;
        if (how == 0 && i == r) continue;
        for (int times = 0; times < (how == 2 && i == r ? 2 : 1); ++times) {
          const auto record = bytes(from);
          other.insert(other.end(), record.begin(), record.end());
        }
      }
      EXPECT_NE(open(other).refusal, "") << r << " " << how;
    }
  }
}

TEST_F(DamagedJournal, WithAnyNumberInAnyFieldIsRefusedOrSound) {
  const std::uint64_t numbers[] = {0,
                                   1,
                                   7,
                                   std::numeric_limits<std::int32_t>::max(),
                                   std::numeric_limits<std::uint32_t>::max(),
                                   std::uint64_t{1} << 32,
                                   std::uint64_t{1} << 63,
                                   ~std::uint64_t{0}};
  std::size_t sound = 0;
  const auto forge = [&](std::size_t offset, std::size_t width) {
    for (const std::uint64_t number : numbers) {
      std::vector<char> forged = journal_;
      std::memcpy(forged.data() + offset, &number, width);
      sign_journal(forged);
      const Opened opened = open(forged);
      if (!opened.index) continue;
      expect_sound(opened.index->audit());
      ++sound;
    }
  };
  for (std::size_t field = 0; field + 4 <= offsetof(JournalHeader, checksum); field += 4)
    forge(field, 4);
  forge(sizeof(JournalHeader) + offsetof(ClosedAt, length), 8);
  forge(sizeof(JournalHeader) + offsetof(ClosedAt, zero), 8);
  for (std::size_t r = 0; r + 1 < offsets_.size(); ++r) {
    for (std::size_t field = 0; field < offsetof(RecordHeader, payload_checksum); field += 2)
      forge(offsets_[r] + field, field < 8 ? 2 : 4);
    forge(offsets_[r] + offsetof(RecordHeader, length), 8);
    forge(offsets_[r] + offsetof(RecordHeader, durable), 8);
  }
  EXPECT_GT(sound, 0u) << "ef_construction of 1 is a sound index";
}

// A record's parts as FORMAT.md places them: labels, numbers of proposals, proposals, vectors.
TEST_F(DamagedJournal, WithUnsoundContentIsRefusedThoughItsChecksumsAreRight) {
  const std::size_t r = record_of_several();
  const RecordHeader header = record(r);
  const auto first = static_cast<std::uint32_t>(header.before.inserts);
  const std::size_t labels = offsets_[r] + sizeof header;
  const std::size_t counts = labels + 8 * header.count;
  const std::size_t row_bytes = 8 * (header.element == 2 ? 4 : 1);
  const std::size_t rows = offsets_[r + 1] - header.count * row_bytes;
  ASSERT_EQ(header.element, 2) << "the data are floats";
  const auto expect = [&](const char* words, auto&& forge) {
    SCOPED_TRACE(words);
    std::vector<char> forged = journal_;
    forge(forged);
    sign_journal(forged);
    expect_refused(forged, words);
  };
  std::size_t lists = 0;
  for (std::size_t i = 0; i < header.count; ++i)
    lists += 1 + core::level_of(reference_.params().seed, first + i, 2);
  const std::size_t ids = counts + lists;
  ASSERT_EQ(journal_[counts], 2) << "two proposals for the first vector, in layer 0";

  expect("names itself", [&](auto& f) { write_at(f, ids, first); });
  expect("names itself", [&](auto& f) { write_at(f, ids, first + 1); });
  expect("no id", [&](auto& f) { write_at(f, ids, core::kNoNode); });
  expect("one twice", [&](auto& f) { write_at(f, ids, read_at<std::uint32_t>(f, ids + 4)); });
  expect("more proposals", [&](auto& f) { f[counts] = 3; });
  expect("more proposals", [&](auto& f) { f[counts] = static_cast<char>(255); });
  expect("holds more", [&](auto& f) { f[ids - 1] = 0; });
  expect("twice in the call",
         [&](auto& f) { write_at(f, labels + 8, read_at<std::uint64_t>(f, labels)); });
  expect("already in the index", [&](auto& f) { write_at(f, labels, std::uint64_t{7}); });
  expect("not one that the index would take",
         [&](auto& f) { write_at(f, rows, std::numeric_limits<float>::quiet_NaN()); });
  expect("not one that the index would take",
         [&](auto& f) { write_at(f, rows, std::numeric_limits<float>::infinity()); });
  expect("not one that the index would take",
         [&](auto& f) { write_at(f, rows, std::numeric_limits<float>::max()); });
  expect("not one that the index would take", [&](auto& f) { write_at(f, rows + 12, 1.0f); });
  expect("no known kind", [&](auto& f) { f[offsets_[r] + offsetof(RecordHeader, element)] = 5; });
  expect("no known kind", [&](auto& f) { f[offsets_[r] + offsetof(RecordHeader, labelled)] = 2; });
}

// Other proposals than those that were made give another graph, but a sound one.
TEST_F(DamagedJournal, WithOtherProposalsIsSound) {
  std::size_t changed = 0;
  for (std::size_t round = 0; round < 50; ++round) {
    std::vector<char> forged = journal_;
    for (std::size_t r = 1; r + 1 < offsets_.size(); ++r) {
      if (!inserts(r)) continue;
      const RecordHeader header = record(r);
      const auto first = static_cast<std::uint32_t>(header.before.inserts);
      std::size_t lists = 0;
      std::size_t at = offsets_[r] + sizeof header + 8 * header.count;
      for (std::size_t i = 0; i < header.count; ++i)
        lists += 1 + core::level_of(reference_.params().seed, first + i, 2);
      // One id for each list, of layer 0 or above: node 0 is of a high enough level or refused.
      write_at(forged, at + lists, static_cast<std::uint32_t>(hash(round, r) % first));
    }
    sign_journal(forged);
    const Opened opened = open(forged);
    if (!opened.index) continue;
    expect_sound(opened.index->audit());
    ++changed;
  }
  EXPECT_GT(changed, 0u);
}

TEST_F(DamagedJournal, OfAnotherIndexFileIsRefused) {
  const ScopedFileSystem in_place(disk_);
  {
    Index index = reference_.open(kIndexPath);
    index.compact();
    reference_.add(index, 1);
  }
  const std::vector<char> later = disk_.content(kJournalPath);
  const std::vector<char> file = disk_.content(kIndexPath);
  EXPECT_THAT(open(later).refusal, testing::HasSubstr("missing"));

  const auto with_file = [&](const Index& index, const std::vector<char>& journal) {
    MemoryFileSystem disk;
    const ScopedFileSystem other(disk);
    index.save(kIndexPath);
    return open(journal, disk).refusal;
  };
  const Reference another(reference_.params(), 40, 6);
  Index index(reference_.params(), one_thread());
  another.add(index, 25);
  EXPECT_THAT(with_file(index, later), testing::HasSubstr("another digest"));
  EXPECT_THAT(with_file(index, journal_), testing::HasSubstr("other vectors or labels"));
  Index shorter(reference_.params(), one_thread());
  reference_.add(shorter, record(record_of_several()).before.inserts + 1);
  EXPECT_THAT(with_file(shorter, later), testing::HasSubstr("goes on from 25"));
  EXPECT_THAT(with_file(shorter, journal_), testing::HasSubstr("middle of a record"));
  EXPECT_THAT(with_file(Index(make_params(3, 3, 8, 8), one_thread()), journal_),
              testing::HasSubstr("do not belong together"));
}

}  // namespace
}  // namespace concord::test
