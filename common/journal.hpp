// The journal of an index: every batch of vectors, with labels and proposals, before it is
// committed.
//
// Committing is a cheap and pure function of the proposals, so replaying a journal gives the same
// graph to the last byte without searching for neighbors again (replay_journal.hpp). One record is
// one batch, whole or not there: a build that is killed resumes after the last record.
//
// The file is at the index file's path + ".journal", is locked while it is in use, and is replaced,
// never emptied: a journal is begun by renaming a synced one over it.
// Invariants: the records cover ids [base, end_) without gap or overlap; bytes before durable_ are
// on disk. After a failure nothing can be said of what is in the file, so nothing more is appended
// until restart().
//
// During an addition records are written beside it (journal_writer.hpp): the index in memory may be
// ahead of the file by JournalWriter::kAhead batches, but sync() waits for all, and the last batch
// is on disk before it is committed. Thread-safety: used by the one writer; stats() from any
// thread.
#pragma once

#include <concord/durability.hpp>
#include <concord/params.hpp>
#include <exception>
#include <filesystem>
#include <mutex>
#include <optional>

#include "common/digest.hpp"
#include "common/file.hpp"
#include "common/journal_layout.hpp"
#include "common/journal_writer.hpp"
#include "common/label_map.hpp"
#include "common/proposer.hpp"
#include "common/replay_journal.hpp"
#include "common/vector_store.hpp"

namespace concord::core {

class Journal {
 public:
  /// Opens and locks the journal of the index file `index_path`, a resolved() one; where there is
  /// none, a place for it. Throws Error(io), also where it is in use, and Error(corrupt_file).
  Journal(const std::filesystem::path& index_path, Durability durability);
  /// True if there is a journal, or a place for one, of this index file.
  static bool exists(const std::filesystem::path& index_path);
  /// Removes the place of a journal that was never begun. Not called after a fork by the child.
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// What stands at its beginning; nothing where it was never begun.
  [[nodiscard]] const std::optional<file::JournalHeader>& header() const noexcept {
    return header_;
  }

  /// Brings what the index file lacks into the index, and cuts off an incomplete tail. REQUIRES
  /// header(), an index that holds what the index file does, and a caller that does not use
  /// `parts` after an exception.
  Replay replay(const ReplayParts& parts);
  /// Replaces the journal by an empty one that goes on from the index file as it is now. Throws
  /// Error(io); then the old one is in place and as usable as before, or the new one, unusable.
  void restart(const IndexParams& params, NodeId size, const Digest& digest);
  /// Remembers the index file as it is now, for check_files().
  void note_index_file();
  /// Whether there was one then.
  [[nodiscard]] bool has_index_file() const noexcept {
    return index_file_ && index_file_->exists();
  }
  /// Whatever is there until note_index_file() is the index file.
  void forget_index_file() noexcept { index_file_.reset(); }
  /// Throws Error(io) if the index file or the journal is not the file it was: replaced, removed or
  /// written to by someone else.
  void check_files() const;
  /// True if `path` leads to the index file or the journal.
  [[nodiscard]] bool is_own_file(const std::filesystem::path& path) const;
  [[nodiscard]] const std::filesystem::path& index_path() const noexcept { return index_path_; }

  /// Throws Error(io) if an earlier failure forbids appending for ids from `size` on.
  /// Likewise if someone else removed the journal or wrote to it.
  void check_usable(NodeId size) const;
  /// Writes the record of the batch that will be committed next: beside the caller where others
  /// follow in the addition, else before it returns. Rows and labels stay where they are until
  /// end_addition(). Throws Error(io), also for a record before this one.
  void append(const ProposalBatch& batch, const VectorStore& vectors, const LabelMap& labels,
              bool others_follow);
  /// Makes all records as durable as was asked for. Throws Error(io).
  void sync();
  /// Writes what was appended; a failure of that comes out of sync(). No thread works here then.
  void end_addition() noexcept { writer_.finish(); }

  [[nodiscard]] JournalStats stats() const;

 private:
  class Timer;
  void write(RecordParts& parts);
  void expect_own_content() const;
  template <class Action>
  void attempt(const Action& action);

  std::filesystem::path index_path_;
  std::filesystem::path path_;
  Durability durability_;
  File file_;
  std::optional<file::JournalHeader> header_;
  std::optional<FileIdentity> index_file_;
  std::uint64_t length_ = 0;    ///< of the file, up to the end of the last record
  std::uint64_t durable_ = 0;   ///< bytes known to be on disk
  NodeId end_ = 0;              ///< the records hold ids before this one
  std::exception_ptr failure_;  ///< why nothing more may be appended; null while all is well
  mutable std::mutex stats_mutex_;
  JournalStats stats_;
  JournalWriter writer_;  ///< while its thread works, all above but the paths is its
};

}  // namespace concord::core
