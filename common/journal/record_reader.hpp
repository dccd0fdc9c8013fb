// Goes through the records of a journal, one after another: of one at rest, or of one that another
// process writes (follower.hpp).
//
// next() returns whole records. They continue the operations of the journal's base without gap or
// overlap. Bytes that are no sound record are the journal's end, unless something attests that a
// crash cannot have left them; then the journal is refused. Three things attest:
//   - the place where the index was last closed, if the bytes are before it,
//   - a later record that says that the bytes were on disk when it was written,
//   - a later mark of this start of the machine, since only a power cut loses what is not on disk.
// The same three say which records last: whatever happens now, they are in the journal when it is
// opened again. find_lasting() finds them while the journal grows.
// Thread-safety: one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/journal/layout.hpp"
#include "common/journal/record.hpp"
#include "common/system/file.hpp"

namespace concord::core {

/// A journal's header as it is in the file, of either version.
struct JournalBegin {
  file::JournalHeader header;  ///< in the form of the present version, but for the field version
  file::ClosedAt closed;       ///< of version 1: as if it had never been closed
};

/// What follows the last sound record of a journal.
struct JournalTail {
  std::uint64_t bytes = 0;
  std::uint64_t records = 0;  ///< whole ones behind a hole
  std::uint64_t vectors = 0;  ///< in them
};

class RecordReader {
 public:
  /// Reads the file up to its present length, behind a sound header. `boot` is the number of this
  /// start of the machine. Borrows the file. Throws Error(corrupt_file).
  RecordReader(const File& file, const JournalBegin& begin, std::uint64_t boot);

  /// The next record, valid until the next call; null at the end of the sound records. Throws
  /// Error(corrupt_file), as decode(), and Error(io).
  const Record* next();

  // --- of a journal that grows ---
  /// Looks at the file anew, and returns up to where the records last: no less than offset().
  /// `closed` is the place of the last close as it is in the file now. Throws Error(io),
  /// Error(corrupt_file), and DivergedError if the file is no longer the one that was read.
  std::uint64_t find_lasting(const file::ClosedAt& closed);
  /// From now on a record that does not continue those before it is another history's, since these
  /// have been acted upon: DivergedError.
  void expect_history() noexcept { is_followed_ = true; }
  /// Goes to where `other` is, which reads another file with a journal of the same header. Returns
  /// false, and stays at the beginning, unless the records up to there are the same: by their
  /// running hash. REQUIRES that nothing was read.
  bool go_to(const RecordReader& other);
  /// next() ends at `end`, which find_lasting() has returned.
  void end_at(std::uint64_t end) noexcept { length_ = end; }
  /// counts() behind the next record; as counts() if there is none.
  [[nodiscard]] file::OperationCounts next_counts() const;
  /// Operations up to `end`, as counts(). REQUIRES the end of a record, no less than offset().
  [[nodiscard]] file::OperationCounts counts_at(std::uint64_t end) const;

  /// Operations of the index file and of the records so far.
  [[nodiscard]] const file::OperationCounts& counts() const noexcept { return counts_; }
  /// The chain of the records so far.
  [[nodiscard]] std::uint64_t chain() const noexcept { return chain_; }
  /// Bytes of the journal up to the end of the records so far.
  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
  /// What follows them, once next() has returned null.
  [[nodiscard]] const JournalTail& tail() const noexcept { return tail_; }

 private:
  [[nodiscard]] std::uint64_t left() const noexcept { return length_ - offset_; }
  [[nodiscard]] std::optional<file::RecordHeader> header_at(std::span<const std::byte> bytes) const;
  /// The header of a record, and the first bytes behind it.
  struct Head {
    file::RecordHeader header;
    std::array<std::byte, sizeof(file::Mark)> payload;
  };
  /// Of the record at `offset`; none if that is not sound or not whole.
  [[nodiscard]] std::optional<Head> read_head(std::uint64_t offset) const;
  bool read_payload(const file::RecordHeader& header);
  void expect_as_closed(std::uint64_t end) const;
  void expect_to_continue() const;
  void examine_tail();
  /// Calls use(header, first bytes behind it, its offset) for each sound header from `first` on.
  template <class Use>
  void for_headers_from(std::uint64_t first, const Use& use) const;
  [[nodiscard]] bool is_mark_of_this_start(const file::RecordHeader& header,
                                           std::span<const std::byte> payload) const;
  /// Why a hole at `offset` is none that a crash has left, if this record is behind it; else null.
  [[nodiscard]] const char* attests(const file::RecordHeader& header,
                                    std::span<const std::byte> payload, std::uint64_t offset) const;
  [[nodiscard]] const char* is_attested(std::uint64_t offset) const;
  [[noreturn]] void refuse_other(const std::string& reason) const;

  const File& file_;
  std::uint32_t version_;
  std::size_t header_bytes_;
  file::ClosedAt closed_;
  std::uint64_t boot_;
  std::uint64_t seed_;
  std::uint32_t stride_;
  std::uint64_t length_;  ///< next() ends there
  std::uint64_t offset_;
  std::uint64_t chain_;
  file::OperationCounts counts_;
  std::vector<std::byte> payload_;
  Record record_;
  JournalTail tail_;
  bool is_followed_ = false;
};

}  // namespace concord::core
