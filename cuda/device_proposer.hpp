// The device's Proposer: a batch is proposed by kernels over the mirror while the calling thread
// commits the one before.
//
// A submitting thread does a batch's work on the host: it gathers changed lists, fills pinned
// memory and makes some ten calls of the runtime. It reads lists as they were sealed while the
// committing thread appends to them, and drain() waits for it before a seal cuts any. A batch whose
// searches may meet tombstones is submitted by the calling thread: none is committed meanwhile,
// because none is proposed ahead of a seal that unlinks.
//
// Streams: vectors and changed lists go in on the mirror's copy stream. Proposals are computed on
// its compute stream and come out on a third. Lists are scored on an urgent stream, which overtakes
// a running proposal. Events order them. The calling thread waits in finish() and score() only, and
// does no distance arithmetic.
//
// Thread-safety: used by the one building thread.
#pragma once

#include <algorithm>
#include <concord/stats.hpp>
#include <optional>

#include "common/build/proposer.hpp"
#include "cuda/mirror.hpp"
#include "cuda/submitter.hpp"

namespace concord::cuda {

class DeviceProposer final : public core::Proposer {
 public:
  /// Borrows its arguments. Throws Error(unsupported) if the device has too little shared memory
  /// for these parameters.
  DeviceProposer(Device& device, Mirror& mirror, const core::Contents& contents, DeviceStats& stats,
                 BuildStats& build);
  ~DeviceProposer() override;

  /// False if the tombstones that a search may meet find no room in shared memory.
  [[nodiscard]] bool takes(NodeId begin, NodeId end) const override;
  void start(const core::Epoch& epoch, NodeId begin, NodeId end,
             const core::StopRequest& stop) override;
  const core::ProposalBatch* finish(const core::StopRequest& stop) override;
  const core::ListScores& score(const core::OverfullLists& batch) override;
  core::LinkChanges* changes_of(const core::ProposalBatch& batch) override;
  void drain() override { submitter_.drain(); }
  /// Returns when the submitting thread is idle, so that its counts may be read. From any thread.
  void wait_for_submitter() const { submitter_.wait_until_idle(); }
  void sealed() override;
  /// The mirror may have been changed by searches since the last addition.
  void begin_addition() noexcept { in_place_ = true; }

 private:
  /// Proposals in device memory. Those of an epoch stay until the epoch after the next is proposed,
  /// because the mirror appends them to its lists just before.
  struct Proposals {
    explicit Proposals(Device& device) : d_first_list(device), d_ids(device) {}
    DeviceBuffer<std::uint32_t> d_first_list;
    DeviceBuffer<NodeId> d_ids;
  };
  /// An epoch that was proposed here as one batch, from its commit to its seal.
  struct WholeEpoch {
    std::uint32_t number;
    ProposedEpoch links;
  };

  /// Tombstones that a search for nodes before `end` may meet, at most.
  [[nodiscard]] NodeId others_before(NodeId end) const noexcept;
  [[nodiscard]] NodeId longest_batch() const noexcept {
    return std::min(graph_.params().epoch_limit, graph_.announced());
  }
  /// Lists of a batch that room is made for.
  [[nodiscard]] std::size_t planned_ids(const core::ProposalBatch& batch) const noexcept;
  /// Room for the batch's lists and tails, planned for the largest batch there can be.
  void make_room(const core::ProposalBatch& batch, NodeId sealed_end);
  void make_room_for(Proposals& proposals, const core::ProposalBatch& batch);
  void propose(const core::ProposalBatch& batch, const Proposals& proposals,
               const core::SealedVersion& version, NodeId others);
  /// Uploads what the batch needs and launches it. REQUIRES a graph that stands still if there are
  /// `others`.
  void submit(core::ProposalBatch& batch, const core::Epoch& epoch, NodeId others);
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
  Proposals proposals_[2];           ///< by parity of the epoch
  std::optional<WholeEpoch> committed_;
  DeviceBuffer<float> d_tail_distances_;
  DeviceBuffer<Counters> d_counters_;

  core::ListScores scores_;
  PinnedBuffer<core::OverfullList> lists_;
  PinnedBuffer<NodeId> list_ids_;
  PinnedBuffer<std::uint8_t> ranking_;
  PinnedBuffer<std::uint64_t> dominators_;
  DeviceBuffer<core::OverfullList> d_lists_;
  DeviceBuffer<NodeId> d_list_ids_;
  DeviceBuffer<std::uint8_t> d_ranking_;
  DeviceBuffer<std::uint64_t> d_dominators_;

  bool in_place_ = true;  ///< the next start submits on the calling thread
  std::uint32_t started_epoch_ = 0;
  Submitter::Ticket started_ = 0;
  Submitter submitter_;  ///< last: its jobs use all of the above
};

}  // namespace concord::cuda
