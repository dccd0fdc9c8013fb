#include "common/thread_pool.hpp"

#include <algorithm>

#include "common/float_environment.hpp"

namespace concord::core {

struct ThreadPool::Loop {
  std::size_t n;
  std::size_t chunk;
  const std::function<void(unsigned, std::size_t, std::size_t)>& body;
  std::atomic<std::size_t> next{0};
  std::atomic<bool> stopped{false};
  std::mutex mutex;
  std::exception_ptr error;
  std::size_t error_at = 0;  ///< first item of the chunk that threw `error`
};

ThreadPool::ThreadPool(unsigned threads) {
  if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
  workers_.reserve(threads - 1);
  try {
    for (unsigned worker = 1; worker < threads; ++worker) {
      workers_.emplace_back([this, worker] { work(worker); });
    }
  } catch (const std::exception&) {
    // The system gives fewer threads than asked for, or no memory for them (std::system_error,
    // std::bad_alloc); the loops run with those there are.
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

bool ThreadPool::parallel_for(std::size_t n, std::size_t chunk,
                              const std::function<void(unsigned, std::size_t, std::size_t)>& body,
                              const std::function<bool()>& stop) {
  Loop loop{n, chunk, body, {}, {}, {}, {}};
  const bool shared = !workers_.empty() && n > chunk && !busy_.exchange(true);
  if (shared) {
    const std::lock_guard lock(mutex_);
    loop_ = &loop;
    ++generation_;
    running_ = static_cast<unsigned>(workers_.size());
    wake_.notify_all();
  }
  run(loop, 0, stop);
  if (shared) {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return running_ == 0; });
    loop_ = nullptr;
    busy_ = false;
  }
  if (loop.error) std::rethrow_exception(loop.error);
  return !loop.stopped;
}

void ThreadPool::work(unsigned worker) {
  const FloatEnvironment environment;  // threads inherit their creator's
  std::uint64_t seen = 0;
  for (;;) {
    Loop* loop;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return closing_ || generation_ != seen; });
      if (closing_) return;
      seen = generation_;
      loop = loop_;
    }
    run(*loop, worker, {});
    const std::lock_guard lock(mutex_);
    if (--running_ == 0) done_.notify_one();
  }
}

void ThreadPool::run(Loop& loop, unsigned worker, const std::function<bool()>& stop) {
  std::size_t first = 0;
  try {
    while (!loop.stopped.load(std::memory_order_relaxed)) {
      first = loop.next.fetch_add(loop.chunk, std::memory_order_relaxed);
      if (first >= loop.n) return;
      if (stop && stop()) {
        loop.stopped = true;
        return;
      }
      loop.body(worker, first, std::min(loop.n, first + loop.chunk));
    }
  } catch (...) {
    const std::lock_guard lock(loop.mutex);
    if (!loop.error || first < loop.error_at) {
      loop.error = std::current_exception();
      loop.error_at = first;
    }
    loop.stopped = true;
  }
}

}  // namespace concord::core
