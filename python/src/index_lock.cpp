#include "index_lock.hpp"

#include <nanobind/nanobind.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "errors.hpp"

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
      if (PyErr_CheckSignals() != 0) nb::raise_python_error();
      const nb::gil_scoped_release released;
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
  acquire([&] { return !writing_ && waiting_writers_ == 0; }, [&] { ++readers_; });
}

void IndexLock::unlock_shared() noexcept {
  const std::lock_guard guard(mutex_);
  --readers_;
  forget(this);
  if (readers_ == 0) changed_.notify_all();
}

}  // namespace concord::python
