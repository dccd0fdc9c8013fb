// What a forked child does to go on with the library's objects.
//
// Of the threads only the one that forked is in the child. What the others held or counted is put
// right before fork() returns there: each object that has something to put right registers.
// Thread-safety: all members from any thread. An action runs in the child, on its only thread.
#pragma once

namespace concord::core {

class AfterFork {
 public:
  /// object.after_fork() runs in every child that is forked while this lives. It must not throw,
  /// register or unregister. Throws std::bad_alloc.
  template <class Object>
  explicit AfterFork(Object& object)
      : AfterFork(&object, [](void* at) noexcept { static_cast<Object*>(at)->after_fork(); }) {}
  ~AfterFork();
  AfterFork(const AfterFork&) = delete;
  AfterFork& operator=(const AfterFork&) = delete;

  /// How often a fork() has led to this process since the library was loaded.
  [[nodiscard]] static unsigned count() noexcept;

 private:
  using Action = void (*)(void* object) noexcept;
  AfterFork(void* object, Action action);
  static void run_all() noexcept;

  void* object_;
  Action action_;
  AfterFork* before_ = nullptr;
  AfterFork* after_ = nullptr;
};

}  // namespace concord::core
