// The HNSW graph: levels, insertion order, rows of every layer, entry point and open epoch.
//
// Invariants (ARCHITECTURE.md; checked by audit()): edges are bidirectional; in each layer every
// node but the layer's first keeps an edge to an earlier-inserted node ("anchor"); the entry point
// is the earliest node of the highest level; no row exceeds its capacity, and between epochs none
// exceeds max_degree. Only the Committer changes edges.
//
// An id is a storage slot; order(id) is the monotone number of its insertion, which decides levels,
// epochs and which end of an edge is the anchor.
// Thread-safety: one writer; readers as RowTable allows.
#pragma once

#include <array>
#include <concord/params.hpp>
#include <cstdint>
#include <span>

#include "common/epoch.hpp"
#include "common/key.hpp"
#include "common/level.hpp"
#include "common/row_table.hpp"
#include "common/virtual_array.hpp"

namespace concord::core {

/// Where searches of one version of the graph begin.
struct alignas(8) EntryPoint {
  NodeId node = kNoNode;
  std::uint32_t level = 0;
};

/// What a search beside the writer sees of the live graph: nodes before `size`, from `entry` on.
struct LiveView {
  NodeId size = 0;
  EntryPoint entry;
};

/// Which version of the graph proposals of one epoch read; see Epoch.
struct SealedVersion {
  NodeId end = 0;              ///< nodes inserted before this order are in it
  std::uint32_t epoch = 0;     ///< first epoch that is not
  bool behind_a_seal = false;  ///< a later seal has cut rows since: their copies count
  EntryPoint entry;            ///< of that version; kNoNode where end is 0
};

class Graph {
 public:
  explicit Graph(const IndexParams& params);

  [[nodiscard]] const IndexParams& params() const noexcept { return params_; }
  [[nodiscard]] NodeId size() const noexcept {
    return std::atomic_ref(size_).load(std::memory_order_acquire);
  }
  [[nodiscard]] EntryPoint entry_point() const noexcept {
    return entry_.load(std::memory_order_acquire);
  }
  /// For searches beside the writer. Every node before `size` can be reached from `entry`, since it
  /// keeps an edge to an earlier one.
  [[nodiscard]] LiveView live() const noexcept {
    EntryPoint entry = entry_point();  // before the size, which is published first
    const NodeId n = size();
    if (entry.node == kNoNode && n > 0) entry = {0, level(0)};
    return {n, entry};
  }
  /// Seals that were begun and ended so far: odd while one is under way.
  [[nodiscard]] std::uint64_t seals() const noexcept {
    return seals_.load(std::memory_order_acquire);
  }
  /// True if links were cut or moved at any time since seals() gave `before`: what was read since
  /// need not be of one graph.
  [[nodiscard]] bool was_sealing_since(std::uint64_t before) const noexcept {
    return before % 2 != 0 || seals() != before;
  }
  [[nodiscard]] std::uint32_t level(NodeId node) const noexcept { return levels_[node]; }
  /// The number of the node's insertion; its id, as long as no slot is used twice.
  [[nodiscard]] NodeId order(NodeId node) const noexcept { return node; }

  /// The table of a layer and the position of a node's row in it. REQUIRES layer ≤ level(node).
  [[nodiscard]] RowTable& table(std::uint32_t layer) noexcept {
    return layer == 0 ? base_ : upper_;
  }
  [[nodiscard]] const RowTable& table(std::uint32_t layer) const noexcept {
    return layer == 0 ? base_ : upper_;
  }
  [[nodiscard]] RowIndex row(NodeId node, std::uint32_t layer) const noexcept {
    return layer == 0 ? node : upper_offset_[node] + (layer - 1);
  }

