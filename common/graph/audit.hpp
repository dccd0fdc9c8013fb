// Checks every invariant of a graph and says where one is broken.
#pragma once

#include <concord/stats.hpp>

#include "common/graph/graph.hpp"
#include "common/threads/thread_pool.hpp"

namespace concord::core {

/// O(Σ degree²) time, O(nodes) memory. Reads the graph defensively: no damage makes it fail.
AuditReport audit(const Graph& graph);

/// True if and only if audit() finds nothing. Takes a fraction of its time, in parallel, and O(1)
/// memory, but does not say what is wrong. Loading a file uses it.
bool is_sound(const Graph& graph, ThreadPool& pool);

}  // namespace concord::core
