// Files of hnswlib and FAISS: concord/interchange.hpp for Python.
#pragma once

#include <nanobind/nanobind.h>

namespace concord::python {

/// Adds load_hnswlib, save_hnswlib, load_faiss and save_faiss to the module.
void add_interchange(nanobind::module_& module);

}  // namespace concord::python
