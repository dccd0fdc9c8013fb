// Replaying journals, in a file system in memory. Checksums are made right before opening, since
// otherwise hardly an input would get past them; not where the header's unused field is set.
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/support/journal_file.hpp"
#include "tests/support/memory_file_system.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace concord;
  using core::file::JournalHeader;
  const auto chars = fuzz::as_chars(data, size);
  std::vector<char> journal(chars.begin(), chars.end());
  if (journal.empty()) return 0;  // the place of a journal that was never begun
  bool as_it_is = false;
  if (journal.size() >= sizeof(JournalHeader)) {
    auto header = test::read_at<JournalHeader>(journal, 0);
    as_it_is = header.zero != 0;
    header.zero = 0;
    test::write_at(journal, 0, header);
  }
  if (!as_it_is) test::sign_journal(journal);
  test::MemoryFileSystem disk;
  disk.replace("/disk/index.journal", journal);
  const test::ScopedFileSystem in_place(disk);
  fuzz::expect_refused_or_sound(
      [&] { return Index::open("/disk/index", Durability::synced, fuzz::on_cpu()); });
  return 0;
}
