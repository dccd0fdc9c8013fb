// Writing the records of an addition beside it: while one is packed, hashed and written, the next
// batch is committed.
//
// Whoever commits hands over what does not stay, the lists of proposals; vectors and labels are
// read from where they are kept, and stay there during an addition. Records are written in the
// order in which they were handed over, by one thread. At most kAhead of them wait or are being
// written: whoever hands over more waits. After a failure nothing more is written, and the error
// comes out of every call until finish().
// The thread begins with the first record that is handed over and ends with finish(); where the
// system gives none, the caller writes. All memory is taken by the caller: the thread lacks none.
// Thread-safety: used by the one writer of the index.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "common/proposer.hpp"
#include "common/vector_store.hpp"

namespace concord::core {

/// What a record is made of.
struct RecordParts {
  ProposalBatch batch;
  Element element = Element::u8;
  std::span<const std::byte> rows;        ///< where they are kept
  std::span<const std::uint64_t> labels;  ///< likewise
  std::vector<std::byte> buffer;          ///< has the capacity for all but the rows
};

class JournalWriter {
 public:
  static constexpr std::size_t kAhead = 2;

  /// `write` writes a record; one at a time.
  explicit JournalWriter(std::function<void(RecordParts&)> write) : write_(std::move(write)) {}
  ~JournalWriter() { finish(); }
  JournalWriter(const JournalWriter&) = delete;
  JournalWriter& operator=(const JournalWriter&) = delete;

  /// Where to put the parts of the next record; waits until there is one.
  RecordParts& free_record();
  /// Writes that record after those before it, beside the caller.
  void hand_over();
  /// Writes that record after those before it, and returns when it is written.
  void write_now();
  /// Returns when all that was handed over is written.
  void wait();
  /// Writes what was handed over, ends the thread and forgets a failure, which `write` has to keep.
  void finish() noexcept;

 private:
  void work();

  std::function<void(RecordParts&)> write_;
  std::array<RecordParts, kAhead> records_;  ///< number n is at place n mod kAhead
  std::thread thread_;
  std::mutex mutex_;  ///< guards what follows
  std::condition_variable handed_over_, written_;
  std::size_t begun_ = 0;  ///< records handed over
  std::size_t done_ = 0;   ///< of them, records written, or dropped after a failure
  std::exception_ptr failure_;
  bool closing_ = false;
};

}  // namespace concord::core
