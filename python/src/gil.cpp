#include "gil.hpp"

#include <unistd.h>

namespace concord::python {
namespace {

/// This thread ends the interpreter and has given the GIL back.
thread_local bool ends_interpreter = false;

bool is_ending() noexcept {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

[[noreturn]] void stay() noexcept {
  for (;;) pause();
}

/// `take` asks for the GIL. An end that begins meanwhile arrives as an exception.
template <class Take>
auto take_gil(const Take& take) noexcept {
  if (is_ending() && !ends_interpreter) stay();
  try {
    return take();
  } catch (...) {
    stay();
  }
}

}  // namespace

StaysInside::StaysInside() noexcept : ends_interpreter_(is_ending()) {}

StaysInside::~StaysInside() {
  if (is_ending() && !ends_interpreter_) stay();
}

WithoutGil::WithoutGil() noexcept : state_((ends_interpreter = is_ending(), PyEval_SaveThread())) {}

WithoutGil::~WithoutGil() {
  take_gil([this] { PyEval_RestoreThread(state_); });
  ends_interpreter = false;
}

WithGil::WithGil() noexcept : state_(take_gil(PyGILState_Ensure)) {}

WithGil::~WithGil() { PyGILState_Release(state_); }

}  // namespace concord::python
