// Lets a test hold code to a number of bytes of new memory, heap and mapped alike.
#pragma once

#include <sys/mman.h>
#include <sys/resource.h>

#include <cstddef>
#include <fstream>
#include <string>

#include "tests/support/sanitizers.hpp"

namespace concord::test {

/// While it lives, the process may take at most `bytes` more of writable private memory; beyond
/// them allocations fail. Sanitizers take memory of their own, so under them it does nothing.
/// Thread-safety: none; one at a time.
class DataLimit {
 public:
  explicit DataLimit(std::size_t bytes) {
    getrlimit(RLIMIT_DATA, &old_);
    if (!supported()) return;
    const rlimit limit{data_bytes() + bytes, old_.rlim_max};
    setrlimit(RLIMIT_DATA, &limit);
  }
  ~DataLimit() { setrlimit(RLIMIT_DATA, &old_); }
  DataLimit(const DataLimit&) = delete;
  DataLimit& operator=(const DataLimit&) = delete;

  static constexpr bool supported() {
#if defined(CONCORD_UNDER_ASAN) || defined(CONCORD_UNDER_TSAN)
    return false;
#else
    return true;
#endif
  }

  /// True if the system enforces the limit that is in force.
  static bool refuses(std::size_t bytes) {
    void* const p =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return true;
    munmap(p, bytes);
    return false;
  }

 private:
  // What the system counts against the limit.
  static std::size_t data_bytes() {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;) {
      std::size_t kilobytes = 0;
      if (word == "VmData:" && status >> kilobytes) return kilobytes << 10;
    }
    return 0;
  }

  rlimit old_{};
};

}  // namespace concord::test
