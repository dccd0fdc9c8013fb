// The memory of a device mirror, and what is uploaded once for each node: vectors, levels, offsets,
// labels if results in the caller's device memory need them, and who died where anyone has.
//
// All arrays that grow with the graph are here, the links among them, so that one plan covers them.
// reserve() makes it before any work, within the device's limit or what is free. MirrorDeltas
// writes the links.
//
// Uploads go through two pinned pieces of memory in turn, so the calling thread only copies memory.
// Vectors of an addition that are in the caller's device memory are taken there instead.
//
// Invariants: vectors, levels and offsets of nodes [0, uploaded_) are in the arrays, or on their
// way in the order of copy_in(); places of the links that were never written hold kNoNode.
// Thread-safety: one thread at a time. Members that are not noexcept throw what Device throws.
#pragma once

#include <algorithm>
#include <concord/cuda.hpp>
#include <concord/stats.hpp>
#include <cstddef>
#include <functional>
#include <utility>

#include "common/contents/contents.hpp"
#include "cuda/mirror_streams.hpp"
#include "cuda/mirror_tombstones.hpp"

namespace concord::cuda {

class MirrorNodes {
 public:
  /// Borrows its arguments.
  MirrorNodes(Device& device, MirrorStreams& streams, const core::Contents& contents,
              DeviceStats& stats);

  /// Makes room for all announced nodes. Throws Error(out_of_memory) with both sizes, and allocates
  /// nothing, if that and `scratch` more bytes, which the caller is about to allocate, exceed what
  /// is available. If the arrays must grow, `deltas` more bytes are set aside. Returns false if all
  /// that the arrays held is gone, because there was no space for old and new beside one another.
  [[nodiscard]] bool reserve(std::size_t scratch, std::size_t deltas);
  /// Memory that may be allocated beside what is held: within the limit, or what is free less a
  /// reserve.
  [[nodiscard]] std::size_t available_bytes();
  /// reserve() calls `give_way` where memory is short.
  void make_others_give_way(std::function<void()> give_way) { give_way_ = std::move(give_way); }
  /// Nodes from `size` on are, or will be, others than those uploaded.
  void forget(NodeId size) noexcept {
    uploaded_ = std::min(uploaded_, size);
    labelled_ = std::min(labelled_, size);
  }
  /// All nodes have other ids now, so that nothing uploaded is of use. Waits for the device.
  void forget_all();
  /// Vectors of nodes from `first` on are in the caller's device memory as well, validated and
  /// written: upload() takes them there, until withdraw_vectors().
  void offer_vectors(NodeId first, DeviceMatrixView<const float> vectors) noexcept {
    offered_first_ = first;
    offered_ = vectors;
  }
  /// The caller's memory is no longer read when this returns.
  void withdraw_vectors() noexcept;
  /// Uploads what is missing of nodes [0, end) and publishes it.
  void upload(NodeId end);
  /// The same for the labels, which only results in the caller's device memory need. Returns false
  /// if there is no memory for them.
  [[nodiscard]] bool upload_labels(NodeId end);
  [[nodiscard]] const std::uint64_t* labels() const noexcept { return d_labels_.data(); }

  /// Brings the deaths that are missing, as MirrorTombstones::bring. REQUIRES reserve() since the
  /// first death.
  void bring_deaths(NodeId end) { tombstones_.bring(end); }

  [[nodiscard]] const core::LinkTable& table(unsigned t) const noexcept {
    return t == 0 ? graph_.base() : graph_.upper();
  }
  /// The ids that a list of table `t` has place for.
  [[nodiscard]] std::uint32_t width(unsigned t) const noexcept { return table(t).max_degree(); }
  [[nodiscard]] const DeviceBuffer<NodeId>& links(unsigned t) const noexcept { return d_links_[t]; }
  /// All of the view but continuations.
  [[nodiscard]] MirrorView view() const noexcept;

 private:
  struct Room {
    std::size_t nodes = 0;
    std::size_t upper_lists = 0;
    std::size_t mortals = 0;  ///< nodes that may be dead: all once any is
    [[nodiscard]] bool holds(const Room& other) const noexcept {
      return other.nodes <= nodes && other.upper_lists <= upper_lists && other.mortals <= mortals;
    }
  };
  /// Room for so many nodes and lists.
  [[nodiscard]] Room room_for(std::size_t nodes, std::size_t upper_lists) const noexcept {
    return {nodes, upper_lists, graph_.tombstones().any() ? nodes : 0};
  }
  struct Staging {
    explicit Staging(Device& device) : memory(device), begin(device), free(device) {}
    PinnedBuffer<std::byte> memory;
    OwnedEvent begin;
    OwnedEvent free;
    bool timed = false;  ///< the copy's time is still to be taken
  };

  /// Bytes that grow(room) adds to what is held, and those that it holds for a moment.
  [[nodiscard]] std::size_t missing(const Room& room) const noexcept;
  [[nodiscard]] std::size_t transient_bytes() const noexcept;
  void grow(const Room& room);
  void begin_anew(const Room& room);
  template <class Grow>
  void for_each_array(const Room& room, const Grow& grow);
  template <class T>
  void grow_buffer(DeviceBuffer<T>& buffer, std::size_t used, std::size_t size);

  template <class Fill>
  void upload_piece(void* d_to, std::size_t bytes, const Fill& fill);
  void upload_levels(NodeId end);
  template <class T>
  void upload_array(T* d_to, const T* from, std::size_t count);
  void upload_vectors(NodeId begin, NodeId end);
  /// Of nodes [uploaded_, end): those that are offered are taken, those before are uploaded.
  void bring_vectors(NodeId end);

  Device& device_;
  MirrorStreams& streams_;
  const core::Graph& graph_;
  const core::VectorStore& vectors_;
  const core::LabelMap& labels_;
  DeviceStats& stats_;
  std::function<void()> give_way_;

  DeviceBuffer<float> d_vectors_;
  DeviceBuffer<std::uint8_t> d_levels_;
  DeviceBuffer<std::uint32_t> d_upper_offset_;
  DeviceBuffer<NodeId> d_links_[kTables];
  MirrorTombstones tombstones_;
  Room room_;  ///< that all arrays have
  NodeId uploaded_ = 0;
  DeviceBuffer<std::uint64_t> d_labels_;
  NodeId labelled_ = 0;                    ///< nodes whose labels are in d_labels_
  DeviceMatrixView<const float> offered_;  ///< of nodes from offered_first_ on
  NodeId offered_first_ = 0;
  Staging staging_[2];
  unsigned next_staging_ = 0;
};

}  // namespace concord::cuda
