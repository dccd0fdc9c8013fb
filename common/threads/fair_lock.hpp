// A lock that serves threads in the order in which they asked.
//
// A std::mutex goes to the thread that runs first, so a thread that locks it again at once can keep
// the others out.
// Thread-safety: all members from any thread; the last owner may destroy the lock.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <new>

namespace concord::core {

class FairLock {
 public:
  void lock() {
    std::unique_lock guard(mutex_);
    wait_for(tickets_++, guard);
  }
  void unlock() noexcept {
    const std::lock_guard guard(mutex_);
    pass_on();
  }
  /// Serves the threads that are waiting, then locks again. REQUIRES that the caller owns the lock.
  void lend() {
    std::unique_lock guard(mutex_);
    const std::uint64_t ticket = tickets_++;
    pass_on();
    wait_for(ticket, guard);
  }
  /// In a forked child: the lock is free, or the calling thread's if `is_owned`. Nobody waits.
  /// Returns whether another thread owned it.
  bool after_fork(bool is_owned) noexcept {
    const bool was_taken = tickets_ != served_;
    new (&mutex_) std::mutex;
    new (&turn_) std::condition_variable;
    tickets_ = served_ + (is_owned ? 1 : 0);
    return was_taken && !is_owned;
  }
  /// True while other threads wait for the owner.
  [[nodiscard]] bool is_awaited() const noexcept {
    const std::lock_guard guard(mutex_);
    return tickets_ - served_ > 1;
  }

 private:
  void wait_for(std::uint64_t ticket, std::unique_lock<std::mutex>& guard) {
    turn_.wait(guard, [&] { return served_ == ticket; });
  }
  // The mutex is held to the end, because the next owner may destroy the lock.
  void pass_on() noexcept {
    ++served_;
    turn_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable turn_;
  std::uint64_t tickets_ = 0;  ///< given so far
  std::uint64_t served_ = 0;   ///< of those; the next one has the lock, if it was given
};

}  // namespace concord::core
