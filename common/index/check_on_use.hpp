// The parts of a mapped file that are checked before their first use.
//
// Thread-safety: all members from any thread; threads that need the same part wait for its check.
#pragma once

#include <atomic>
#include <functional>
#include <initializer_list>
#include <mutex>
#include <new>
#include <span>

#include "common/file/file_format.hpp"

namespace concord {

class CheckOnUse {
 public:
  /// `check` throws Error(corrupt_file, io) for a part that is not sound. REQUIRES that no other
  /// thread uses this yet.
  void begin(std::function<void(core::FilePart)> check) { check_ = std::move(check); }
  /// The index is mapped from a file.
  [[nodiscard]] bool is_mapped() const noexcept { return check_ != nullptr; }

  /// Checks those of the parts that were not checked before; does nothing for an index in memory.
  void expect_sound(std::span<const core::FilePart> parts) const {
    if (!is_mapped()) return;
    for (const core::FilePart part : parts) {
      const unsigned bit = 1U << static_cast<unsigned>(part);
      if ((checked_.load(std::memory_order_acquire) & bit) != 0) continue;
      // No call_once: with libgcc linked in, exceptions do not pass through it.
      const std::lock_guard lock(mutex_);
      if ((checked_ & bit) != 0) continue;
      check_(part);
      checked_ |= bit;
    }
  }
  void expect_sound(std::initializer_list<core::FilePart> parts) const {
    expect_sound(std::span(parts.begin(), parts.size()));
  }
  /// In a forked child: the check of a thread that is not there has not happened.
  void after_fork() noexcept { new (&mutex_) std::mutex; }
  /// While it is held no check runs, which may allocate.
  [[nodiscard]] std::unique_lock<std::mutex> without_checks() const {
    return std::unique_lock(mutex_);
  }

 private:
  std::function<void(core::FilePart)> check_;
  mutable std::mutex mutex_;
  mutable std::atomic<unsigned> checked_{0};  ///< a bit for each FilePart
};

}  // namespace concord
