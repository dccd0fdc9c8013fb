// Which nodes of a device mirror are dead, and for which views: core::Tombstones::gone in device
// memory. It takes none until the first node dies, then 4 bytes a node.
//
// Nodes are marked where they died since the last call, or will die when announced nodes replace
// them. A mark of the latter kind is written again, because the addition may end before it is
// true. Unlinked nodes stay marked: no walk meets them, but scans do.
//
// Invariant: behind bring(), gone of each node of the mirror is that of the graph, as far as views
// of its size, or of its announced nodes before `end`, can tell. Thread-safety: one thread at a
// time. Members that are not noexcept throw what Device throws.
#pragma once

#include <concord/stats.hpp>
#include <cstddef>
#include <vector>

#include "common/graph/graph.hpp"
#include "cuda/buffer.hpp"
#include "cuda/mirror_streams.hpp"

namespace concord::cuda {

class MirrorTombstones {
 public:
  /// Borrows its arguments.
  MirrorTombstones(Device& device, MirrorStreams& streams, const core::Graph& graph,
                   DeviceStats& stats);

  /// [nodes that the mirror has room for], or nothing. Who makes it larger fills the rest with
  /// kNoNode.
  [[nodiscard]] DeviceBuffer<NodeId>& gone() noexcept { return d_gone_; }
  [[nodiscard]] const DeviceBuffer<NodeId>& gone() const noexcept { return d_gone_; }
  /// Device memory for marks on their way that is not held yet.
  [[nodiscard]] std::size_t missing() const noexcept;
  /// All of gone() is kNoNode, or will be before anyone reads it.
  void forget() noexcept;
  /// Brings what is missing, in the order of compute(): of nodes that died, and of those that the
  /// announced nodes before `end` replace. REQUIRES gone() for all nodes, and a graph that stands
  /// still.
  void bring(NodeId end);

 private:
  void gather(NodeId end);
  void mark(NodeId node) { marks_.push_back(node); }
  void write(std::size_t first, std::size_t count);

  Device& device_;
  MirrorStreams& streams_;
  const core::Graph& graph_;
  DeviceStats& stats_;
  DeviceBuffer<NodeId> d_gone_;
  NodeId known_ = 0;           ///< of the dead, in the order in which they died, those marked
  std::vector<NodeId> ahead_;  ///< marked before they died
  std::vector<NodeId> marks_;  ///< of the call at hand
  PinnedBuffer<NodeId> nodes_, values_;
  DeviceBuffer<NodeId> d_nodes_, d_values_;
  OwnedEvent written_;
};

}  // namespace concord::cuda
