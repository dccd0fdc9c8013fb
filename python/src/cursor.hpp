// A concord::Cursor of a Python program, whose threads take turns at it.
//
// Thread-safety: all members, called with the GIL held.
#pragma once

#include <concord/index.hpp>
#include <functional>
#include <utility>

#include "index.hpp"

namespace concord::python {

struct PythonCursor {
  /// PythonIndexOf::next_page of the index that made the cursor.
  using Next = std::function<nanobind::object(PythonCursor&, nanobind::handle k)>;
  PythonCursor(Next of, Cursor made) : next(std::move(of)), cursor(std::move(made)) {}

  const Next next;  ///< borrows that index
  Cursor cursor;
  IndexLock turns;
};

}  // namespace concord::python
