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

/// What the inserting thread does besides.
struct InsertionHooks {
  /// Called with each batch just before it is committed; what it throws ends the insertion.
  std::function<void(const ProposalBatch&)> before_commit;
  /// Called where nothing changes the graph.
  std::function<void()> between_steps;
};

/// Inserts all announced nodes with `proposer`'s help. Returns false where `progress` cancelled;
/// what was committed by then stays. Called by the one writer.
bool insert_announced(Graph& graph, Committer& committer, Proposer& proposer,
                      const ProgressCallback& progress, const InsertionHooks& hooks = {});

}  // namespace concord::core
