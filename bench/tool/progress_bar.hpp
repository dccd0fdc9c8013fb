// A line on stderr with share, rate and time left. Prints nothing if stderr is not a terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace concord::bench {

/// One thread at a time. The destructor wipes the line.
class ProgressBar {
 public:
  ProgressBar(std::string label, std::uint64_t total);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// Draws at most ten times a second.
  void update(std::uint64_t done);

 private:
  using Clock = std::chrono::steady_clock;

  void draw(std::uint64_t done, double seconds);

  std::string label_;
  std::uint64_t total_;
  bool shown_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_{};
};

}  // namespace concord::bench
