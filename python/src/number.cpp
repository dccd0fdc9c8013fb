#include "number.hpp"

#include <concord/error.hpp>
#include <string>

namespace nb = nanobind;

namespace concord::python {

std::uint64_t number(nb::handle value, const char* name, unsigned bits) {
  if (!PyIndex_Check(value.ptr())) {
    const std::string message =
        std::string(name) + " must be an integer, not " + nb::inst_name(value).c_str();
    throw nb::type_error(message.c_str());
  }
  const nb::object integer = nb::steal(PyNumber_Index(value.ptr()));
  if (!integer.is_valid()) nb::raise_python_error();
  const std::uint64_t result = PyLong_AsUnsignedLongLong(integer.ptr());
  if (PyErr_Occurred() == nullptr && (bits == 64 || result >> bits == 0)) return result;
  PyErr_Clear();  // negative, or too large
  throw Error(ErrorCode::invalid_parameter, std::string(name) + " is " + nb::str(integer).c_str() +
                                                "; it must fit " + std::to_string(bits) +
                                                " bits without sign");
}

}  // namespace concord::python
