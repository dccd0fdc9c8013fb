// A small number of the calling thread, for spreading threads over cache lines.
// Thread-safety: any thread.
#pragma once

#include <atomic>
#include <cstddef>

namespace concord::core {

/// Threads are numbered from 0 in the order of their first call.
inline std::size_t thread_number() noexcept {
  static std::atomic<std::size_t> threads{0};
  thread_local const std::size_t number = threads.fetch_add(1, std::memory_order_relaxed);
  return number;
}

}  // namespace concord::core
