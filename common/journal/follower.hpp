// Reads the journal of an index that another process has open, and brings its records into an index
// of its own.
//
// It takes only records that last (record_reader.hpp): those that the writer, or whoever opens the
// index after it, has as well, whatever happens. The rest of the file is "not yet". It takes no
// lock and writes nothing.
// The writer replaces its journal when it compacts. Whoever has the old file open may read it to
// the end. A file is looked at first, and the path after it: so a record that is taken from a file
// was written while that file was the index's journal.
// Thread-safety: one thread.
#pragma once

#include <concord/params.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>

#include "common/journal/layout.hpp"
#include "common/journal/record_reader.hpp"
#include "common/journal/replay.hpp"
#include "common/system/file.hpp"

namespace concord::core {

class Follower {
 public:
  /// Opens the journal of the index file `index_path`, a resolved() path. Throws Error(io), with
  /// ENOENT if there is none that was begun, and Error(corrupt_file).
  explicit Follower(const std::filesystem::path& index_path);
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  /// From now on the index has a history, which all records must continue: otherwise DivergedError
  /// in the place of Error(corrupt_file).
  void expect_history() noexcept;
  [[nodiscard]] const file::JournalHeader& header() const noexcept { return begin_.header; }
  /// As Journal::begins_with_flush().
  [[nodiscard]] bool begins_with_flush() const;

  /// Goes to where `other` is, if this is a copy of its journal, maybe with more records. Returns
  /// false, and stays at the beginning, if it is not. REQUIRES that nothing was taken.
  bool go_to(const Follower& other);

  /// Looks up to where the records last. Returns false if the journal at the path is another file
  /// by now. Throws Error(io, corrupt_file) and DivergedError.
  bool look();
  [[nodiscard]] bool has_more() const noexcept { return reader_.offset() < lasting_; }
  [[nodiscard]] std::uint64_t bytes_ahead() const noexcept { return lasting_ - reader_.offset(); }
  /// Operations up to where the records last, and of those that were taken.
  [[nodiscard]] file::OperationCounts lasting_counts() const { return reader_.counts_at(lasting_); }
  [[nodiscard]] const file::OperationCounts& counts() const noexcept { return reader_.counts(); }

  /// Takes the records that last; with `until`, none that goes beyond these operations.
  /// Calls `between` after each. Throws Error(io, corrupt_file, out_of_memory) and DivergedError;
  /// has_failed() tells whether the index must not be used then.
  void take(const ReplayTarget& target, const file::OperationCounts* until,
            const std::function<void()>& between);
  [[nodiscard]] bool has_failed() const noexcept { return has_failed_; }

 private:
  void find_lasting();
  void apply(Applier& applier, const Record& record) const;

  std::filesystem::path path_;
  File file_;
  std::uint64_t boot_;
  JournalBegin begin_;
  RecordReader reader_;
  std::uint64_t lasting_;
  bool has_history_ = false;
  bool has_failed_ = false;  ///< in the middle of a record
};

}  // namespace concord::core
