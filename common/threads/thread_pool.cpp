#include "common/threads/thread_pool.hpp"

#include <algorithm>
#include <concord/thread_limit.hpp>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/float_environment.hpp"
#include "common/base/immortal.hpp"
#include "common/threads/after_fork.hpp"
#include "common/threads/start_thread.hpp"

namespace concord {
namespace {

thread_local unsigned most_threads = 0;  // of the loops that this thread begins; 0: no limit

}  // namespace

unsigned core::limit_threads(unsigned threads) noexcept {
  return std::exchange(most_threads, threads);
}

ThreadLimit::ThreadLimit(unsigned threads) noexcept : before_(core::limit_threads(threads)) {}

ThreadLimit::~ThreadLimit() { most_threads = before_; }

namespace core {
namespace {

unsigned hardware_threads() { return std::max(1U, std::thread::hardware_concurrency()); }

}  // namespace

struct ThreadPool::Loop {
  using Body = std::function<void(unsigned, std::size_t, std::size_t)>;
  Loop(std::size_t n_items, std::size_t at_once, const Body& of_chunk)
      : n(n_items), chunk(at_once), body(of_chunk) {}

  const std::size_t n;
  const std::size_t chunk;
  const Body& body;
  std::atomic<std::size_t> next{0};
  std::atomic<bool> stopped{false};
  std::mutex mutex;
  std::exception_ptr error;
  std::size_t error_at = 0;  ///< first item of the chunk that threw `error`

  // Guarded by the mutex of Workers.
  unsigned places = 0;  ///< for worker threads that may still come
  unsigned came = 0;
  unsigned inside = 0;
  std::condition_variable left;

  void run(unsigned worker, const std::function<bool()>& stop);
};

/// The worker threads of the process. Thread-safety: all members from any thread.
class Workers {
 public:
  /// Those that all pools share.
  static std::shared_ptr<Workers> shared();
  Workers() = default;
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// There may be `threads` of them.
  void allow(unsigned threads);
  /// Lets up to `places` threads into the loop.
  void open(ThreadPool::Loop& loop, unsigned places);
  /// Lets no more in, and returns when those inside have left.
  void close(ThreadPool::Loop& loop);
  /// In a forked child: there are no threads, and no loop waits for them.
  void after_fork() noexcept;

 private:
  void start(std::size_t wanted);
  void work();

  std::mutex mutex_;  ///< guards all below
  std::condition_variable wake_;
  std::vector<ThreadPool::Loop*> open_;  ///< loops with places, in the order of their calls
  std::vector<std::thread> threads_;
  std::size_t allowed_ = hardware_threads() - 1;
  std::size_t idle_ = 0;
  bool closing_ = false;
  AfterFork in_child_{*this};
};

std::shared_ptr<Workers> Workers::shared() {
  struct Shared {
    std::mutex mutex;
    std::weak_ptr<Workers> living;
    AfterFork in_child{*this};
    void after_fork() noexcept { new (&mutex) std::mutex; }
  };
  static const Immortal<Shared> shared;
  const std::lock_guard lock(shared->mutex);
  std::shared_ptr<Workers> workers = shared->living.lock();
  if (!workers) shared->living = workers = std::make_shared<Workers>();
  return workers;
}

Workers::~Workers() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Workers::allow(unsigned threads) {
  const std::lock_guard lock(mutex_);
  allowed_ = std::max<std::size_t>(allowed_, threads);
}

void Workers::open(ThreadPool::Loop& loop, unsigned places) {
  const std::lock_guard lock(mutex_);
  try {
    open_.reserve(open_.size() + 1);
    start(places);
  } catch (const std::bad_alloc&) {
    if (open_.size() == open_.capacity()) return;  // the loop then runs on the caller's thread
  }
  loop.places = places;
  open_.push_back(&loop);
  for (unsigned i = 0; i < places; ++i) wake_.notify_one();
}

// The system may give fewer threads than are wanted.
void Workers::start(std::size_t wanted) {
  for (const ThreadPool::Loop* const other : open_) wanted += other->places;
  while (idle_ < wanted && threads_.size() < allowed_) {
    threads_.reserve(threads_.size() + 1);
    std::thread thread;
    if (!start_thread(thread, [this] { work(); })) return;
    threads_.push_back(std::move(thread));
    ++idle_;
  }
}

void Workers::close(ThreadPool::Loop& loop) {
  std::unique_lock lock(mutex_);
  std::erase(open_, &loop);
  loop.left.wait(lock, [&] { return loop.inside == 0; });
}

void Workers::work() {
  const FloatEnvironment environment;  // threads inherit their creator's
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return closing_ || !open_.empty(); });
    if (closing_) return;
    ThreadPool::Loop& loop = *open_.front();
    const unsigned worker = ++loop.came;
    if (--loop.places == 0) open_.erase(open_.begin());
    ++loop.inside;
    --idle_;
    lock.unlock();
    loop.run(worker, {});
    lock.lock();
    ++idle_;
    if (--loop.inside == 0) loop.left.notify_one();
  }
}

// What the threads were doing is lost, and so is what guarded it. Nothing of the old members is
// read, because another thread may have been changing it.
void Workers::after_fork() noexcept {
  new (&mutex_) std::mutex;
  new (&wake_) std::condition_variable;
  new (&open_) std::vector<ThreadPool::Loop*>;
  new (&threads_) std::vector<std::thread>;
  idle_ = 0;
}

ThreadPool::ThreadPool(unsigned threads) : size_(threads == 0 ? hardware_threads() : threads) {
  if (size_ == 1) return;
  workers_ = Workers::shared();
  workers_->allow(size_ - 1);
}

ThreadPool::~ThreadPool() = default;

bool ThreadPool::parallel_for(std::size_t n, std::size_t chunk,
                              const std::function<void(unsigned, std::size_t, std::size_t)>& body,
                              const std::function<bool()>& stop) {
  Loop loop(n, chunk, body);
  const unsigned most = most_threads == 0 ? size_ : std::min(size_, most_threads);
  const bool shared = workers_ && most > 1 && n > chunk && !busy_.exchange(true);
  const unsigned forks = AfterFork::count();
  if (shared) {
    const std::size_t others = (n - 1) / chunk;  // chunks beside the caller's first
    workers_->open(loop, static_cast<unsigned>(std::min<std::size_t>(most - 1, others)));
  }
  loop.run(0, stop);
  if (shared && AfterFork::count() == forks) workers_->close(loop);
  if (shared) busy_ = false;
  if (loop.error) std::rethrow_exception(loop.error);
  return !loop.stopped;
}

void ThreadPool::Loop::run(unsigned worker, const std::function<bool()>& stop) {
  std::size_t first = 0;
  try {
    // Relaxed: the mutex of open() and close() orders all else; these share out indices alone.
    while (!stopped.load(std::memory_order_relaxed)) {
      first = next.fetch_add(chunk, std::memory_order_relaxed);
      if (first >= n) return;
      if (stop && stop()) {
        stopped = true;
        return;
      }
      body(worker, first, std::min(n, first + chunk));
    }
  } catch (...) {
    const std::lock_guard lock(mutex);
    if (!error || first < error_at) {
      error = std::current_exception();
      error_at = first;
    }
    stopped = true;
  }
}

}  // namespace core
}  // namespace concord
