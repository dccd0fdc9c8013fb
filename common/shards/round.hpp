// A round of an addition to several shards: a committing thread for each, and word to the caller.
//
// All shards end a round at one vector of the call before the next begins, so cancelling leaves a
// prefix of the vectors, as in one Index. How long a round is changes no bit, because a graph does
// not depend on the split of additions.
// Private to this folder. Thread-safety: one thread drives a round; it starts the others.
#pragma once

#include <atomic>
#include <chrono>
#include <concord/sharded_index.hpp>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "common/index/addition.hpp"
#include "common/threads/after_fork.hpp"

namespace concord {

/// What one shard takes of a call.
struct Part {
  std::size_t shard = 0;
  std::uint64_t first = 0;             ///< vectors that the shard ever took before
  std::uint64_t count = 0;             ///< vectors that it takes now
  std::vector<std::uint64_t> rows;     ///< [count]: their numbers in the call; none by position
  std::vector<core::NodeId> replaced;  ///< [count], or none where no vector replaces another
  std::vector<std::uint64_t> labels;   ///< [count], or none where they are numbers of insertion
  std::optional<IndexAccess::Addition> addition;
  std::uint64_t target = 0;            ///< vectors that it has at the end of the round
  std::atomic<std::uint64_t> done{0};  ///< vectors inserted
  std::exception_ptr error;
};

/// Throws what a shard threw, saying which it was.
[[noreturn]] void rethrow_of_shard(std::size_t shard, const std::exception_ptr& error);

/// Threads of the parent are not in a forked child: not those that insert, nor those that a shard
/// waits for. So an addition ends in the child.
class Parent {
 public:
  [[nodiscard]] bool is_here() const noexcept { return core::AfterFork::count() == forks_; }
  /// Throws Error(unsupported) in the child.
  void expect_here() const;

 private:
  unsigned forks_ = core::AfterFork::count();
};

/// Tells the caller how far an addition is, on the calling thread.
class Reporter {
 public:
  Reporter(const std::vector<Part>& parts, std::uint64_t total, std::uint64_t skipped,
           const ProgressCallback& progress)
      : parts_(parts), total_(total), skipped_(skipped), progress_(progress) {}

  [[nodiscard]] bool is_wanted() const noexcept { return progress_ != nullptr; }
  [[nodiscard]] bool is_cancelled() const noexcept { return cancelled_; }
  [[nodiscard]] const Parent& parent() const noexcept { return parent_; }
  /// Not more often than is useful.
  void ask();
  void report();

 private:
  const std::vector<Part>& parts_;
  std::uint64_t total_;
  std::uint64_t skipped_;
  const ProgressCallback& progress_;
  std::chrono::steady_clock::time_point last_{};
  bool cancelled_ = false;
  Parent parent_;
};

/// Inserts the parts of a round, on as many threads as there may be.
class Round {
 public:
  Round(std::vector<Part*> parts, Reporter& reporter)
      : parts_(std::move(parts)), reporter_(reporter) {}

  /// Returns when all parts are inserted or have failed; the calling thread inserts as well. Throws
  /// what the progress callback throws, and Error(unsupported) in a child that it forked.
  void run(unsigned threads);

 private:
  bool start(std::thread& other);
  void end_one();
  void insert_parts(bool is_caller);
  void insert(Part& part, bool is_caller);
  void wait();

  std::vector<Part*> parts_;
  Reporter& reporter_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  std::condition_variable ended_;
  std::size_t running_ = 0;  ///< other threads
};

}  // namespace concord
