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
  const std::string text = nb::str(integer).c_str();
  const std::string rule = text.front() == '-' ? "it must not be negative"
                                               : "it must fit " + std::to_string(bits) + " bits";
  throw Error(ErrorCode::invalid_parameter, std::string(name) + " is " + text + "; " + rule);
}

float real_number(nb::handle value, const char* name) {
  const double result = PyFloat_AsDouble(value.ptr());
  if (PyErr_Occurred() == nullptr) return static_cast<float>(result);
  PyErr_Clear();
  const std::string message =
      std::string(name) + " must be a number, not " + nb::inst_name(value).c_str();
  throw nb::type_error(message.c_str());
}

SearchParams search_params(nb::handle k, nb::handle ef, nb::handle slack, nb::handle rescore,
                           bool use_codes) {
  SearchParams how{.k = number32(k, "k"),
                   .ef = number32(ef, "ef"),
                   .slack = real_number(slack, "slack"),
                   .use_codes = use_codes};
  if (rescore.is_none()) return how;
  how.rescore = number32(rescore, "rescore");
  if (how.rescore > 0) return how;
  throw Error(ErrorCode::invalid_parameter, "rescore is 0; allowed are 1 to 65536, and None");
}

}  // namespace concord::python
