#include "watch.hpp"

namespace nb = nanobind;

namespace concord::python {

template <class Ask>
bool Watch::ask(const Ask& ask) noexcept {
  if (raised_) return false;
  const nb::gil_scoped_acquire gil;
  try {
    if (PyErr_CheckSignals() != 0) nb::raise_python_error();
    return ask();
  } catch (...) {
    raised_ = std::current_exception();
    return false;
  }
}

bool Watch::go_on(std::uint64_t done, std::uint64_t total) noexcept {
  return ask(
      [&] { return progress_.is_none() || !progress_(done, total).is(nb::handle(Py_False)); });
}

bool Watch::go_on() noexcept {
  return ask([] { return true; });
}

}  // namespace concord::python
