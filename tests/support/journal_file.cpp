#include "tests/support/journal_file.hpp"

namespace concord::test {

using core::file::JournalHeader;
using core::file::RecordHeader;

std::vector<std::size_t> record_offsets(const std::vector<char>& journal) {
  std::vector<std::size_t> offsets{sizeof(JournalHeader)};
  while (offsets.back() + sizeof(RecordHeader) <= journal.size()) {
    const auto header = read_at<RecordHeader>(journal, offsets.back());
    if (header.length < sizeof header || header.length > journal.size() - offsets.back()) break;
    offsets.push_back(offsets.back() + header.length);
  }
  return offsets;
}

void sign_journal(std::vector<char>& journal) {
  if (journal.size() < sizeof(JournalHeader)) return;
  auto header = read_at<JournalHeader>(journal, 0);
  header.checksum = XXH3_64bits(journal.data(), offsetof(JournalHeader, checksum));
  write_at(journal, 0, header);
  const std::vector<std::size_t> offsets = record_offsets(journal);
  for (std::size_t r = 0; r + 1 < offsets.size(); ++r) {
    const std::size_t first = offsets[r] + sizeof(RecordHeader);
    const auto put = [&](std::size_t field, std::size_t from, std::size_t to) {
      write_at(
          journal, offsets[r] + field,
          std::uint64_t{XXH3_64bits_withSeed(journal.data() + from, to - from, header.checksum)});
    };
    put(offsetof(RecordHeader, payload_checksum), first, offsets[r + 1]);
    put(offsetof(RecordHeader, checksum), offsets[r],
        offsets[r] + offsetof(RecordHeader, checksum));
  }
}

}  // namespace concord::test
