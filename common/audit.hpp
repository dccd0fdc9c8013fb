// Checks every invariant of a graph and says where one is broken.
#pragma once

#include <concord/stats.hpp>

#include "common/graph.hpp"
#include "common/thread_pool.hpp"

namespace concord::core {

/// O(Σ degree²) time, O(nodes) memory. Reads the graph defensively: no damage makes it fail.
AuditReport audit(const Graph& graph);

/// True if and only if audit() finds nothing, in a fraction of its time and in parallel: what
/// opening a file asks. Does not say what is wrong. Memory O(1).
bool is_sound(const Graph& graph, ThreadPool& pool);

}  // namespace concord::core