  // --- versions ---
  [[nodiscard]] const Epoch& epoch() const noexcept { return epoch_; }
  /// Rows in a layer's table of the nodes that the open epoch has so far.
  [[nodiscard]] std::size_t rows_of_open_epoch(std::uint32_t layer) const noexcept;
  /// The version that proposals of `epoch` read. REQUIRES epoch is the open one or the next.
  [[nodiscard]] SealedVersion version_for(const Epoch& epoch) const noexcept;
  /// Calls visit(id, shown) for the ids of a row, of which `version` has those that are shown.
  /// Flags in place of fewer calls: which ids are shown is unpredictable, and a caller can do
  /// without a branch. REQUIRES the node is in that version.
  template <class Visit>
  void visit_sealed(const SealedVersion& version, NodeId node, std::uint32_t layer,
                    const Visit& visit) const {
    visit_sealed_row(version, table(layer), row(node, layer), visit);
  }
  /// The same for a row known by its place in its table.
  template <class Visit>
  void visit_sealed_row(const SealedVersion& version, const RowTable& rows, RowIndex row,
                        const Visit& visit) const {
    if (version.behind_a_seal && rows.has_sealed_copy(row)) {
      for (const NodeId id : rows.sealed_copy(row)) visit(id, true);
      return;
    }
    // The degree first: the writer marks a row as touched before it appends, so whoever finds a row
    // untouched does not yet see the new id.
    const std::uint32_t degree = rows.degree(row);
    const NodeId end = rows.touched_epoch(row) >= version.epoch ? version.end : kNoNode;
    const auto visit_one = [&](NodeId id) { visit(id, order(id) < end); };
    rows.for_each(row, degree, visit_one, visit_one);
  }
  /// As visit_sealed, beside the writer: `view` has the ids that are shown.
  template <class Visit>
  void visit_live(const LiveView& view, NodeId node, std::uint32_t layer,
                  const Visit& visit) const {
    // A spilled id may be another row's, and then of a node that is not in this layer.
    const RowTable& rows = table(layer);
    const RowIndex at = row(node, layer);
    rows.for_each(
        at, rows.degree(at), [&](NodeId id) { visit(id, id < view.size); },
        [&](NodeId id) { visit(id, id < view.size && (layer == 0 || level(id) >= layer)); });
  }
  /// Copies the ids of a row as `version` has it to `out` (room for the table's capacity); returns
  /// how many.
  std::uint32_t read_sealed_row(const SealedVersion& version, const RowTable& rows, RowIndex row,
                                NodeId* out) const {
    std::uint32_t n = 0;
    visit_sealed_row(version, rows, row, [&](NodeId id, bool shown) {
      out[n] = id;
      n += shown ? 1 : 0;
    });
    return n;
  }
  std::uint32_t read(NodeId node, std::uint32_t layer, NodeId* out) const noexcept {
    return table(layer).read(row(node, layer), out);
  }

  // --- growth, in three steps: what may fail, then announcing, then becoming visible ---
  /// Room for nodes up to `size`. Throws Error(out_of_memory, capacity) with nothing changed.
  void reserve(std::size_t size);
  /// Gives nodes [size(), size) their levels and empty rows; they stay outside size().
  void announce(NodeId size);
  [[nodiscard]] NodeId announced() const noexcept { return announced_; }
  /// Forgets announced nodes that were never committed.
  void retract() noexcept;

  // --- used by the Committer ---
  /// The node that was inserted last in a layer, kNoNode where the layer is empty.
  [[nodiscard]] NodeId last_in_layer(std::uint32_t layer) const noexcept {
    return last_in_layer_[layer];
  }
  /// Makes the next announced node, whose rows are linked, part of the graph; promotes the entry
  /// point where its level is higher.
  void admit(NodeId node) noexcept;
  /// To be called before a seal changes the first row. Nothing may fail from here to close_epoch().
  void begin_seal() noexcept { seals_ = seals_ | 1; }
  /// Ends the seal and the open epoch: records its entry point and opens the next.
  void close_epoch() noexcept;

  // --- used by the file format ---
  struct State {
    EntryPoint sealed_entries[2];
    bool seal_is_due = false;  ///< the open epoch is full: its seal failed
  };
  [[nodiscard]] State state() const noexcept {
    return {{sealed_entries_[0], sealed_entries_[1]}, size_ == epoch_.end};
  }
  /// REQUIRES all `size` nodes are announced: admits them, opens the epoch they fall in or, where
  /// its seal is due, the one they fill.
  void restore(NodeId size, const State& state) noexcept;

  [[nodiscard]] std::span<const std::uint8_t> levels() const noexcept {
    return {levels_.data(), announced_};
  }
  [[nodiscard]] std::span<const std::uint32_t> upper_offsets() const noexcept {
    return {upper_offset_.data(), announced_};
  }
  [[nodiscard]] std::size_t node_bytes() const noexcept {
    return levels_.bytes() + upper_offset_.bytes();
  }

 private:
  IndexParams params_;
  NodeId size_ = 0;
  NodeId announced_ = 0;
  Epoch epoch_;
  std::atomic<EntryPoint> entry_{};
  std::atomic<std::uint64_t> seals_{0};
  EntryPoint sealed_entries_[2];  ///< of the last two seals, by parity of the epoch sealed
  std::array<NodeId, kMaxLevel + 1> last_in_layer_;
  VirtualArray<std::uint8_t> levels_;
  VirtualArray<std::uint32_t> upper_offset_;  ///< row of layer 1 in upper_; meaningless at level 0
  RowTable base_;
  RowTable upper_;
};

}  // namespace concord::core
