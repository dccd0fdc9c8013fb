// An action that runs at the end of a scope, whether the scope is left by a return or an exception.
//
//   const Finally unlock([&] { mutex.unlock(); });
//
// Actions run in the reverse order of their guards. Thread-safety: none is needed, because a guard
// is a local variable.
#pragma once

#include <utility>

namespace concord::core {

/// REQUIRES an action that does not throw.
template <class Action>
class [[nodiscard]] Finally {
 public:
  explicit Finally(Action action) : action_(std::move(action)) {}
  ~Finally() { action_(); }
  Finally(const Finally&) = delete;
  Finally& operator=(const Finally&) = delete;

 private:
  Action action_;
};

}  // namespace concord::core
