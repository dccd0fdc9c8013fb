#include "common/writer_lock.hpp"

#include <concord/error.hpp>

namespace concord::core {

WriterLock::Writing::Writing(WriterLock& lock) : lock_(lock) {
  if (lock_.is_held_here()) {
    throw Error(
        ErrorCode::invalid_parameter,
        "a callback of an addition must not change the index (add, compact); allowed there are "
        "searches and inspection");
  }
  lock_.writers_.lock();
  lock_.mutex_.lock();
  lock_.writer_ = std::this_thread::get_id();
}

WriterLock::Writing::~Writing() {
  lock_.writer_ = std::thread::id{};
  lock_.mutex_.unlock();
  lock_.writers_.unlock();
}

void WriterLock::Writing::lend() {
  const std::uint64_t waiting = lock_.arrived_;
  std::uint64_t left = lock_.left_;
  if (left >= waiting) return;
  lock_.writer_ = std::thread::id{};
  lock_.mutex_.unlock();
  for (; left < waiting; left = lock_.left_) lock_.left_.wait(left);
  lock_.mutex_.lock();
  lock_.writer_ = std::this_thread::get_id();
}

WriterLock::Visit::Visit(WriterLock& lock) : lock_(lock.is_held_here() ? nullptr : &lock) {
  if (lock_ == nullptr) return;
  ++lock_->arrived_;
  lock_->mutex_.lock();
}

void WriterLock::Visit::end() noexcept {
  if (lock_ == nullptr) return;
  lock_->mutex_.unlock();
  ++lock_->left_;
  lock_->left_.notify_all();
  lock_ = nullptr;
}

void WriterLock::wait_for_writer() noexcept {
  if (is_held_here()) return;
  const std::lock_guard lock(writers_);
}

}  // namespace concord::core
