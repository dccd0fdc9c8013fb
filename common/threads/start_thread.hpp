// Starts a thread that the library can do without.
//
// The thread takes no signals that are meant for the process, so that a program can take them by
// sigwait or signalfd, or have its main thread interrupted. It takes those of its own faults.
// Thread-safety: one thread.
#pragma once

#include <csignal>
#include <system_error>
#include <thread>
#include <utility>

namespace concord::core {

/// While it lives, the calling thread, and every thread that it starts, blocks signals.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept {
    sigset_t all;
    sigfillset(&all);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT}) {
      sigdelset(&all, fault);
    }
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

/// Runs `work` on `thread`. False if the system gives no thread. Throws std::bad_alloc.
template <class Work>
[[nodiscard]] bool start_thread(std::thread& thread, Work&& work) {
  const SignalsBlocked blocked;
  try {
    thread = std::thread(std::forward<Work>(work));
  } catch (const std::system_error&) {
    return false;
  }
  return true;
}

}  // namespace concord::core
