// Worker threads for loops over independent items.
//
// parallel_for hands out small chunks of [0, n) to the calling thread (worker 0) and to the pool's
// own threads; which worker gets which item must not matter to the result. One loop runs at a time:
// a second caller, or one inside a loop, does its loop alone on its own thread.
// Thread-safety: parallel_for may be called from any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace concord::core {

class ThreadPool {
 public:
  /// `threads` in all, the caller included; 0 = one per hardware thread.
  explicit ThreadPool(unsigned threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] unsigned size() const noexcept {
    return static_cast<unsigned>(workers_.size()) + 1;
  }

  /// Calls body(worker, first, last) until [0, n) is done; worker < size(). Rethrows the exception
  /// of the lowest chunk that threw: chunks begin in order, so it is the same for every run.
  /// `stop`, asked on the calling thread between its chunks, ends the loop early; returns false if
  /// it did.
  bool parallel_for(std::size_t n, std::size_t chunk,
                    const std::function<void(unsigned, std::size_t, std::size_t)>& body,
                    const std::function<bool()>& stop = {});

 private:
  struct Loop;
  void work(unsigned worker);
  static void run(Loop& loop, unsigned worker, const std::function<bool()>& stop);

  std::vector<std::thread> workers_;
  std::atomic<bool> busy_{false};  ///< the workers run some caller's loop
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  Loop* loop_ = nullptr;
  std::uint64_t generation_ = 0;
  unsigned running_ = 0;
  bool closing_ = false;
};

}  // namespace concord::core
