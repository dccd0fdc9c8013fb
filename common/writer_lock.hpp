// Who may look at the whole graph while nothing changes it: the writer, and, between two of its
// steps, visitors.
//
// An addition holds the lock from its first change to its last and lends it between commits, so a
// visitor (a save, an audit, a digest) waits for one step of the addition at most, and each lending
// lets in those who were waiting by then, once: neither side can starve the other. Searches do not
// need it.
// Thread-safety: all members from any thread; turns go by the order of asking.
#pragma once

#include <atomic>
#include <thread>

#include "common/fair_lock.hpp"

namespace concord::core {

class WriterLock {
 public:
  /// Held for the length of an addition. Throws Error(invalid_parameter) if this thread is in one
  /// already: a callback of an addition must not add.
  class Writing {
   public:
    explicit Writing(WriterLock& lock);
    ~Writing();
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;
    [[nodiscard]] bool is_awaited() const noexcept { return lock_.graph_.is_awaited(); }
    /// Lets in the visitors that are waiting. Called where the graph is consistent.
    void lend();

   private:
    WriterLock& lock_;
  };

  /// Held while something looks at a graph that stands still. In a callback of the addition, which
  /// stands still meanwhile, it holds nothing.
  class Visit {
   public:
    explicit Visit(WriterLock& lock);
    ~Visit() { end(); }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;
    /// What follows needs no graph that stands still.
    void end() noexcept;

   private:
    WriterLock* lock_;
  };

  /// Returns when no addition is under way, unless it is this thread's own.
  void wait_for_writer();

 private:
  [[nodiscard]] bool is_held_here() const noexcept {
    return writer_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }

  FairLock writers_;  ///< one addition at a time, taken before graph_ and never lent
  FairLock graph_;    ///< which stands still for the one who has it
  std::atomic<std::thread::id> writer_{};
};

}  // namespace concord::core
