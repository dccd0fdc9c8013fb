// Starting a thread that the library can do without.
// Thread-safety: one thread.
#pragma once

#include <system_error>
#include <thread>
#include <utility>

namespace concord::core {

/// Runs `work` on `thread`; false where the system gives no thread. Throws std::bad_alloc.
template <class Work>
[[nodiscard]] bool start_thread(std::thread& thread, Work&& work) {
  try {
    thread = std::thread(std::forward<Work>(work));
  } catch (const std::system_error&) {
    return false;
  }
  return true;
}

}  // namespace concord::core
