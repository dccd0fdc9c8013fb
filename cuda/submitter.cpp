#include "cuda/submitter.hpp"

#include <utility>

#include "common/threads/start_thread.hpp"

namespace concord::cuda {

Submitter::~Submitter() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

Submitter::Ticket Submitter::post(std::function<void()> job) {
  const bool beside = thread_.joinable() || core::start_thread(thread_, [this] { work(); });
  std::unique_lock lock(mutex_);
  jobs_.push_back(std::move(job));
  const Ticket ticket = ++posted_;
  if (beside) {
    wake_.notify_one();
  } else {
    run_first(lock);
  }
  return ticket;
}

void Submitter::wait(Ticket ticket) {
  std::unique_lock lock(mutex_);
  done_.wait(lock, [&] { return finished_ >= ticket; });
  if (!error_) return;
  done_.wait(lock, [&] { return finished_ == posted_; });  // the later ones are dropped
  std::rethrow_exception(std::exchange(error_, nullptr));
}

void Submitter::wait_until_idle() const {
  std::unique_lock lock(mutex_);
  done_.wait(lock, [&] { return finished_ == posted_; });
}

void Submitter::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return closing_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    run_first(lock);
  }
}

void Submitter::run_first(std::unique_lock<std::mutex>& lock) {
  std::function<void()> job = std::move(jobs_.front());
  jobs_.pop_front();
  if (!error_) {
    lock.unlock();
    std::exception_ptr error;
    try {
      job();
    } catch (...) {
      error = std::current_exception();
    }
    job = nullptr;
    lock.lock();
    error_ = error;
  }
  ++finished_;
  done_.notify_all();
}

}  // namespace concord::cuda
