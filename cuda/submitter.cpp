#include "cuda/submitter.hpp"

#include <utility>

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
  if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
  const std::lock_guard lock(mutex_);
  jobs_.push_back(std::move(job));
  wake_.notify_one();
  return ++posted_;
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
}

}  // namespace concord::cuda
