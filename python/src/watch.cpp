#include "watch.hpp"

#include <string_view>

#include "gil.hpp"

namespace nb = nanobind;

namespace concord::python {
namespace {

/// False, or that of numpy, which comparisons of its numbers give. None and 0 are neither.
bool is_false(const nb::object& answer) {
  if (answer.is(nb::handle(Py_False))) return true;
  const std::string_view type = Py_TYPE(answer.ptr())->tp_name;
  return (type == "numpy.bool" || type == "numpy.bool_") && PyObject_IsTrue(answer.ptr()) == 0;
}

}  // namespace

template <class Ask>
bool Watch::ask(const Ask& ask) noexcept {
  if (raised_) return false;
  const WithGil gil;
  try {
    const StaysInside scope;
    if (PyErr_CheckSignals() != 0) nb::raise_python_error();
    return ask();
  } catch (...) {
    raised_ = std::current_exception();
    return false;
  }
}

bool Watch::go_on(std::uint64_t done, std::uint64_t total) noexcept {
  return ask([&] { return progress_.is_none() || !is_false(progress_(done, total)); });
}

bool Watch::take(const void* data, std::size_t bytes) noexcept {
  return ask([&] {
    progress_(nb::bytes(static_cast<const char*>(data), bytes));
    return true;
  });
}

bool Watch::go_on() noexcept {
  return ask([] { return true; });
}

}  // namespace concord::python
