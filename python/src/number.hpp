// Numbers of the caller, refused in words where they are none or do not fit.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>

namespace concord::python {

/// `value` as an integer of `bits` bits without sign. Throws TypeError where it is no integer,
/// Error(invalid_parameter) where it does not fit; what is allowed beyond that, the library checks.
std::uint64_t number(nanobind::handle value, const char* name, unsigned bits);

/// Throws TypeError where it is no number.
float real_number(nanobind::handle value, const char* name);

inline std::uint32_t number32(nanobind::handle value, const char* name) {
  return static_cast<std::uint32_t>(number(value, name, 32));
}

}  // namespace concord::python
