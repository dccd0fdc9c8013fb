// Checks every invariant of a graph and says where one is broken.
#pragma once

#include <concord/stats.hpp>

#include "common/graph.hpp"

namespace concord::core {

/// O(Σ degree²) time, O(nodes) memory. Reads the graph defensively: no damage makes it fail.
AuditReport audit(const Graph& graph);

}  // namespace concord::core
