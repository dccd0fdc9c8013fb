// The links of one epoch on their way into the device mirror, made there from its proposals.
//
// The proposals are in device memory already, and the committer says where links differ from them.
// Staging brings these changes to the device and sorts what each list gains, beside the kernels
// that read the older version. Appending is done in stream order, just before the newer version is
// read. What a seal has cut comes after that, from the host (mirror_deltas).
//
// Invariant: work given to compute() after stage() comes after the sort. So nobody frees or writes
// what the sort reads without waiting for it.
// Thread-safety: one thread at a time. Members that are not noexcept throw what Device throws.
#pragma once

#include <concord/stats.hpp>

#include "common/build/proposer.hpp"
#include "cuda/mirror_nodes.hpp"

namespace concord::cuda {

/// An epoch whose proposals are all in device memory, and have been committed.
struct ProposedEpoch {
  CommittedLinks links;  ///< proposals, until `changes` are written into them
  core::LinkChanges changes;
};

class EpochLinks {
 public:
  /// Borrows its arguments.
  EpochLinks(Device& device, MirrorStreams& streams, const MirrorNodes& nodes,
             const core::Graph& graph, DeviceStats& stats);

  /// Device memory that an epoch may still take beyond what there is, its share of the temporaries
  /// of CUB included.
  [[nodiscard]] std::size_t allowance() const noexcept;
  /// Begins to sort what lists gain. REQUIRES that what was appended before is done.
  void stage(const ProposedEpoch& epoch);
  /// Appends what was staged last to the mirror's lists.
  void append();

 private:
  void write_changes(const core::LinkChanges& changes);
  /// Memory for what the lists of both tables gain, from `first` on.
  void place(Gains (&gains)[kTables], std::uint32_t* d_first) const noexcept;

  Device& device_;
  MirrorStreams& streams_;
  const MirrorNodes& nodes_;
  const core::Graph& graph_;
  DeviceStats& stats_;

  PinnedBuffer<std::uint32_t> places_;
  PinnedBuffer<NodeId> ids_;
  DeviceBuffer<std::uint32_t> d_places_;
  DeviceBuffer<NodeId> d_ids_;
  DeviceBuffer<std::uint32_t> d_gains_;  ///< lists and ids of both tables, as found and sorted
  OwnedEvent sorted_;
  CommittedLinks links_;
  Gains sorted_gains_[kTables];
};

}  // namespace concord::cuda
