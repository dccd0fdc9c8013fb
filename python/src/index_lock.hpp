// Many who share or one alone, as concord::Index asks for, whatever Python threads do.
//
// Those who wait to be alone keep new sharers out, so that they get their turn. A thread that holds
// the lock and asks again (from a progress callback, a signal handler, a finaliser) gets BusyError
// instead of waiting for itself. Thread-safety: all members. They are called with the GIL held, and
// release it while they wait; pending signals are looked at meanwhile, so Ctrl-C ends the wait. In
// a forked child nobody but the thread that forked holds the lock.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>

namespace concord::python {

class IndexLock {
 public:
  void lock();
  void unlock() noexcept;
  void lock_shared();
  void unlock_shared() noexcept;

 private:
  void expect_own_process();
  template <class Free, class Enter>
  void acquire(const Free& free, const Enter& enter);

  pid_t process_ = getpid();  ///< the others are of this process
  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned readers_ = 0;
  unsigned waiting_writers_ = 0;
  bool writing_ = false;
};

}  // namespace concord::python
