// How lists come to the device mirror: gathered on the host, copied, and scattered in stream order.
//
// A delta is a set of lists of one version of the graph, in pinned memory and in device memory.
// Staging it gathers the lists and starts their copy, while the device still reads the older
// version. Applying it scatters the lists into the mirror, just before the newer version is read.
// There are two deltas, so one can wait while the other is written.
//
// If the device has proposed a whole epoch, its delta is made there from the proposals
// (epoch_links), and the host sends the lists alone that its seal has cut.
//
// A live list may be longer than its width; the rest of it goes to continuations (views.hpp). Every
// such list was touched in the open epoch, so begin_live() drops all continuations, and the lists
// written from there to end_live() make them anew.
//
// Invariants: pinned memory is written only after the copy from it has ended, and a delta's device
// memory only after its lists have been scattered. Between two deltas the order of compute()
// decides what a list holds.
// Thread-safety: one thread at a time; the pool's threads gather. stage() may run beside commits,
// which only append what its version does not hold. All members throw what Device throws, unless
// they are noexcept.
#pragma once

#include <array>
#include <atomic>
#include <concord/stats.hpp>
#include <span>

#include "common/graph/graph.hpp"
#include "common/threads/thread_pool.hpp"
#include "cuda/epoch_links.hpp"
#include "cuda/mirror_nodes.hpp"

namespace concord::cuda {

/// Lists of each table.
using ListSpans = std::array<std::span<const core::ListIndex>, kTables>;

class MirrorDeltas {
 public:
  /// Which content of a list is meant; null: the live one.
  using Version = const core::SealedVersion*;

  /// Borrows its arguments; lists are written to nodes.links().
  MirrorDeltas(Device& device, MirrorStreams& streams, const MirrorNodes& nodes,
               const core::Graph& graph, core::ThreadPool& pool, DeviceStats& stats);

  /// Device memory that deltas may still take beyond what they have.
  [[nodiscard]] std::size_t allowance() const noexcept;

  /// Begins to copy lists that `epoch` needs beside those of the version before, and to sort what
  /// the other lists gain by `links`, which may be null. Both wait for apply_staged().
  void stage(const ListSpans& lists, const core::SealedVersion& version, std::uint32_t epoch,
             const ProposedEpoch* links);
  /// The mirror holds the lists for `held`: brings them forward to `epoch`, as far as staged deltas
  /// reach. Returns the epoch they are for.
  [[nodiscard]] std::uint32_t apply_staged(std::uint32_t held, std::uint32_t epoch);
  /// Makes these lists those of `version`.
  void write(const ListSpans& lists, Version version);
  /// Makes all lists those of `version`; what is staged is dropped.
  void write_all(Version version);

  /// Live lists may be written from here on.
  void begin_live();
  /// Publishes the lists written since begin_live() and their continuations.
  void end_live();
  void show_continuations(MirrorView& view) const noexcept;

 private:
  struct Delta {
    Delta(Device& device, MirrorStreams& streams, const MirrorNodes& nodes,
          const core::Graph& graph, DeviceStats& stats);
    struct Part {
      explicit Part(Device& device);
      PinnedBuffer<std::uint32_t> index;
      PinnedBuffer<NodeId> ids;
      DeviceBuffer<std::uint32_t> d_index;
      DeviceBuffer<NodeId> d_ids;
      std::size_t count = 0;
    };
    Part parts[kTables];
    EpochLinks links;
    bool has_links = false;
    OwnedEvent copy_begin;
    OwnedEvent copied;
    OwnedEvent applied;
    bool timed = false;       ///< the copy's time is still to be taken
    bool waiting = false;     ///< staged, not applied
    std::uint32_t epoch = 0;  ///< if waiting: that needs the lists
  };
  struct Continuations {
    explicit Continuations(Device& device) : pieces(device), d_pieces(device) {}
    PinnedBuffer<NodeId> pieces;
    DeviceBuffer<NodeId> d_pieces;
    std::atomic<std::uint32_t> count{0};
  };

  Delta& take_next() noexcept;
  /// Fills the delta and starts its copy.
  void fill(Delta& delta, const ListSpans& lists, Version version);
  void finish_copies(Delta& delta);
  void gather(Delta::Part& part, unsigned t, std::span<const core::ListIndex> lists,
              Version version);
  void copy_in(Delta& delta, const Delta::Part& part, unsigned t);
  void write_list(unsigned t, std::span<const NodeId> ids, NodeId* out);
  void apply(Delta& delta);

  Device& device_;
  MirrorStreams& streams_;
  const MirrorNodes& nodes_;
  const core::Graph& graph_;
  core::ThreadPool& pool_;
  DeviceStats& stats_;

  Continuations more_[kTables];
  Delta deltas_[2];
  unsigned next_delta_ = 0;  ///< the older of the two
};

}  // namespace concord::cuda
