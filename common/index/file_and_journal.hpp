// Whether an index file and the journal beside it belong together.
// Thread-safety: a pure function.
#pragma once

#include <concord/index.hpp>
#include <filesystem>
#include <functional>

#include "common/contents/digest.hpp"
#include "common/graph/graph.hpp"
#include "common/journal/layout.hpp"

namespace concord {

/// The operations that made a graph, as a journal counts them. Flushes are not known.
inline core::file::OperationCounts counts_of(const core::Graph& graph) {
  return {.inserts = graph.insertions(), .removes = graph.removals()};
}

struct FileAndJournal {
  const std::filesystem::path& path;  ///< of the index file, for messages
  const Index& index;                 ///< with the file's content; empty if there is none
  bool has_file;
  const core::file::JournalHeader& header;
  std::function<core::Digest()> digest;  ///< of the file
  std::function<bool()> begins_with_flush;
};

/// The journal may continue an older index file than the one at `path`, because a crash can come
/// between the two. It may not continue a later or another one: Error(corrupt_file). A flush
/// changes no count, so the file behind one cannot be told from another.
void expect_to_belong(const FileAndJournal& files);

}  // namespace concord
