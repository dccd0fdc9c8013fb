#include "common/threads/after_fork.hpp"

#include <pthread.h>

#include <atomic>
#include <mutex>
#include <new>

namespace concord::core {
namespace {

std::mutex mutex;  // held while the process forks, so that the list is whole in the child
AfterFork* first = nullptr;
std::atomic<unsigned> forks{0};

}  // namespace

// Relaxed: a thread compares two values of its own process, and a child has one thread.
unsigned AfterFork::count() noexcept { return forks.load(std::memory_order_relaxed); }

void AfterFork::run_all() noexcept {
  for (AfterFork* at = first; at != nullptr; at = at->after_) at->action_(at->object_);
}

AfterFork::AfterFork(void* object, Action action) : object_(object), action_(action) {
  static const int registered = pthread_atfork([] { mutex.lock(); }, [] { mutex.unlock(); },
                                               [] {
                                                 mutex.unlock();
                                                 ++forks;
                                                 run_all();
                                               });
  if (registered != 0) throw std::bad_alloc();
  const std::lock_guard lock(mutex);
  after_ = first;
  if (first != nullptr) first->before_ = this;
  first = this;
}

AfterFork::~AfterFork() {
  const std::lock_guard lock(mutex);
  (before_ != nullptr ? before_->after_ : first) = after_;
  if (after_ != nullptr) after_->before_ = before_;
}

}  // namespace concord::core
