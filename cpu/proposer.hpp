// The CPU's Proposer: threads with vector instructions propose neighbors and score lists.
//
// start() does the whole batch on the pool before it returns, from the live graph read as it was
// sealed. Thread-safety: used by the one building thread; works on the pool's threads.
#pragma once

#include <array>
#include <concord/stats.hpp>
#include <span>
#include <vector>

#include "common/build/proposer.hpp"
#include "common/contents/contents.hpp"
#include "common/threads/thread_pool.hpp"
#include "cpu/beam_search.hpp"
#include "cpu/tail_codes.hpp"

namespace concord::cpu {

class CpuProposer final : public core::RepairingProposer {
 public:
  /// Borrows all its arguments for its life. With `codes`, far vectors of the tail are rejected by
  /// their codes: the same proposals with fewer distances.
  CpuProposer(const core::Contents& contents, const MetricKernels& kernels, core::ThreadPool& pool,
              BuildStats& stats, TailCodes* codes = nullptr);

  void start(const core::Epoch& epoch, core::NodeId begin, core::NodeId end,
             const core::StopRequest& stop) override;
  const core::ProposalBatch* finish(const core::StopRequest& stop) override;
  const core::ListScores& score(const core::OverfullLists& batch) override;
  std::span<const core::Edge> relate(const core::Neighborhoods& sets) override;
  std::span<const core::NodeId> propose_again(std::span<const core::ListName> lists) override;
  void sealed() override {}
  /// Proposes for some nodes of a batch from a version of the graph that stays readable meanwhile;
  /// commits may go on beside it. The lists of the batch's other nodes hold anything. The result is
  /// valid until start() or this is called.
  const core::ProposalBatch& propose_some(const core::SealedVersion& version, core::NodeId begin,
                                          core::NodeId end, std::span<const core::NodeId> nodes);

 private:
  /// Nodes that a worker proposes for together, because the tail costs less for several at once.
  static constexpr std::size_t kNodesAtOnce = 6;
  static constexpr std::size_t kTailRows = 64;  ///< so few that they stay in the nearest caches
  static constexpr std::size_t kCodeRows = core::kMaxListCapacity;  ///< the same of codes

  struct Worker {
    Scratch scratch;
    Query query{};                   ///< the node that proposals are sought for
    Query walk_query{};              ///< the same, as walk_ takes it
    std::vector<std::uint8_t> code;  ///< of the node, where there are codes
    std::vector<float> widened;
    std::array<CandidateList, kNodesAtOnce> lists;  ///< of layer 0, a node each
    std::array<float, kNodesAtOnce * kTailRows> tail_distances;
    std::vector<float> bounds;             ///< [kNodesAtOnce × kCodeRows]
    std::vector<std::int8_t> query_codes;  ///< [kNodesAtOnce × TailCodes::query_bytes()]
    std::array<core::Key, core::kMaxListCapacity> keys;
    std::vector<float> matrix;
    BuildStats stats;
  };

  /// What one node's proposal reads.
  struct Task {
    core::NodeId node;
    core::SealedVersion version;
  };
  /// The same of at most kNodesAtOnce nodes.
  struct Tasks {
    core::NodeId begin;
    core::NodeId end;
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

  void propose(const Tasks& tasks, core::ProposalBatch& batch, Worker& worker) const;
  /// For a copy.
  void propose_nothing(core::NodeId node, core::ProposalBatch& batch) const;
  /// Whether is_candidate() may say no.
  [[nodiscard]] bool must_ask() const noexcept {
    return graph_.tombstones_linked() > 0 || graph_.copies().any();
  }
  /// Whether a node of the tail can be linked to a later one: it is no copy, and lives then.
  [[nodiscard]] bool is_candidate(core::NodeId id, core::NodeId node) const noexcept {
    return !graph_.copies().is_copy(id) && !graph_.is_dead(id, node + 1);
  }
  /// Proposes for the layers above 0, and leaves the sealed candidates of layer 0 in scratch.list.
  void propose_above(const Task& task, core::ProposalBatch& batch, Worker& worker) const;
  [[nodiscard]] core::Key descend(const Task& task, Worker& worker) const;
  void search_layer(const Task& task, std::uint32_t layer, core::Key from, Worker& worker) const;
  template <class Accept>
  void search_layer(const Scorer& scorer, const Query& query, const core::SealedVersion& version,
                    std::uint32_t layer, core::Key from, std::uint32_t ef, const Accept& accept,
                    Worker& worker) const;
  void merge_tail(const Task& task, std::uint32_t layer, Worker& worker) const;
  /// For layer 0 of all tasks.
  void merge_tails(const Tasks& tasks, Worker& worker) const;
  /// The same by codes. REQUIRES full lists.
  void merge_tails_by_codes(const Tasks& tasks, Worker& worker) const;
  /// Offers `n` nodes at these distances to the list of `node`: id_of(0), id_of(1), …
  template <class IdOf>
  void offer(core::NodeId node, std::size_t n, const IdOf& id_of, const float* distances,
             CandidateList& list) const;
  void select_neighbors(const CandidateList& list, core::NodeId* out, Worker& worker) const;
  /// Takes those candidates out of the block that are nearer to the node `by` than to theirs.
  void drop_dominated(core::NodeId by, Block& block, Worker& worker) const;
  void score_list(const core::OverfullLists& batch, const core::OverfullList& list, Worker& worker);
  /// Appends the edges of a set's relative neighborhood graph.
  void relate_set(std::span<const core::NodeId> set, std::vector<core::Edge>& edges,
                  Worker& worker) const;
  /// For the rows as the store keeps them now.
  void prepare_workers();
  /// The same for proposals from that version.
  void prepare_workers(const core::SealedVersion& version);
  void begin_node(core::NodeId node, Worker& worker) const;
  /// Has codes made for nodes [begin, end), if there are to be any.
  void prepare_codes(core::NodeId begin, core::NodeId end);
  void collect_stats();

  const core::Graph& graph_;
  const core::VectorStore& vectors_;
  const MetricKernels& kernels_;
  Scorer scorer_;
  Scorer walk_;  ///< descents and walks of proposals score by it: scorer_, or by codes
  core::ThreadPool& pool_;
  BuildStats& stats_;
  TailCodes* codes_;
  bool has_codes_ = false;  ///< of the batch that is proposed
  bool walks_by_codes_ = false;
  std::vector<Worker> workers_;
  core::ProposalBatch batches_[2];  ///< one may still be read while the other is filled
  unsigned current_ = 0;
  bool complete_ = false;
  core::ListScores scores_;
  std::vector<core::Edge> edges_;
  std::vector<core::NodeId> again_;
};

}  // namespace concord::cpu
