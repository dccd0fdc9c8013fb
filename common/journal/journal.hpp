// The journal of an index: every batch of vectors, with labels and proposals, before it is
// committed; and marks between them.
//
// Committing is a cheap and pure function of the proposals. So replaying a journal gives the same
// graph to the last byte without searching for neighbors again (replay.hpp). One record is one
// batch, whole or absent: a build that is killed resumes after the last record.
//
// The file is at the index file's path + ".journal" and is locked while it is in use. It is
// replaced, never emptied: restart() renames a synced journal over it. sync() writes a mark behind
// what it synced. Closing syncs what is left and writes behind the header how long the journal is.
// By these, damage is told from a crash when the index is opened (record_reader.hpp).
// Invariants: the records continue the operations of the base up to counts_, without gap or
// overlap; bytes before durable_ are on disk. After a failure the content of the file is not known,
// so nothing more is appended until restart().
//
// During an addition a second thread writes records (writer.hpp). The index in memory may be ahead
// of the file by JournalWriter::kAhead batches, but sync() waits for all of them, and the last
// batch is on disk before it is committed. Thread-safety: one writer; any thread may call stats().
#pragma once

#include <concord/durability.hpp>
#include <concord/params.hpp>
#include <exception>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>

#include "common/build/proposer.hpp"
#include "common/contents/contents.hpp"
#include "common/contents/digest.hpp"
#include "common/graph/current_ranks.hpp"
#include "common/journal/layout.hpp"
#include "common/journal/replay.hpp"
#include "common/journal/writer.hpp"
#include "common/system/file.hpp"

namespace concord::core {

class Journal {
 public:
  /// Opens and locks the journal of the index file `index_path`, a resolved() path. If there is
  /// none, makes an empty file as a place for it. Throws Error(io), also if the journal is in use,
  /// and Error(corrupt_file).
  Journal(const std::filesystem::path& index_path, Durability durability);
  /// True if there is a journal, or a place for one, of this index file.
  static bool exists(const std::filesystem::path& index_path);
  /// Closes the journal, or removes the place of one that was never begun. In a forked child it
  /// leaves file and lock to the parent.
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// The journal's header; null if the journal was never begun.
  [[nodiscard]] const file::JournalHeader* header() const noexcept {
    return begin_ ? &begin_->header : nullptr;
  }

  /// Adds the vectors that the index file lacks to the index, and cuts off what a crash left
  /// incomplete. Whole records behind that are kept in a file at path + ".dropped". A journal of an
  /// earlier version is replaced by one of the present version. Calls accept() when the index has
  /// all operations: if that throws, the files are as they were. REQUIRES header(), and an index
  /// with the content of the index file. After an exception the index must not be used.
  Replay replay(const ReplayTarget& target, const std::function<void()>& accept);
  /// Replaces the journal by an empty one that goes on from the index file as it is now. Throws
  /// Error(io). Then either the old journal is in place, as usable as before, or the new one is,
  /// and nothing can be appended to it.
  void restart(const IndexParams& params, const file::OperationCounts& base, const Digest& digest);
  /// True if the first operation that it records is a flush, or if it records none. REQUIRES
  /// header(). Throws Error(corrupt_file).
  [[nodiscard]] bool begins_with_flush() const;
  /// Remembers which file is at the index file's path now, for check_files().
  void note_index_file();
  /// True if there was a file then.
  [[nodiscard]] bool has_index_file() const noexcept {
    return index_file_ && index_file_->exists();
  }
  /// Makes check_files() take any index file until note_index_file().
  void forget_index_file() noexcept { index_file_.reset(); }
  /// Throws Error(io) if someone else has replaced, removed or written to the index file, or has
  /// replaced or removed the journal.
  void check_files() const;
  /// True if `path` leads to the index file or the journal.
  [[nodiscard]] bool is_own_file(const std::filesystem::path& path) const;
  [[nodiscard]] const std::filesystem::path& index_path() const noexcept { return index_path_; }
  /// Where replay() keeps whole records that it cuts off.
  [[nodiscard]] std::filesystem::path dropped_path() const { return path_.string() + ".dropped"; }

  /// Throws Error(io) if an earlier failure forbids appending to the index of this graph, or if
  /// someone else removed the journal or wrote to it.
  void check_usable(const Graph& graph) const;
  /// Writes the record of the batch that will be committed next: on a second thread if other
  /// batches of the addition follow, otherwise before it returns. REQUIRES that rows and labels do
  /// not move until end_addition(). Throws Error(io), also for an earlier record.
  void append(const ProposalBatch& batch, const Contents& contents, bool others_follow);
  /// Writes the record of a removal of these labels, or of a flush, and makes it durable as sync()
  /// does. Throws Error(io).
  void append_remove(std::span<const std::uint64_t> labels);
  void append_flush();
  /// Makes all records as durable as the constructor was told, and writes a mark behind them.
  /// Throws Error(io).
  void sync();
  /// Returns when all records are written and no thread is at work. sync() throws the failure of a
  /// record.
  void end_addition() noexcept { writer_.finish(); }

  [[nodiscard]] JournalStats stats() const;

  /// In a forked child: the journal is the parent's, with its lock. What would write to it throws
  /// Error(unsupported).
  void after_fork() noexcept;

 private:
  void expect_own_process() const;
  [[nodiscard]] RecordPlace place() const noexcept {
    return {counts_, durable_, begin_->header.checksum};
  }
  void write(NewRecord& record);
  /// Writes a record without vectors, and makes it durable.
  void append_alone(std::span<const std::byte> bytes, std::uint64_t checksum,
                    const file::OperationCounts& after);
  void write_mark();
  /// A record of so many bytes is in the file.
  void go_behind(std::uint64_t bytes, std::uint64_t checksum, const file::OperationCounts& after);
  /// Goes on from records that end here.
  void go_on(std::uint64_t length, std::uint64_t chain, const file::OperationCounts& counts);
  void keep(std::uint64_t offset, std::uint64_t bytes) const;
  void upgrade(const file::OperationCounts& counts);
  void put_in_place(File fresh, const file::JournalHeader& header, const file::ClosedAt& closed,
                    const file::OperationCounts& counts);
  void close();
  /// Returns a guard that adds its lifetime to a sum of the stats.
  auto time(double& sum);
  void expect_own_content() const;
  template <class Action>
  void attempt(const Action& action);

  std::filesystem::path index_path_;
  std::filesystem::path path_;
  Durability durability_;
  File file_;
  std::uint64_t boot_;  ///< number of this start of the machine
  std::optional<JournalBegin> begin_;
  std::optional<FileIdentity> index_file_;
  std::uint64_t length_ = 0;      ///< of the file, up to the end of the last record
  std::uint64_t chain_ = 0;       ///< of the records
  std::uint64_t durable_ = 0;     ///< bytes known to be on disk
  file::OperationCounts counts_;  ///< of the index file and the records
  CurrentRanks ranks_;            ///< of the index that is recorded
  bool marked_ = true;            ///< the last record is a mark, or there is none
  std::exception_ptr failure_;    ///< why nothing more may be appended; null while all is well
  bool is_parents_ = false;       ///< a process opened this before it forked this one
  mutable std::mutex stats_mutex_;
  JournalStats stats_;
  JournalWriter writer_;  ///< while its thread works, it alone uses the members above but the paths
};

}  // namespace concord::core
