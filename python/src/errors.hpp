// Errors of the binding, and how all errors become Python exceptions.
//
// concord::Error becomes the class that concord/errors.py lists for its code; the two classes here,
// for mistakes that only Python can make, become their namesakes there.
#pragma once

#include <stdexcept>

namespace concord::python {

/// An argument is no array, or of an element type that is neither read in place nor converted.
struct ArrayTypeError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The index was called from a callback or signal handler that it is waiting for itself.
struct BusyError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// From here on exceptions of the library leave the module as Python exceptions.
void translate_errors();

}  // namespace concord::python
