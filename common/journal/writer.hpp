// Writing the records of an addition beside it: while one is packed, hashed and written, the next
// batch is committed.
//
// The committing thread hands over copies of the lists of proposals. The writing thread reads
// vectors and labels in the store and the label map, where they do not move during an addition. It
// writes records in the order in which they were handed over. At most kAhead of them wait or are
// being written; the committing thread waits before it hands over another. After a failure nothing
// more is written, and every call until finish() throws the error.
// The writing thread starts with the first record and ends with finish(). If the system gives no
// thread, the caller writes. The caller allocates all memory; the thread never does.
// The mutex orders all that the two threads share; a record belongs to the one whose turn the
// counts say it is. There are no atomics in the journal. Thread-safety: used by the one writer of
// the index.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "common/journal/record.hpp"

namespace concord::core {

class JournalWriter {
 public:
  static constexpr std::size_t kAhead = 2;

  /// `write` writes one record, never two at a time.
  explicit JournalWriter(std::function<void(NewRecord&)> write) : write_(std::move(write)) {}
  ~JournalWriter() { finish(); }
  JournalWriter(const JournalWriter&) = delete;
  JournalWriter& operator=(const JournalWriter&) = delete;

  /// The place for the content of the next record; waits until it is free.
  NewRecord& free_record();
  /// Writes that record after those before it, beside the caller.
  void hand_over();
  /// Writes that record after those before it, and returns when it is written.
  void write_now();
  /// Returns when all that was handed over is written.
  void wait();
  /// Writes all that was handed over, ends the thread and forgets a failure. `write` must remember
  /// it.
  void finish() noexcept;
  /// In a forked child: the thread is not there, and nothing waits for it.
  void after_fork() noexcept;

 private:
  void work();

  std::function<void(NewRecord&)> write_;
  std::array<NewRecord, kAhead> records_;  ///< number n is at place n mod kAhead
  std::thread thread_;
  std::mutex mutex_;  ///< guards the members below
  std::condition_variable handed_over_, written_;
  std::size_t begun_ = 0;  ///< records handed over
  std::size_t done_ = 0;   ///< of them, records written, or dropped after a failure
  std::exception_ptr failure_;
  bool closing_ = false;
};

}  // namespace concord::core
