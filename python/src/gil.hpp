// Giving the GIL back and taking it, on threads that may outlive the interpreter.
//
// When the interpreter ends, Python before 3.14 ends a daemon thread that asks for the GIL: it
// unwinds the thread's stack, through functions that may not throw, and the process aborts. These
// classes keep such a thread where it is, for good; the process ends without it. The thread that
// ends the interpreter goes on. It is known by holding the GIL after the end has begun.
// Thread-safety: an object belongs to the thread that made it.
#pragma once

#include <nanobind/nanobind.h>

namespace concord::python {

/// For a scope that holds the GIL and runs Python code, which gives the GIL to other threads now
/// and then. A thread that is ended meanwhile stays in the scope.
class StaysInside {
 public:
  StaysInside() noexcept;
  ~StaysInside();
  StaysInside(const StaysInside&) = delete;
  StaysInside& operator=(const StaysInside&) = delete;

 private:
  const bool ends_interpreter_;
};

/// Gives the GIL back until the end of the scope.
class WithoutGil {
 public:
  WithoutGil() noexcept;
  ~WithoutGil();
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* const state_;
};

/// Takes the GIL until the end of the scope, on any thread.
class WithGil {
 public:
  WithGil() noexcept;
  ~WithGil();
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;

 private:
  PyGILState_STATE state_;
};

}  // namespace concord::python
