// The device's Proposer: a batch is proposed by kernels over the mirror while the calling thread
// commits the one before.
//
// What a batch takes on the host (gathering changed rows, filling pinned memory, some ten calls of
// the runtime) is done by a submitting thread; it reads rows as they were sealed while the
// committing thread appends to them, and is done (settle) before a seal cuts any.
//
// Streams: vectors and changed rows go in on the mirror's copy stream, proposals are computed on
// its compute stream and come out on another, and rows are scored for pruning on an urgent stream,
// which overtakes a running proposal. Events order them; the calling thread waits in finish() and
// score() only, and does no distance arithmetic. Thread-safety: used by the one building thread.
#pragma once

#include <concord/stats.hpp>

#include "common/proposer.hpp"
#include "cuda/mirror.hpp"
#include "cuda/submitter.hpp"

namespace concord::cuda {

class DeviceProposer final : public core::Proposer {
 public:
  /// Borrows its arguments. Throws Error(unsupported) where the device has too little shared memory
  /// for these parameters.
  DeviceProposer(Device& device, Mirror& mirror, const core::Graph& graph, DeviceStats& stats,
                 BuildStats& build);
  ~DeviceProposer() override;

  void start(const core::Epoch& epoch, NodeId begin, NodeId end,
             const core::StopRequest& stop) override;
  const core::ProposalBatch* finish(const core::StopRequest& stop) override;
  const core::PruneScores& score(const core::PruneBatch& batch) override;
  void settle() override { submitter_.settle(); }
  /// Returns when its own thread does nothing: what that counts may be read. From any thread.
  void wait_for_submitter() const { submitter_.wait_until_idle(); }
  void sealed() override;
  /// The mirror may have been changed by searches since the last addition.
  void begin_addition() noexcept { in_place_ = true; }

 private:
  /// Room for the batch's lists and tails, planned for the largest batch there can be.
  void make_room(const core::ProposalBatch& batch, NodeId sealed_end);
  void propose(const core::ProposalBatch& batch, const core::SealedVersion& version);
  /// Uploads what the batch needs and launches it.
  void submit(core::ProposalBatch& batch, const core::Epoch& epoch);
  void collect(double seconds, const Counters& counters);

  Device& device_;
  Mirror& mirror_;
  const core::Graph& graph_;
  DeviceStats& stats_;
  BuildStats& build_;

  OwnedStream copy_out_;
  OwnedStream urgent_;
  OwnedEvent propose_begin_, propose_end_, proposed_;
  OwnedEvent score_begin_, score_end_, scored_;

  core::ProposalBatch batches_[2];
  unsigned current_ = 0;
  PinnedBuffer<std::uint32_t> first_list_;
  PinnedBuffer<NodeId> ids_;
  PinnedBuffer<Counters> counters_;  ///< of proposals, of scores
  DeviceBuffer<std::uint32_t> d_first_list_;
  DeviceBuffer<NodeId> d_ids_;
  DeviceBuffer<float> d_tail_distances_;
  DeviceBuffer<Counters> d_counters_;

  core::PruneScores scores_;
  PinnedBuffer<PruneRow> rows_;
  PinnedBuffer<NodeId> row_ids_;
  PinnedBuffer<std::uint8_t> order_;
  PinnedBuffer<std::uint64_t> dominators_;
  DeviceBuffer<PruneRow> d_rows_;
  DeviceBuffer<NodeId> d_row_ids_;
  DeviceBuffer<std::uint8_t> d_order_;
  DeviceBuffer<std::uint64_t> d_dominators_;

  bool in_place_ = true;  ///< the next start must find the mirror's state out for itself
  std::uint32_t started_epoch_ = 0;
  Submitter::Ticket started_ = 0;
  Submitter submitter_;  ///< last: its jobs use all of the above
};

}  // namespace concord::cuda
