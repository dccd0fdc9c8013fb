// Exact neighbors without an index, and limits of threads.
#pragma once

#include <nanobind/nanobind.h>

namespace concord::python {

void add_exact(nanobind::module_& module);

}  // namespace concord::python
