// The construction pipeline: cuts insertions into batches within epochs and keeps a Proposer one
// batch ahead of the Committer.
#pragma once

#include <concord/params.hpp>
#include <concord/stats.hpp>
#include <functional>

#include "common/build/committer.hpp"
#include "common/build/proposer.hpp"
#include "common/graph/graph.hpp"

namespace concord::core {

/// Extra work of the inserting thread.
struct InsertionHooks {
  /// Called with each batch just before its commit. An exception from it ends the insertion.
  std::function<void(const ProposalBatch&)> before_commit;
  /// Called behind each commit, before anything else changes the graph.
  std::function<void()> after_commit;
  /// Called between two steps, while nothing changes the graph.
  std::function<void()> between_steps;
};

/// Inserts all announced nodes with `proposer`'s help. Returns false where `progress` cancelled;
/// what was committed by then stays. Called by the one writer.
bool insert_announced(Graph& graph, Committer& committer, RepairingProposer& proposer,
                      const ProgressCallback& progress, const InsertionHooks& hooks = {});

}  // namespace concord::core
