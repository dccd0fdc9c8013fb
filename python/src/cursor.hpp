// A concord::Cursor of a Python program, whose threads take turns at it.
//
// Thread-safety: all members, called with the GIL held.
#pragma once

#include <concord/index.hpp>
#include <utility>

#include "index.hpp"

namespace concord::python {

struct PythonCursor {
  /// Borrows `index`, which made `cursor`.
  PythonCursor(const PythonIndex& of, Cursor made) : index(of), cursor(std::move(made)) {}

  const PythonIndex& index;
  Cursor cursor;
  IndexLock turns;
};

}  // namespace concord::python
