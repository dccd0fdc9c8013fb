// Replaying journals, in a file system in memory. Checksums are made right before opening, since
// otherwise hardly an input would get past them; not where the header's unused field is set.
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/support/journal_file.hpp"
#include "tests/support/memory_file_system.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace concord;
  using namespace core::file;
  const auto chars = fuzz::as_chars(data, size);
  std::vector<char> journal(chars.begin(), chars.end());
  if (journal.empty()) return 0;  // the place of a journal that was never begun
  bool as_it_is = false;
  if (journal.size() >= kRecordsBegin) {
    const bool old = test::read_at<std::uint32_t>(journal, offsetof(JournalHeader, version)) == 1;
    const std::size_t unused =
        old ? offsetof(JournalHeaderV1, zero) : sizeof(JournalHeader) + offsetof(ClosedAt, zero);
    as_it_is = test::read_at<std::uint32_t>(journal, unused) != 0;
    test::write_at(journal, unused, std::uint32_t{0});
  }
  if (!as_it_is) test::sign_journal(journal);
  test::MemoryFileSystem disk;
  disk.replace("/disk/index.journal", journal);
  const test::ScopedFileSystem in_place(disk);
  fuzz::expect_refused_or_sound(
      [&] { return Index::open("/disk/index", Durability::synced, fuzz::on_cpu()); });
  return 0;
}
