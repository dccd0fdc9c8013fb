// Serializes additions, and pauses one between two of its steps for a call that reads the whole
// graph.
//
// An addition holds the lock from its first change to its last and lends it between commits. So a
// pause (for a save, an audit, a digest) waits for at most one step of the addition. Each lending
// serves the pauses that wait by then, once, so neither side can starve the other. Searches need no
// pause.
// Thread-safety: all members from any thread; requests are served first come, first served.
#pragma once

#include <atomic>
#include <thread>

#include "common/threads/fair_lock.hpp"

namespace concord::core {

class WriterLock {
 public:
  /// Held for the length of an addition. Throws Error(invalid_parameter) if this thread already
  /// holds one, because a callback of an addition must not add, and Error(unsupported) as Pause.
  class Writing {
   public:
    explicit Writing(WriterLock& lock);
    ~Writing();
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;
    [[nodiscard]] bool is_awaited() const noexcept { return lock_.graph_.is_awaited(); }
    /// Serves the pauses that wait. Called where the graph is consistent.
    void lend();
    /// Lets visitors in until enter(), which another thread may call. Other writers stay out.
    void leave() noexcept;
    /// The calling thread goes on with the addition. REQUIRES leave() before.
    void enter();

   private:
    WriterLock& lock_;
    bool left_ = false;
  };

  /// While it lives, no addition changes the graph. In a callback of the addition it holds nothing,
  /// because the addition stands still for the callback. Throws Error(unsupported) in a child that
  /// was forked beside an addition on another thread: that addition has stopped anywhere.
  class Pause {
   public:
    explicit Pause(WriterLock& lock);
    ~Pause() { end(); }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;
    /// Ends the pause early.
    void end() noexcept;

   private:
    WriterLock* lock_;
  };

  /// Returns when no other thread's addition is under way.
  void wait_for_writer();

  /// In a forked child: what the threads of the parent held is free.
  void after_fork() noexcept;
  /// True in a child that was forked beside an addition on another thread.
  [[nodiscard]] bool is_interrupted() const noexcept { return interrupted_; }

 private:
  void expect_whole() const;
  [[nodiscard]] bool is_held_here() const noexcept {
    // Relaxed: only the thread itself stores its number, or takes it away.
    return writer_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }

  FairLock writers_;  ///< one addition at a time, taken before graph_ and never lent
  FairLock graph_;    ///< its owner may read the whole graph
  std::atomic<std::thread::id> writer_{};
  bool interrupted_ = false;
};

}  // namespace concord::core
