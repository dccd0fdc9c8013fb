// Messages of the shards for the caller's log, kept until a thread that called the index delivers
// them: shards also work on threads of the library, where the caller's log may not be called.
//
// Thread-safety: all members from any thread. Whoever delivers holds no lock and is among no
// readers, because the log is the caller's code.
#pragma once

#include <concord/params.hpp>
#include <mutex>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace concord::core {

class SharedLog {
 public:
  explicit SharedLog(LogCallback log) : log_(std::move(log)) {}

  void write(LogLevel level, std::string message) {
    const std::lock_guard lock(mutex_);
    lines_.push_back({level, std::move(message)});
  }
  void deliver() {
    std::vector<Line> lines;
    {
      const std::lock_guard lock(mutex_);
      lines.swap(lines_);
    }
    for (const Line& line : lines) log_(line.level, line.message);
  }
  /// In a forked child.
  void after_fork() noexcept { new (&mutex_) std::mutex; }

 private:
  struct Line {
    LogLevel level;
    std::string message;
  };
  const LogCallback log_;
  std::mutex mutex_;
  std::vector<Line> lines_;
};

}  // namespace concord::core
