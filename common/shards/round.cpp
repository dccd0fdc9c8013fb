#include "common/shards/round.hpp"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "common/threads/start_thread.hpp"

namespace concord {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kReportInterval{20};

}  // namespace

void rethrow_of_shard(std::size_t shard, const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Error& caught) {
    throw Error(caught.code(), "shard " + std::to_string(shard) + ": " + caught.what());
  }
}

void Parent::expect_here() const {
  if (is_here()) return;
  throw Error(ErrorCode::unsupported,
              "the progress callback of an addition forked this process; the addition goes on in "
              "the parent alone");
}

void Reporter::ask() {
  const Clock::time_point now = Clock::now();
  if (now - last_ < kReportInterval) return;
  last_ = now;
  report();
}

void Reporter::report() {
  if (!progress_ || cancelled_) return;
  std::uint64_t done = skipped_;
  for (const Part& part : parts_) done += part.done;
  cancelled_ = !progress_(done, total_);
}

void Round::run(unsigned threads) {
  std::vector<std::thread> others(std::min<std::size_t>(threads, parts_.size()) - 1);
  running_ = others.size();
  std::exception_ptr thrown;
  for (std::thread& other : others) {
    if (!start(other)) end_one();
  }
  insert_parts(true);
  try {
    wait();
  } catch (...) {
    thrown = std::current_exception();
  }
  for (std::thread& other : others) {
    if (!other.joinable()) continue;
    reporter_.parent().is_here() ? other.join() : other.detach();
  }
  reporter_.parent().expect_here();
  if (thrown) std::rethrow_exception(thrown);
}

/// False where the system has no thread, or no memory for one; the others do its work.
bool Round::start(std::thread& other) {
  try {
    return core::start_thread(other, [this] {
      insert_parts(false);
      end_one();
    });
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void Round::end_one() {
  const std::lock_guard lock(mutex_);
  --running_;
  ended_.notify_one();
}

void Round::insert_parts(bool is_caller) {
  for (;;) {
    const std::size_t i = next_++;
    if (i >= parts_.size() || !reporter_.parent().is_here()) return;
    Part& part = *parts_[i];
    try {
      insert(part, is_caller);
    } catch (...) {
      part.error = std::current_exception();
    }
  }
}

void Round::insert(Part& part, bool is_caller) {
  const std::uint64_t before = part.done;
  ProgressCallback progress;
  if (reporter_.is_wanted()) {
    progress = [&](std::uint64_t done, std::uint64_t) {
      part.done = before + done;
      if (is_caller) reporter_.ask();
      return true;  // the round ends in all shards at one vector
    };
  }
  part.done = part.addition->insert(part.target, progress);
}

/// In a forked child it touches nothing that another thread may have held.
void Round::wait() {
  while (reporter_.parent().is_here()) {
    std::unique_lock lock(mutex_);
    if (ended_.wait_for(lock, kReportInterval, [&] { return running_ == 0; })) return;
    lock.unlock();
    reporter_.ask();
  }
}

}  // namespace concord
