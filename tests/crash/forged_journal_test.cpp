// Journals damaged at random, and forged by one who knows the format: records dropped, doubled,
// exchanged, taken from another journal, words of them changed, with checksums made right or not.
// Refused, or an index: after damage alone that of a prefix, and a sound one in any case. Some
// journals hold additions alone, some operations of every kind.

#include <algorithm>

#include "tests/crash/operations.hpp"
#include "tests/support/journal_file.hpp"

namespace concord::test {
namespace {

using core::file::JournalHeader;
using core::file::RecordHeader;
using Bytes = std::vector<char>;

/// A journal of one session, and what it may open to.
struct Session {
  Session(Metric metric, Reference::Elements elements, bool labelled, std::uint64_t seed,
          Durability durability, bool is_closed)
      : closed(is_closed) {
    const Reference reference(make_params(3, 2, 8, 8, metric), 60, seed, elements, labelled);
    MemoryFileSystem disk;
    const ScopedFileSystem in_place(disk);
    {
      Index index = reference.open(kIndexPath, durability);
      for (std::uint64_t step = 0; index.size() < 50; ++step) {
        reference.add(index, std::min<std::size_t>(50 - index.size(), 1 + hash(seed, step) % 9));
      }
      journal = disk.content(kJournalPath);
    }
    if (is_closed) journal = disk.content(kJournalPath);
    for (std::size_t size = 0; size <= 50; ++size) digests.push_back(reference.digest(size));
  }
  /// Of operations of every kind.
  Session(const Operations& operations, std::uint64_t seed, bool is_closed)
      : closed(is_closed), digests(operations.digests()) {
    MemoryFileSystem disk;
    const ScopedFileSystem in_place(disk);
    {
      Index index = operations.open(kIndexPath);
      operations.apply_all(index, 0, seed);
      journal = disk.content(kJournalPath);
    }
    if (is_closed) journal = disk.content(kJournalPath);
  }

  [[nodiscard]] bool is_prefix(const Index& index) const {
    return std::ranges::count(digests, index.digest()) > 0;
  }

  Bytes journal;
  bool closed;
  std::vector<std::string> digests;  ///< of what it may open to, the last of the whole
};

class ForgedJournal : public testing::Test {
 protected:
  using Elements = Reference::Elements;

  /// The index that the journal opens to; none if it is refused.
  static std::optional<Index> open(const Bytes& journal) {
    MemoryFileSystem disk;
    disk.replace(kJournalPath, journal);
    const ScopedFileSystem in_place(disk);
    RuntimeOptions options = one_thread();
    options.log = [](LogLevel, std::string_view) {};
    try {
      Index index = Index::open(kIndexPath, Durability::synced, options);
      index.set_runtime(one_thread());
      return index;
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == ErrorCode::corrupt_file || error.code() == ErrorCode::unsupported)
          << error.what();
      EXPECT_EQ(disk.content(kJournalPath), journal) << "what is refused is left as it is";
      return std::nullopt;
    }
  }

