// How many threads this process has.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <thread>

namespace concord::test {

inline std::size_t threads_of_process() {
  const auto tasks = std::filesystem::directory_iterator("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

// The kernel lists a thread for a moment after it was joined.

/// The threads before a test starts any. ThreadSanitizer starts one of its own beside the first.
inline std::size_t threads_at_rest() {
  std::thread([] {}).join();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  return threads_of_process();
}

/// The threads when no more than `expected` are left, or after ten seconds.
inline std::size_t threads_left(std::size_t expected) {
  for (int i = 0; i < 1000 && threads_of_process() > expected; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return threads_of_process();
}

}  // namespace concord::test
