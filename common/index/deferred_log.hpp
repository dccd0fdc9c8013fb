// Messages for the caller's log, held back until the log may be called.
//
// The log is the caller's code. It may ask the index for something and so wait for the writer, who
// may be waiting for readers, or for a lock that is held here. So whoever is among the readers or
// holds a lock writes to a DeferredLog, and delivers it when both are behind.
// Thread-safety: one thread.
#pragma once

#include <concord/index.hpp>
#include <string>
#include <utility>
#include <vector>

namespace concord {

class DeferredLog {
 public:
  /// Borrows nothing: `log` may be replaced before the messages are delivered.
  explicit DeferredLog(LogCallback log) : log_(std::move(log)) {}

  void write(LogLevel level, std::string message) {
    if (log_) lines_.push_back({level, std::move(message)});
  }
  /// Calls the log with each message, in order. Throws what the log throws.
  void deliver() {
    for (const Line& line : std::exchange(lines_, {})) log_(line.level, line.message);
  }
  /// Runs `call` and delivers, whether `call` returns or throws.
  template <class Call>
  void deliver_after(const Call& call) {
    try {
      call();
    } catch (...) {
      deliver();
      throw;
    }
    deliver();
  }

 private:
  struct Line {
    LogLevel level;
    std::string message;
  };
  LogCallback log_;
  std::vector<Line> lines_;
};

}  // namespace concord
