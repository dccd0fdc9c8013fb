// Reading a journal: its records are validated and committed as they were when they were written.
//
// A record that is incomplete is the journal's end, if it may be what a crash left: no later record
// says that it had been on disk. Otherwise, and where records are sound but do not fit the index,
// the journal is refused with Error(corrupt_file).
#pragma once

#include <cstdint>
#include <filesystem>

#include "common/committer.hpp"
#include "common/file.hpp"
#include "common/graph.hpp"
#include "common/journal_layout.hpp"
#include "common/label_map.hpp"
#include "common/proposer.hpp"
#include "common/thread_pool.hpp"
#include "common/vector_store.hpp"

namespace concord::core {

/// The index that records are added to, and who scores rows at its seals.
struct ReplayParts {
  Graph& graph;
  VectorStore& vectors;
  LabelMap& labels;
  Committer& committer;
  ThreadPool& pool;
  Proposer& scorer;
};

struct Replay {
  NodeId end = 0;               ///< the records hold ids before this one
  std::uint64_t recovered = 0;  ///< vectors added to the index
  std::uint64_t length = 0;     ///< of the journal up to the end of its last sound record
  std::uint64_t cut = 0;        ///< bytes after it
};

/// Reads the header; throws Error(corrupt_file) unless it is sound. REQUIRES a file that is not
/// empty. `path` is for messages, here and below.
file::JournalHeader read_journal_header(const File& file, const std::filesystem::path& path);

/// The parameters that a sound header names.
IndexParams params_of(const file::JournalHeader& header);

/// Adds to the index what it lacks of the journal. Records of vectors that it has must agree with
/// it. After an exception the index must not be used.
Replay replay_journal(const File& file, const std::filesystem::path& path,
                      const file::JournalHeader& header, const ReplayParts& parts);

}  // namespace concord::core
