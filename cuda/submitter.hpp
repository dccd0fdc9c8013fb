// One thread that does small jobs in order, so that the committing thread need not wait for them.
//
// The first job that throws stops the queue: later jobs are dropped until wait() or drain()
// rethrows the error.
//
// Thread-safety: post, wait and drain are called from one thread, wait_until_idle from any.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace concord::cuda {

class Submitter {
 public:
  using Ticket = std::uint64_t;

  Submitter() = default;
  /// Finishes the jobs posted.
  ~Submitter();
  Submitter(const Submitter&) = delete;
  Submitter& operator=(const Submitter&) = delete;

  /// Queues a job and returns its ticket. The first job starts the thread. If the system gives
  /// none, the job is done before this returns.
  Ticket post(std::function<void()> job);
  /// Waits for a job and those before it; rethrows their error.
  void wait(Ticket ticket);
  /// Waits for all jobs; rethrows their error.
  void drain() { wait(posted_); }
  /// Waits for all jobs; an error stays for drain.
  void wait_until_idle() const;

 private:
  void work();
  void run_first(std::unique_lock<std::mutex>& lock);

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  mutable std::condition_variable done_;
  std::deque<std::function<void()>> jobs_;
  Ticket posted_ = 0;
  Ticket finished_ = 0;
  std::exception_ptr error_;
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace concord::cuda
