// Reading a journal from its beginning: RecordReader finds its records, Applier brings them into
// the index. Either may refuse the journal with Error(corrupt_file); the message then names it.
// Thread-safety: one thread, the writer of the index.
#pragma once

#include <cstdint>
#include <filesystem>

#include "common/journal/applier.hpp"
#include "common/journal/layout.hpp"
#include "common/journal/record_reader.hpp"
#include "common/system/file.hpp"

namespace concord::core {

struct Replay {
  file::OperationCounts counts;  ///< of the index file and the records
  std::uint64_t chain = 0;       ///< of the records
  bool marked = false;           ///< the last record is a mark, or there is none
  std::uint64_t recovered = 0;   ///< vectors added to the index
  std::uint64_t length = 0;      ///< of the journal up to the end of its last sound record
  JournalTail tail;              ///< after it
};

/// Where the journal of an index file is.
std::filesystem::path journal_path(const std::filesystem::path& index_path);
/// True if `path` leads to the index file or its journal. Throws Error(io).
bool is_file_of(const std::filesystem::path& index_path, const std::filesystem::path& path);

/// Reads the header; throws Error(corrupt_file) unless it is sound. REQUIRES a file that is not
/// empty. `path` is for messages, here and below.
JournalBegin read_journal_begin(const File& file, const std::filesystem::path& path);

/// As Journal::begins_with_flush().
bool begins_with_flush(const File& file, const std::filesystem::path& path,
                       const JournalBegin& begin, std::uint64_t boot);

/// Does the journal's operations that the index lacks; the vectors of the others must be those of
/// the index, where it still has them. REQUIRES an index with the header's parameters. Throws
/// Error(corrupt_file); after an exception the index must not be used.
Replay replay_journal(const File& file, const std::filesystem::path& path,
                      const JournalBegin& begin, std::uint64_t boot, const ReplayTarget& target);

}  // namespace concord::core
