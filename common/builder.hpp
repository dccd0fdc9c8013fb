// The construction pipeline: cuts insertions into batches within epochs and keeps a Proposer one
// batch ahead of the Committer.
#pragma once

#include <concord/params.hpp>
#include <concord/stats.hpp>
#include <functional>

#include "common/committer.hpp"
#include "common/graph.hpp"
#include "common/proposer.hpp"

namespace concord::core {

/// Inserts all announced nodes with `proposer`'s help. Returns false where `progress` cancelled;
/// what was committed by then stays. `between_steps` is called where nothing changes the graph.
/// Called by the one writer.
bool insert_announced(Graph& graph, Committer& committer, Proposer& proposer,
                      const ProgressCallback& progress,
                      const std::function<void()>& between_steps = {});

}  // namespace concord::core
