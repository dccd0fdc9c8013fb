// The CPU's Proposer: threads with vector instructions propose neighbors and score rows.
//
// start() does the whole batch on the pool before it returns, from the live graph read as it was
// sealed. Thread-safety: used by the one building thread; works on the pool's threads.
#pragma once

#include <array>
#include <concord/stats.hpp>
#include <vector>

#include "common/proposer.hpp"
#include "common/thread_pool.hpp"
#include "common/vector_store.hpp"
#include "cpu/beam_search.hpp"

namespace concord::cpu {

class CpuProposer final : public core::Proposer {
 public:
  /// Borrows all its arguments for its life.
  CpuProposer(const core::Graph& graph, const core::VectorStore& vectors,
              const MetricKernels& kernels, core::ThreadPool& pool, BuildStats& stats);

  void start(const core::Epoch& epoch, core::NodeId begin, core::NodeId end,
             const core::StopRequest& stop) override;
  const core::ProposalBatch* finish(const core::StopRequest& stop) override;
  const core::PruneScores& score(const core::PruneBatch& batch) override;
  void sealed() override {}

 private:
  struct Worker {
    Scratch scratch;
    Query query{};  ///< the node that proposals are sought for
    std::vector<float> widened;
    std::vector<core::NodeId> tail;
    std::vector<core::Key> keys;
    BuildStats stats;
  };

  /// What one node's proposal reads.
  struct Task {
    core::NodeId node;
    core::SealedVersion version;
  };

  /// Some candidates for a node, in order, with their distances to it: those in [begin, end).
  struct Block {
    static constexpr std::size_t kSize = 32;
    std::array<core::NodeId, kSize> ids;
    std::array<float, kSize> distances;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
  };

  void propose(const Task& task, core::ProposalBatch& batch, Worker& worker) const;
  [[nodiscard]] core::Key descend(const Task& task, Worker& worker) const;
  void search_layer(const Task& task, std::uint32_t layer, core::Key from, Worker& worker) const;
  void merge_tail(const Task& task, std::uint32_t layer, Worker& worker) const;
  void select_neighbors(core::NodeId* out, Worker& worker) const;
  /// Takes those candidates out of the block that are nearer to the node `by` than to theirs.
  void drop_dominated(core::NodeId by, Block& block, Worker& worker) const;
  void score_row(const core::PruneBatch& batch, const core::PruneBatch::Row& row, Worker& worker);
  /// For the rows as the store keeps them now.
  void prepare_workers();
  void collect_stats();

  const core::Graph& graph_;
  const core::VectorStore& vectors_;
  const MetricKernels& kernels_;
  Scorer scorer_;
  core::ThreadPool& pool_;
  BuildStats& stats_;
  std::vector<Worker> workers_;
  core::ProposalBatch batches_[2];  ///< one may still be read while the other is filled
  unsigned current_ = 0;
  bool complete_ = false;
  core::PruneScores scores_;
};

}  // namespace concord::cpu
