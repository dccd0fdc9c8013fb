#include "common/writer_lock.hpp"

#include <concord/error.hpp>

namespace concord::core {

WriterLock::Writing::Writing(WriterLock& lock) : lock_(lock) {
  if (lock_.is_held_here()) {
    throw Error(
        ErrorCode::invalid_parameter,
        "a callback of an addition must not change the index (add, compact, set_runtime); allowed "
        "there are searches and inspection");
  }
  lock_.writers_.lock();
  lock_.graph_.lock();
  lock_.writer_ = std::this_thread::get_id();
}

WriterLock::Writing::~Writing() {
  lock_.writer_ = std::thread::id{};
  lock_.graph_.unlock();
  lock_.writers_.unlock();
}

void WriterLock::Writing::lend() {
  if (!is_awaited()) return;
  lock_.writer_ = std::thread::id{};
  lock_.graph_.lend();
  lock_.writer_ = std::this_thread::get_id();
}

WriterLock::Visit::Visit(WriterLock& lock) : lock_(lock.is_held_here() ? nullptr : &lock) {
  if (lock_ != nullptr) lock_->graph_.lock();
}

void WriterLock::Visit::end() noexcept {
  if (lock_ == nullptr) return;
  lock_->graph_.unlock();
  lock_ = nullptr;
}

void WriterLock::wait_for_writer() {
  if (is_held_here()) return;
  writers_.lock();
  writers_.unlock();
}

}  // namespace concord::core
