#include "tests/support/journal_file.hpp"

namespace concord::test {

using core::file::ClosedAt;
using core::file::JournalHeader;
using core::file::JournalHeaderV1;
using core::file::kRecordsBegin;
using core::file::Mark;
using core::file::RecordHeader;
using core::file::RecordHeaderV1;
using core::file::RecordKind;

namespace {

std::uint64_t hash_of(const std::vector<char>& bytes, std::size_t from, std::size_t to,
                      std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data() + from, to - from, seed);
}

template <class AnyHeader>
std::vector<std::size_t> offsets_from(const std::vector<char>& journal, std::size_t first) {
  std::vector<std::size_t> offsets{first};
  while (offsets.back() + sizeof(AnyHeader) <= journal.size()) {
    const auto header = read_at<AnyHeader>(journal, offsets.back());
    if (header.length < sizeof header || header.length > journal.size() - offsets.back()) break;
    offsets.push_back(offsets.back() + header.length);
  }
  return offsets;
}

// Writes the checksum of the bytes of a header before it; returns it.
template <class AnyHeader>
std::uint64_t sign_header(std::vector<char>& journal, std::size_t at, std::uint64_t seed) {
  const std::size_t own = at + offsetof(AnyHeader, checksum);
  const std::uint64_t checksum = hash_of(journal, at, own, seed);
  write_at(journal, own, checksum);
  return checksum;
}

template <class AnyHeader>
std::uint64_t sign_record(std::vector<char>& journal, std::size_t at, std::size_t end,
                          std::uint64_t seed) {
  write_at(journal, at + offsetof(AnyHeader, payload_checksum),
           hash_of(journal, at + sizeof(AnyHeader), end, seed));
  return sign_header<AnyHeader>(journal, at, seed);
}

void sign_version_1(std::vector<char>& journal) {
  if (journal.size() < sizeof(JournalHeaderV1)) return;
  const std::uint64_t seed = sign_header<JournalHeaderV1>(journal, 0, 0);
  const auto offsets = offsets_from<RecordHeaderV1>(journal, sizeof(JournalHeaderV1));
  for (std::size_t r = 0; r + 1 < offsets.size(); ++r) {
    sign_record<RecordHeaderV1>(journal, offsets[r], offsets[r + 1], seed);
  }
}

}  // namespace

std::vector<std::size_t> record_offsets(const std::vector<char>& journal) {
  return offsets_from<RecordHeader>(journal, kRecordsBegin);
}

void sign_journal(std::vector<char>& journal) {
  const std::size_t version = offsetof(JournalHeader, version);
  if (journal.size() < version + 4) return;
  if (read_at<std::uint32_t>(journal, version) == 1) return sign_version_1(journal);
  if (journal.size() < kRecordsBegin) return;
  const std::uint64_t seed = sign_header<JournalHeader>(journal, 0, 0);
  auto closed = read_at<ClosedAt>(journal, sizeof(JournalHeader));
  std::uint64_t chain = seed;
  const std::vector<std::size_t> offsets = record_offsets(journal);
  for (std::size_t r = 0; r < offsets.size(); ++r) {
    if (closed.length == offsets[r]) closed.chain = chain;
    if (r + 1 == offsets.size()) break;
    const std::size_t payload = offsets[r] + sizeof(RecordHeader);
    const auto kind = read_at<RecordHeader>(journal, offsets[r]).kind;
    if (kind == RecordKind::mark && payload + sizeof(Mark) <= offsets[r + 1]) {
      write_at(journal, payload + offsetof(Mark, chain), chain);
    }
    const std::uint64_t signature =
        sign_record<RecordHeader>(journal, offsets[r], offsets[r + 1], seed);
    chain = XXH3_64bits_withSeed(&signature, sizeof signature, chain);
  }
  write_at(journal, sizeof(JournalHeader), closed);
  sign_header<ClosedAt>(journal, sizeof(JournalHeader), seed);
}

}  // namespace concord::test
