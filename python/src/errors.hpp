// Errors of the binding, and how all errors become Python exceptions.
//
// concord::Error becomes the class that concord/errors.py lists for its code; the two classes here,
// for mistakes that only Python can make, become their namesakes there.
#pragma once

#include <nanobind/nanobind.h>

#include <concord/error.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace concord::python {

/// An argument is no array, or of an element type that is neither read in place nor converted.
struct ArrayTypeError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The index was called from a callback or signal handler that it is waiting for itself.
struct BusyError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Error(io) of a call that was given this path.
struct PathError : Error {
  PathError(const Error& error, std::string of)
      : Error(error.code(), error.what(), error.system_error()), path(std::move(of)) {}
  std::string path;
};

/// Does `work`; an Error(io) leaves as PathError.
template <class Work>
auto with_path(const std::string& path, const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::io) throw;
    throw PathError(error, path);
  }
}

/// Text that may hold a path, whose bytes need not be UTF-8: as Python itself keeps such names.
nanobind::object to_text(std::string_view text);

/// From here on exceptions of the library leave the module as Python exceptions.
void translate_errors();

}  // namespace concord::python
