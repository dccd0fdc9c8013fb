// Statistics, memory use and audit reports as plain dicts; concord/reports.py gives them their
// types.
#pragma once

#include <nanobind/nanobind.h>

#include <concord/stats.hpp>

namespace concord::python {

nanobind::dict to_dict(const Stats& stats);
nanobind::dict to_dict(const MemoryUse& use);
nanobind::dict to_dict(const AuditReport& report);

}  // namespace concord::python
