// Numbers of the caller, refused in words where they are none or do not fit.
#pragma once

#include <nanobind/nanobind.h>

#include <concord/params.hpp>
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

/// How to search, of numbers. `rescore` may be None, which the library has 0 for.
SearchParams search_params(nanobind::handle k, nanobind::handle ef, nanobind::handle slack,
                           nanobind::handle rescore, bool use_codes);

}  // namespace concord::python
