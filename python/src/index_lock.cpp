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

void note(const IndexLock* lock) { held.push_back(lock); }
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

template <class Free>
void IndexLock::wait(std::unique_lock<std::mutex>& guard, const Free& free) {
  while (!free()) {
    guard.unlock();  // never wait for the GIL with the mutex held
    if (PyErr_CheckSignals() != 0) nb::raise_python_error();
    {
      const nb::gil_scoped_release released;
      guard.lock();
      changed_.wait_for(guard, std::chrono::milliseconds(20), free);
      guard.unlock();
    }
    guard.lock();
  }
}

void IndexLock::lock() {
  refuse_if_held(this);
  held.reserve(held.size() + 1);
  std::unique_lock guard(mutex_);
  ++waiting_writers_;
  try {
    wait(guard, [&] { return !writing_ && readers_ == 0; });
  } catch (...) {
    if (!guard.owns_lock()) guard.lock();
    --waiting_writers_;
    changed_.notify_all();
    throw;
  }
  --waiting_writers_;
  writing_ = true;
  note(this);
}

void IndexLock::unlock() noexcept {
  const std::lock_guard guard(mutex_);
  writing_ = false;
  forget(this);
  changed_.notify_all();
}

void IndexLock::lock_shared() {
  refuse_if_held(this);
  held.reserve(held.size() + 1);
  std::unique_lock guard(mutex_);
  wait(guard, [&] { return !writing_ && waiting_writers_ == 0; });
  ++readers_;
  note(this);
}

void IndexLock::unlock_shared() noexcept {
  const std::lock_guard guard(mutex_);
  --readers_;
  forget(this);
  if (readers_ == 0) changed_.notify_all();
}

}  // namespace concord::python
