#include "common/threads/writer_lock.hpp"

#include <concord/error.hpp>

namespace concord::core {

WriterLock::Writing::Writing(WriterLock& lock) : lock_(lock) {
  if (lock_.is_held_here()) {
    throw Error(
        ErrorCode::invalid_parameter,
        "a callback of an addition must not change the index (add, compact, set_runtime); allowed "
        "there are searches and inspection");
  }
  lock_.expect_whole();
  lock_.writers_.lock();
  enter();
}

WriterLock::Writing::~Writing() {
  if (!left_) leave();
  lock_.writers_.unlock();
}

void WriterLock::Writing::leave() noexcept {
  lock_.writer_ = std::thread::id{};
  lock_.graph_.unlock();
  left_ = true;
}

void WriterLock::Writing::enter() {
  lock_.graph_.lock();
  lock_.writer_ = std::this_thread::get_id();
  left_ = false;
}

void WriterLock::Writing::lend() {
  if (!is_awaited()) return;
  lock_.writer_ = std::thread::id{};
  lock_.graph_.lend();
  lock_.writer_ = std::this_thread::get_id();
}

WriterLock::Pause::Pause(WriterLock& lock) : lock_(lock.is_held_here() ? nullptr : &lock) {
  if (lock_ == nullptr) return;
  lock_->expect_whole();
  lock_->graph_.lock();
}

void WriterLock::Pause::end() noexcept {
  if (lock_ == nullptr) return;
  lock_->graph_.unlock();
  lock_ = nullptr;
}

void WriterLock::expect_whole() const {
  if (!interrupted_) return;
  throw Error(ErrorCode::unsupported,
              "the process forked while another thread was adding to this index; the child may "
              "search it, because it is whole for searches at every moment, and destroy it");
}

void WriterLock::after_fork() noexcept {
  const bool is_writer = is_held_here();
  graph_.after_fork(is_writer);
  interrupted_ = writers_.after_fork(is_writer) || interrupted_;
}

void WriterLock::wait_for_writer() {
  if (is_held_here()) return;
  writers_.lock();
  writers_.unlock();
}

}  // namespace concord::core