  const std::vector<Session> sessions_ = [] {
    std::vector<Session> all;
    for (const bool is_closed : {false, true}) {
      all.emplace_back(Metric::l2sq, Elements::floats, true, 1, Durability::synced, is_closed);
      all.emplace_back(Metric::inner_product, Elements::bytes_then_floats, false, 2,
                       Durability::system, is_closed);
      all.emplace_back(Metric::cosine, Elements::floats, true, 3, Durability::synced, is_closed);
      all.emplace_back(Operations(make_params(3, 2, 8, 8), 90, 4), 4, is_closed);
      all.emplace_back(Operations(make_params(3, 4, 8, 64), 90, 5), 5, is_closed);
    }
    return all;
  }();
};

/// Random damage to a journal, as a bad disk or a bad copy does it.
void damage(Bytes& journal, std::uint64_t seed) {
  auto draw = [&, n = std::uint64_t{0}](std::size_t below) mutable {
    return hash(seed, 77, n++) % below;
  };
  const auto at = static_cast<std::ptrdiff_t>(draw(journal.size()));
  const auto some = static_cast<std::ptrdiff_t>(
      std::min<std::size_t>(1 + draw(400), journal.size() - static_cast<std::size_t>(at)));
  const auto first = journal.begin() + at;
  switch (draw(7)) {
    case 0:
      journal.erase(first, journal.end());
      break;
    case 1:
      *first = static_cast<char>(*first ^ (1 << draw(8)));
      break;
    case 2:
      std::generate_n(first, some, [&] { return static_cast<char>(draw(256)); });
      break;
    case 3:
      std::fill_n(first, some, 0);
      break;
    case 4:
      journal.insert(first, 1 + draw(70), 0);
      break;
    case 5:
      journal.erase(first, first + some);
      break;
    default:
      journal.insert(journal.end(), 1 + draw(300), static_cast<char>(draw(256)));
  }
}

TEST_F(ForgedJournal, DamagedAtRandomIsRefusedOrAPrefixWithAReport) {
  std::size_t refused = 0;
  std::size_t shortened = 0;
  const std::size_t rounds = scaled(6000, 500);
  for (std::uint64_t round = 0; round < rounds; ++round) {
    SCOPED_TRACE(round);
    const Session& session = sessions_[round % sessions_.size()];
    Bytes damaged = session.journal;
    damage(damaged, round);
    if (damaged == session.journal || damaged.empty()) continue;
    const std::optional<Index> index = open(damaged);
    if (!index) {
      ++refused;
      continue;
    }
    ASSERT_TRUE(session.is_prefix(*index));
    if (index->digest() == session.digests.back()) continue;
    ++shortened;
    ASSERT_FALSE(session.closed) << "a journal that was closed lost vectors";
    const std::vector<std::size_t> ends = record_offsets(session.journal);
    ASSERT_TRUE(index->stats().journal.cut_bytes > 0 ||
                std::ranges::count(ends, damaged.size()) > 0)
        << "vectors are gone without a report";
  }
  EXPECT_GT(refused, rounds / 3);
  EXPECT_GT(shortened, rounds / 100);
}

/// Changes the records of a journal, which is kept as header and records.
void forge(Bytes& begin, std::vector<Bytes>& records, const Session& other, std::uint64_t seed) {
  auto draw = [&, n = std::uint64_t{0}](std::size_t below) mutable {
    return hash(seed, 88, n++) % below;
  };
  const std::size_t r = draw(records.size());
  const auto at = records.begin() + static_cast<std::ptrdiff_t>(r);
  const std::vector<std::size_t> offsets = record_offsets(other.journal);
  const auto of_other = [&](std::size_t i) {
    const auto first = other.journal.begin();
    return Bytes(first + static_cast<std::ptrdiff_t>(offsets[i]),
                 first + static_cast<std::ptrdiff_t>(offsets[i + 1]));
  };
  const auto put = [&](Bytes& bytes, std::size_t offset) {
    const std::uint32_t numbers[] = {
        0, 1, 2, 0xFFFFFFFFU, 0x7FFFFFFFU, static_cast<std::uint32_t>(draw(400))};
    write_at(bytes, offset, numbers[draw(std::size(numbers))]);
  };
  switch (draw(7)) {
    case 0:
      records.erase(at);
      break;
    case 1:
      records.insert(at, Bytes(records[r]));
      break;
    case 2:
      std::swap(records[r], records[draw(records.size())]);
      break;
    case 3:
      records.insert(at, of_other(draw(offsets.size() - 1)));
      break;
    case 4:
      begin.assign(other.journal.begin(), other.journal.begin() + core::file::kRecordsBegin);
      break;
    case 5:
      put(begin, 8 + draw((begin.size() - 8) / 4) * 4);
      break;
    default:
      for (std::size_t times = 1 + draw(3); times > 0; --times) {
        put(records[r], draw(records[r].size() / 4) * 4);
      }
  }
}

TEST_F(ForgedJournal, OfForgedRecordsIsRefusedOrASoundIndex) {
  std::size_t refused = 0;
  std::size_t changed = 0;
  const std::size_t rounds = scaled(6000, 500);
  for (std::uint64_t round = 0; round < rounds; ++round) {
    SCOPED_TRACE(round);
    const Session& session = sessions_[round % sessions_.size()];
    const std::vector<std::size_t> offsets = record_offsets(session.journal);
    const auto first = session.journal.begin();
    Bytes begin(first, first + core::file::kRecordsBegin);
    std::vector<Bytes> records;
    for (std::size_t r = 0; r + 1 < offsets.size(); ++r) {
      records.emplace_back(first + static_cast<std::ptrdiff_t>(offsets[r]),
                           first + static_cast<std::ptrdiff_t>(offsets[r + 1]));
    }
    forge(begin, records, sessions_[hash(round, 5) % sessions_.size()], round);
    Bytes forged = begin;
    for (const Bytes& record : records) forged.insert(forged.end(), record.begin(), record.end());
    if (hash(round, 6) % 4 != 0) sign_journal(forged);
    std::optional<Index> index = open(forged);
    if (!index) {
      ++refused;
      continue;
    }
    const AuditReport report = index->audit();
    ASSERT_TRUE(report.ok) << report.messages[0];
    if (!session.is_prefix(*index)) ++changed;
  }
  EXPECT_GT(refused, rounds / 2);
  EXPECT_GT(changed, 0u) << "other labels are another sound index";
}

}  // namespace
}  // namespace concord::test
