#include "index_lock.hpp"

#include <nanobind/nanobind.h>

#include <algorithm>
#include <chrono>
#include <new>
#include <vector>

#include "errors.hpp"
#include "gil.hpp"

namespace nb = nanobind;

namespace concord::python {
namespace {

thread_local std::vector<const IndexLock*> held;

void forget(const IndexLock* lock) noexcept {
  held.erase(std::find(held.begin(), held.end(), lock));
}
void refuse_if_held(const IndexLock* lock) {
  if (std::find(held.begin(), held.end(), lock) != held.end()) {
    throw BusyError(
        "the index is at work in this very thread; a callback or signal handler cannot use it");
  }
}

}  // namespace

/// Called with the GIL held, so that one thread of the child is the first.
void IndexLock::expect_own_process() {
  if (process_ == getpid()) return;
  const bool is_held = std::find(held.begin(), held.end(), this) != held.end();
  new (&mutex_) std::mutex;
  new (&changed_) std::condition_variable;
  writing_ = writing_ && is_held;
  readers_ = is_held && !writing_ ? 1 : 0;
  waiting_writers_ = 0;
  process_ = getpid();
}

/// Waits for free(), calls enter(); both with the mutex held, which nobody holds while he waits for
/// the GIL.
template <class Free, class Enter>
void IndexLock::acquire(const Free& free, const Enter& enter) {
  refuse_if_held(this);
  held.push_back(this);
  try {
    for (bool entered = false; !entered;) {
      {
        const std::lock_guard guard(mutex_);
        if (free()) return enter();
      }
      {
        const StaysInside scope;
        if (PyErr_CheckSignals() != 0) nb::raise_python_error();
      }
      const WithoutGil released;
      std::unique_lock guard(mutex_);
      entered = changed_.wait_for(guard, std::chrono::milliseconds(20), free);
      if (entered) enter();
    }
  } catch (...) {
    forget(this);
    throw;
  }
}

void IndexLock::lock() {
  expect_own_process();
  {
    const std::lock_guard guard(mutex_);
    ++waiting_writers_;
  }
  try {
    acquire([&] { return !writing_ && readers_ == 0; },
            [&] {
              writing_ = true;
              --waiting_writers_;
            });
  } catch (...) {
    const std::lock_guard guard(mutex_);
    --waiting_writers_;
    changed_.notify_all();
    throw;
  }
}

void IndexLock::unlock() noexcept {
  const std::lock_guard guard(mutex_);
  writing_ = false;
  forget(this);
  changed_.notify_all();
}

void IndexLock::lock_shared() {
  expect_own_process();
  acquire([&] { return !writing_ && waiting_writers_ == 0; }, [&] { ++readers_; });
}

void IndexLock::unlock_shared() noexcept {
  const std::lock_guard guard(mutex_);
  --readers_;
  forget(this);
  if (readers_ == 0) changed_.notify_all();
}

}  // namespace concord::python
