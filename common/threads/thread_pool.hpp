// Loops over independent items, on the calling thread and worker threads.
//
// The worker threads are the process's: all pools share them. They start when a loop first has work
// for them, and end with the last pool. There are as many as the largest pool asks for, or one per
// hardware thread if that is more, however many pools there are.
// parallel_for hands out small chunks of [0, n) to the calling thread (worker 0) and to worker
// threads that are free. No result may depend on which worker gets an item. A pool runs one loop at
// a time: a second caller, or a caller inside a loop, runs its loop on its own thread alone.
// In a forked child a pool goes on with threads of the child. A ThreadLimit of the calling thread
// (concord/thread_limit.hpp) lowers the number of threads of the loops that it begins.
// Thread-safety: parallel_for may be called from any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>

namespace concord::core {

/// Sets the limit that a ThreadLimit sets, of the calling thread, and returns the one before.
unsigned limit_threads(unsigned threads) noexcept;

class ThreadPool {
 public:
  /// `threads` in all, the caller included; 0 = one per hardware thread.
  explicit ThreadPool(unsigned threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// How many threads a loop runs on at most.
  [[nodiscard]] unsigned size() const noexcept { return size_; }

  /// Calls body(worker, first, last) until [0, n) is done; worker < size(). Rethrows the exception
  /// of the lowest chunk that threw: chunks begin in order, so it is the same for every run.
  /// The calling thread asks `stop` between its chunks; true ends the loop early, and then the call
  /// returns false. A `stop` that forks must throw in the child, where chunks of other threads are
  /// not done.
  bool parallel_for(std::size_t n, std::size_t chunk,
                    const std::function<void(unsigned, std::size_t, std::size_t)>& body,
                    const std::function<bool()>& stop = {});
  /// Calls body(i) for each i of [0, n). Rethrows the exception of the lowest i that threw.
  template <class Body>
  void for_each(std::size_t n, std::size_t chunk, const Body& body) {
    parallel_for(n, chunk, [&](unsigned, std::size_t first, std::size_t last) {
      for (std::size_t i = first; i < last; ++i) body(i);
    });
  }

  /// In a forked child: the loop of a thread that is not there is over.
  void after_fork() noexcept { busy_ = false; }

 private:
  friend class Workers;
  struct Loop;

  unsigned size_;
  std::shared_ptr<class Workers> workers_;  ///< null in a pool of one thread
  std::atomic<bool> busy_{false};           ///< the pool runs some caller's loop
};

}  // namespace concord::core
