// concord::ThreadLimit: fewer threads for the calls that a thread makes within a scope.
#pragma once

#include <concord/export.hpp>

namespace concord {

/// While it lives, calls of the library on the calling thread run on at most `threads` threads, the
/// calling one included. They never run on more than RuntimeOptions::threads of the index. With 0
/// there is no limit. Scopes nest, and the innermost counts. It never changes a result.
///
/// It governs additions, searches of all kinds, tune and exact_knn on the CPU. Other threads that
/// use the index keep its own number. Thread-safety: an object stays on the thread that made it.
/// O(1).
class CONCORD_API ThreadLimit {
 public:
  explicit ThreadLimit(unsigned threads) noexcept;
  ~ThreadLimit();
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;

 private:
  unsigned before_;
};

}  // namespace concord
