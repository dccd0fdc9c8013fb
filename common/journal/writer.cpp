#include "common/journal/writer.hpp"

#include <new>
#include <utility>

#include "common/threads/start_thread.hpp"

namespace concord::core {

NewRecord& JournalWriter::free_record() {
  std::unique_lock lock(mutex_);
  written_.wait(lock, [&] { return failure_ || begun_ - done_ < kAhead; });
  if (failure_) std::rethrow_exception(failure_);
  return records_[begun_ % kAhead];
}

void JournalWriter::hand_over() {
  if (!thread_.joinable() && !start_thread(thread_, [this] { work(); })) return write_now();
  const std::lock_guard lock(mutex_);
  ++begun_;
  handed_over_.notify_one();
}

void JournalWriter::write_now() {
  wait();
  write_(records_[begun_ % kAhead]);
}

void JournalWriter::wait() {
  std::unique_lock lock(mutex_);
  written_.wait(lock, [&] { return begun_ == done_; });
  if (failure_) std::rethrow_exception(failure_);
}

void JournalWriter::finish() noexcept {
  if (thread_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
      handed_over_.notify_one();
    }
    thread_.join();
  }
  closing_ = false;
  failure_ = nullptr;
}

void JournalWriter::after_fork() noexcept {
  new (&thread_) std::thread;
  new (&mutex_) std::mutex;
  new (&handed_over_) std::condition_variable;
  new (&written_) std::condition_variable;
  done_ = begun_;
}

void JournalWriter::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    handed_over_.wait(lock, [&] { return closing_ || done_ < begun_; });
    if (done_ == begun_) return;
    if (!failure_) {
      NewRecord& record = records_[done_ % kAhead];
      std::exception_ptr failure;
      lock.unlock();
      try {
        write_(record);
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      failure_ = failure;
    }
    ++done_;
    written_.notify_one();
  }
}

}  // namespace concord::core
