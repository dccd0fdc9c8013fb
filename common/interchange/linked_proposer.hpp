// A Proposer for vectors whose neighbors are partly known. Known links are the proposal; the CPU
// proposes for the other nodes and scores all lists.
//
// A proposal is a pure function of the known links and of the CPU's proposal, so it is the same for
// every number of threads.
// Thread-safety: used by the one building thread; works on the pool's threads.
#pragma once

#include <concord/stats.hpp>
#include <memory>
#include <vector>

#include "common/build/proposer.hpp"
#include "common/index/index_access.hpp"
#include "common/interchange/known_links.hpp"
#include "common/threads/thread_pool.hpp"

namespace concord::interchange {

class LinkedProposer final : public core::RepairingProposer {
 public:
  /// Borrows `parts`' index and `links`.
  LinkedProposer(const IndexAccess::Construction& parts, const KnownLinks& links);

  void start(const core::Epoch& epoch, core::NodeId begin, core::NodeId end,
             const core::StopRequest& stop) override;
  const core::ProposalBatch* finish(const core::StopRequest& stop) override;
  const core::ListScores& score(const core::OverfullLists& batch) override;
  std::span<const core::Edge> relate(const core::Neighborhoods& sets) override;
  std::span<const core::NodeId> propose_again(std::span<const core::ListName> lists) override;
  void sealed() override;

 private:
  /// Proposes for single nodes on its own thread.
  struct Worker {
    core::ThreadPool pool{1};
    BuildStats stats;
    std::unique_ptr<core::Proposer> proposer;
  };

  void propose(const core::Epoch& epoch, core::NodeId node, core::ProposalBatch& batch,
               core::Proposer& proposer) const;
  /// Writes what is known; false if a layer has nothing.
  bool propose_known(core::NodeId node, core::ProposalBatch& batch) const;
  void collect_stats();

  const core::Graph& graph_;
  const KnownLinks& links_;
  core::ThreadPool& pool_;
  BuildStats& stats_;
  std::unique_ptr<core::RepairingProposer> scorer_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<core::NodeId> unknown_;  ///< nodes of the batch that the CPU proposes for
  core::ProposalBatch batches_[2];     ///< one may still be read while the other is filled
  unsigned current_ = 0;
  bool complete_ = false;
};

}  // namespace concord::interchange
