// A lock that is given in the order in which it was asked for.
//
// A std::mutex goes to whoever runs first, so a thread that locks it again at once keeps the others
// out. Thread-safety: all members from any thread; the last to have it may destroy the lock.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

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
  /// Lets those who are waiting have it, then takes it back. REQUIRES that the caller has it.
  void lend() {
    std::unique_lock guard(mutex_);
    const std::uint64_t ticket = tickets_++;
    pass_on();
    wait_for(ticket, guard);
  }
  /// Whether others wait for the one who has it.
  [[nodiscard]] bool is_awaited() const noexcept {
    const std::lock_guard guard(mutex_);
    return tickets_ - served_ > 1;
  }

 private:
  void wait_for(std::uint64_t ticket, std::unique_lock<std::mutex>& guard) {
    turn_.wait(guard, [&] { return served_ == ticket; });
  }
  // With the mutex held to the end: whoever is next may destroy the lock.
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
