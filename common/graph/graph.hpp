// The HNSW graph: levels, neighbor lists of every layer, entry point and open epoch.
//
// Invariants (ARCHITECTURE.md; checked by audit()): edges are bidirectional; in each layer every
// node but the layer's first keeps an edge to an earlier-inserted node ("anchor"); the entry point
// is the earliest node of the highest level; no list exceeds its capacity, and between epochs none
// exceeds max_degree. Only the Committer changes edges.
//
// Ids are in the order of insertion, which decides epochs and which end of an edge is the anchor.
// The number of an insertion among all that ever were decides the level.
//
// A node that is removed or replaced dies. Until the seal of its epoch it is still linked, and
// counts as a node in all invariants; then it is unlinked and belongs to no layer any more. Its
// slot stays empty until a slide (common/contents/slide.hpp) moves the later nodes down, in order.
//
// A copy (copies.hpp) has an id as any vector, but no layer has it. A node of which there are
// copies lives as long as its own vector or one of them does: is_dead(), and gone(), tell of the
// node. Tombstones tell of the vector itself.
// Thread-safety: one writer; readers as LinkTable allows.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <concord/params.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/base/key.hpp"
#include "common/graph/copies.hpp"
#include "common/graph/epoch.hpp"
#include "common/graph/level.hpp"
#include "common/graph/link_table.hpp"
#include "common/graph/numbering.hpp"
#include "common/graph/tombstones.hpp"
#include "common/system/virtual_array.hpp"
#include "common/threads/patience.hpp"
#include "common/threads/reader_gate.hpp"

namespace concord::core {

/// Where searches of one version of the graph begin.
struct alignas(8) EntryPoint {
  NodeId node = kNoNode;
  std::uint32_t level = 0;
};

/// How many vectors there are, and how many of them are dead: one value, so that a reader sees both
/// as of one moment.
struct alignas(8) Extent {
  NodeId size = 0;
  NodeId dead = 0;
  [[nodiscard]] NodeId living() const noexcept { return size - dead; }
};

/// The part of the live graph that a search beside the writer sees: the nodes before `size`, from
/// `entry` on. So many vectors live, copies included.
struct LiveView {
  NodeId size = 0;
  NodeId living = 0;
  EntryPoint entry;  ///< kNoNode where none lives
  /// How the reader names the node with an id that it has read.
  [[nodiscard]] static NodeId name(NodeId id) noexcept { return id; }
};

/// The same while nodes slide down. Names each node by one id until its search leaves the gate: by
/// the id that it had before the move at hand.
struct SlidingView : LiveView {
  Hole hole;
  /// The old id of the node in each slot of the hole; null if the slide has ended meanwhile.
  const NodeId* moved_from = nullptr;
  [[nodiscard]] NodeId name(NodeId id) const noexcept {
    return moved_from != nullptr && hole.contains(id) ? moved_from[id - hole.begin] : id;
  }
};

class CurrentRanks;

/// The version of the graph that proposals of one epoch read; see Epoch.
struct SealedVersion {
  NodeId end = 0;              ///< nodes before this one are in it
  std::uint32_t epoch = 0;     ///< the first epoch whose nodes are not in it
  bool behind_a_seal = false;  ///< a later seal has cut lists since: their copies count
  EntryPoint entry;            ///< of that version; kNoNode where no node is linked
};

class Graph {
 public:
  /// Borrows the gate. With one, memory is freed only when no reader can be using it.
  explicit Graph(const IndexParams& params, const ReaderGate* gate = nullptr);

  [[nodiscard]] const IndexParams& params() const noexcept { return params_; }
  /// Vectors, those that died included: the id of the next.
  [[nodiscard]] NodeId size() const noexcept { return extent().size; }
  /// Vectors that are neither removed nor replaced.
  [[nodiscard]] NodeId living() const noexcept { return extent().living(); }
  /// Of so many living vectors, the nodes that a walk can find.
  [[nodiscard]] NodeId nodes_of(NodeId living) const noexcept {
    return living - std::min(living, copies_without_node_.load(std::memory_order_acquire));
  }
  [[nodiscard]] EntryPoint entry_point() const noexcept {
    return entry_.load(std::memory_order_acquire);
  }
  /// For searches beside the writer. Every node before `size` that lives can be reached from
  /// `entry`, since it keeps an edge to an earlier one.
  [[nodiscard]] LiveView live() const noexcept {
    for (;;) {
      const EntryPoint entry = entry_point();  // before the size, which is published first
      const Extent now = extent();
      if (now.living() == 0) return {now.size, 0, {}};
      // Where no node was linked, the entry point is published before the size.
      if (entry.node != kNoNode) return {now.size, now.living(), entry};
    }
  }
  /// Seals that were begun and ended so far: odd while one is under way.
  [[nodiscard]] std::uint64_t seals() const noexcept {
    return seals_.load(std::memory_order_acquire);
  }
  /// True if links were cut or moved at any time since seals() gave `before`. Reads since then may
  /// mix two states of the graph.
  [[nodiscard]] bool was_sealing_since(std::uint64_t before) const noexcept {
    return before % 2 != 0 || seals() != before;
  }
  /// Seals so far that began to unlink tombstones. A search during which it changes may have lost
  /// a vector that was replaced, for it sees the new one only in a newer view.
  [[nodiscard]] std::uint64_t unlinkings() const noexcept {
    return unlinkings_.load(std::memory_order_acquire);
  }
  /// What readers who begin again ask: that no vector is removed and no seal begins.
  [[nodiscard]] const Patience& patience() const noexcept { return patience_; }
  /// In a forked child: no other thread is there.
  void after_fork() noexcept { patience_.after_fork(); }
  [[nodiscard]] std::uint32_t level(NodeId node) const noexcept { return levels_[node]; }

  /// The links of layer 0, and those of all layers above.
  [[nodiscard]] LinkTable& base() noexcept { return base_; }
  [[nodiscard]] const LinkTable& base() const noexcept { return base_; }
  [[nodiscard]] LinkTable& upper() noexcept { return upper_; }
  [[nodiscard]] const LinkTable& upper() const noexcept { return upper_; }
  [[nodiscard]] std::array<LinkTable*, 2> tables() noexcept { return {&base_, &upper_}; }
  [[nodiscard]] std::array<const LinkTable*, 2> tables() const noexcept {
    return {&base_, &upper_};
  }
  [[nodiscard]] LinkTable& table_of(std::uint32_t layer) noexcept {
    return layer == 0 ? base_ : upper_;
  }
  [[nodiscard]] const LinkTable& table_of(std::uint32_t layer) const noexcept {
    return layer == 0 ? base_ : upper_;
  }
  /// Where the node's list of a layer is in table_of(layer). REQUIRES layer ≤ level(node).
  [[nodiscard]] ListIndex list(NodeId node, std::uint32_t layer) const noexcept {
    return layer == 0 ? node : upper_offset_[node] + (layer - 1);
  }
  /// How many lists of upper() are of nodes before `end`; those of later nodes come after them.
  /// REQUIRES end ≤ announced().
  [[nodiscard]] std::size_t upper_lists_before(NodeId end) const noexcept {
    return end < announced_ ? upper_offset_[end] : upper_.size();
  }

  // --- versions ---
  [[nodiscard]] const Epoch& epoch() const noexcept { return epoch_; }
  /// Lists in `table` of the nodes that the open epoch has so far.
  [[nodiscard]] std::size_t lists_of_open_epoch(const LinkTable& table) const noexcept;
  /// The first of them.
  [[nodiscard]] ListIndex first_list_of_open_epoch(const LinkTable& table) const noexcept {
    return &table == &base_ ? epoch_.begin
                            : static_cast<ListIndex>(upper_lists_before(epoch_.begin));
  }
  /// The version that proposals of `epoch` read. REQUIRES epoch is the open one or the next.
  [[nodiscard]] SealedVersion version_for(const Epoch& epoch) const noexcept;
  /// Calls visit(id, shown) for each id of a list; `shown` says whether `version` has it. A flag,
  /// not fewer calls, because the flag is unpredictable and a caller can do without a branch.
  /// REQUIRES that the node is in that version.
  template <class Visit>
  void visit_sealed(const SealedVersion& version, NodeId node, std::uint32_t layer,
                    const Visit& visit) const {
    visit_sealed_list(version, table_of(layer), list(node, layer), visit);
  }
  /// The same for a list known by its place in its table.
  template <class Visit>
  void visit_sealed_list(const SealedVersion& version, const LinkTable& lists, ListIndex list,
                         const Visit& visit) const {
    if (version.behind_a_seal && lists.has_sealed_copy(list)) {
      for (const NodeId id : lists.sealed_copy(list)) visit(id, true);
      return;
    }
    // The degree first: the writer marks a list as touched before it appends, so whoever finds a
    // list untouched does not yet see the new id.
    const std::uint32_t degree = lists.degree(list);
    const NodeId end = lists.touched_epoch(list) >= version.epoch ? version.end : kNoNode;
    const auto visit_one = [&](NodeId id) { visit(id, id < end); };
    lists.for_each(list, degree, visit_one, visit_one);
  }
  /// As visit_sealed for the live graph beside the writer; `shown` says whether `view` has the id.
  template <class Visit>
  void visit_live(const LiveView& view, NodeId node, std::uint32_t layer,
                  const Visit& visit) const {
    // An id in an overflow block may be another list's, and then of a node that is not in this
    // layer.
    const LinkTable& lists = table_of(layer);
    const ListIndex at = list(node, layer);
    lists.for_each(
        at, [&](NodeId id) { visit(id, id < view.size); },
        [&](NodeId id) { visit(id, id < view.size && (layer == 0 || level(id) >= layer)); });
  }
  template <class Visit>
  void visit_live(const SlidingView& view, NodeId node, std::uint32_t layer,
                  const Visit& visit) const {
    visit_live(static_cast<const LiveView&>(view), node, layer,
               [&](NodeId id, bool shown) { visit(view.name(id), shown); });
  }
  /// Copies the ids of a list as `version` has it to `out` (room for the table's capacity); returns
  /// how many.
  std::uint32_t read_sealed_list(const SealedVersion& version, const LinkTable& lists,
                                 ListIndex list, NodeId* out) const {
    std::uint32_t n = 0;
    visit_sealed_list(version, lists, list, [&](NodeId id, bool shown) {
      out[n] = id;
      n += shown ? 1 : 0;
    });
    return n;
  }
  std::uint32_t read(NodeId node, std::uint32_t layer, NodeId* out) const noexcept {
    return table_of(layer).read(list(node, layer), out);
  }

  // --- growth in three steps: reserving, which may fail; announcing; becoming visible ---
  /// Room for nodes up to `size`. Lists may move for it; their old memory stays until an addition
  /// finds no reader that may be using it. Throws Error(out_of_memory, capacity) with nothing
  /// changed.
  void reserve(std::size_t size);
  /// Gives nodes [size(), size) their levels and empty lists; they stay outside size().
  void announce(NodeId size);
  [[nodiscard]] NodeId announced() const noexcept { return announced_; }
  /// Forgets announced nodes that were never committed.
  void discard_announced() noexcept;

  // --- copies ---
  [[nodiscard]] const Copies& copies() const noexcept { return copies_; }
  /// The announced vector `id` is a copy of the node `first`, which lives until then.
  /// REQUIRES reserve_copies() after announce(), ids in order, and no links of its own. What
  /// discard_announced() drops is no copy any more.
  void announce_copy(NodeId id, NodeId first) noexcept { copies_.append(id, first); }
  /// The announced copies are nodes after all.
  void forget_announced_copies() noexcept;
  /// Throws Error(out_of_memory).
  void reserve_copies() {
    copies_.reserve(announced_);
    free_left();
  }
  /// False for a copy and for a node that was unlinked: no layer has it.
  [[nodiscard]] bool is_linked(NodeId id) const noexcept {
    return !tombstones_.is_unlinked(id) && !copies_.is_copy(id);
  }
  /// The node is dead for views of more nodes than this (see Tombstones::gone): the last vector
  /// that it stands for died then. REQUIRES a node.
  [[nodiscard]] NodeId gone(NodeId node) const noexcept;
  /// Whether nothing that the node stands for lives in a view. REQUIRES a node.
  [[nodiscard]] bool is_dead(NodeId node, NodeId view_size) const noexcept {
    if (!tombstones_.any() || !tombstones_.is_dead(node, view_size)) return false;
    return copies_.next(node) == kNoNode || !has_living_copy(node, view_size);
  }

  // --- tombstones, of nodes and of copies ---
  [[nodiscard]] const Tombstones& tombstones() const noexcept { return tombstones_; }
  /// Dead nodes that are still linked, and those that announced nodes will replace: what a search
  /// may meet and must not find. 0 for a search means that it need not ask about any node.
  [[nodiscard]] NodeId tombstones_linked() const noexcept {
    return met_.load(std::memory_order_acquire);
  }
  /// The dead nodes and copies that the open epoch's seal will unlink, in the order in which they
  /// died. A dead vector whose node has living copies is not among them.
  [[nodiscard]] const std::vector<NodeId>& pending() const noexcept { return pending_; }
  /// Living vectors that are copies.
  [[nodiscard]] NodeId living_copies() const noexcept {
    return copies_without_node_.load(std::memory_order_acquire) + kept();
  }
  /// Dead vectors whose nodes live on by their copies.
  [[nodiscard]] NodeId kept() const noexcept { return kept_.load(std::memory_order_acquire); }
  /// Vectors that died and have slots, in order. O(size).
  [[nodiscard]] std::vector<NodeId> dead() const;
  /// Whether more than its size decides how the graph goes on: a vector has died, or is a copy.
  [[nodiscard]] bool has_history() const noexcept {
    return removals() > 0 || copies_without_node_.load(std::memory_order_relaxed) > 0;
  }
  /// Vectors that ever were inserted, and that ever died.
  [[nodiscard]] std::uint64_t insertions() const noexcept { return size() + reclaimed(); }
  [[nodiscard]] std::uint64_t removals() const noexcept { return extent().dead + reclaimed(); }
  /// Unlinked nodes whose slots were given back. It changes at the end of a slide, and the counts
  /// above are of one moment if it is the same before and after.
  [[nodiscard]] std::uint64_t reclaimed() const noexcept {
    // Relaxed: between two loads is the acquire of the extent, which a slide stores behind this.
    return reclaimed_.load(std::memory_order_relaxed);
  }
  /// Nodes that were unlinked. All come before epoch().sealed_end, because an empty epoch follows a
  /// seal that unlinks.
  [[nodiscard]] NodeId unlinked() const noexcept {
    return extent().dead - static_cast<NodeId>(pending_.size()) - kept();
  }
  /// Makes room for `count` deaths, so that these cannot fail. Throws Error(out_of_memory).
  void reserve_deaths(std::size_t count);
  /// The vector dies now. It counts as one operation of the open epoch. Waits for readers who ask
  /// for it. REQUIRES that the vector lives, and reserve_deaths().
  void remove(NodeId node) noexcept;
  /// The announced nodes will replace older ones: the i-th of them `old[i]`, or none for kNoNode.
  /// An old one dies in the instant in which its successor is admitted, as one more operation.
  /// REQUIRES that each lives and is named once, and reserve_deaths().
  void announce_replacements(std::span<const NodeId> old);
  /// The node that the announced `node` replaces, or kNoNode.
  [[nodiscard]] NodeId replaced_by(NodeId node) const noexcept {
    return replacements_.empty() ? kNoNode : replacements_[node - first_replacement_];
  }
  /// How far announced nodes from `begin` on can be inserted before the seal of `epoch` is due, at
  /// least one; `epoch.end` is lowered by those that replace another.
  NodeId end_of_batch(NodeId begin, Epoch& epoch) const noexcept;
  /// Whether the open epoch's seal will unlink nodes, once the announced nodes before `end` are in.
  [[nodiscard]] bool will_unlink(NodeId end) const noexcept;

  // --- a slide: unlinked nodes give their slots back (common/contents/slide.hpp) ---
  /// While it is true, searches use sliding_view() in the place of live().
  [[nodiscard]] bool is_sliding() const noexcept { return moved_from_.load() != nullptr; }
  [[nodiscard]] SlidingView sliding_view() const noexcept;
  /// What ids mean: for readers in the ReaderGate, those of a view that they took before. While
  /// nodes slide, ids behind the hole of a sliding_view() are of this numbering, and those before
  /// the hole of the next one.
  [[nodiscard]] const Numbering& numbering() const noexcept { return *shown_numbering_.load(); }
  /// What ids will mean behind the slide that is under way. REQUIRES a sliding_view().
  [[nodiscard]] const Numbering& next_numbering() const noexcept {
    return *shown_next_numbering_.load();
  }
  /// Slides so far. Ids are good between two of them.
  [[nodiscard]] std::uint64_t slides() const noexcept { return numbering_->slides(); }
  /// The hole into which the first nodes of a slide move. REQUIRES unlinked nodes. O(size).
  [[nodiscard]] Hole first_hole() const noexcept;
  /// Prepares to move at most `most` nodes at a time. REQUIRES unlinked nodes, and no announced
  /// ones. Throws Error(out_of_memory) with nothing changed.
  void begin_slide(NodeId most);
  /// Memory that the front of the arrays has given back will be taken again.
  void reuse_front() noexcept;
  /// Nodes are about to move: of the first, whose lists of upper layers may stay.
  void begin_moves() noexcept { first_upper_moved_ = kNoList; }
  /// False if another wait for readers must come before the node's move.
  [[nodiscard]] bool can_move(NodeId from) const noexcept;
  /// Moves the node behind the hole to the hole's first slot that is free. REQUIRES can_move(from),
  /// and all nodes between `to` and `from` moved or unlinked.
  void move(NodeId from, NodeId to) noexcept;
  /// The nodes moved are found at their new places alone by who comes from here on.
  void end_moves(Hole hole) noexcept { tombstones_.set_hole(hole); }
  /// The hole's slots give their memory back. REQUIRES that nobody uses them.
  void clear_hole() noexcept;
  /// All nodes have moved, and nobody uses an old id. `ranks` are those from before.
  void end_slide(const CurrentRanks& ranks) noexcept;
  /// Gives the memory behind the end back. REQUIRES that nobody entered before end_slide().
  void shrink() noexcept;
  /// The slots before `end`, whose nodes are unlinked, become a hole; in a second step, when nobody
  /// uses these slots, their memory goes back to the system. The slots stay.
  void open_front_hole(NodeId end) noexcept { tombstones_.set_hole({0, end}); }
  void give_front_back() noexcept;

  // --- used by the Committer ---
  /// The node that was inserted last in a layer, kNoNode where the layer is empty.
  [[nodiscard]] NodeId last_in_layer(std::uint32_t layer) const noexcept {
    return last_in_layer_[layer];
  }
  /// Makes the next announced node, whose lists are linked, part of the graph; promotes the entry
  /// point where its level is higher.
  void admit(NodeId node) noexcept;
  /// Called before a seal changes its first list. Nothing may fail from here to close_epoch().
  /// Waits for readers who ask for it.
  void begin_seal() noexcept {
    patience_.wait();
    seals_ = seals_ | 1;
  }
  /// Ends what begin_seal() began, the epoch still open.
  void end_seal() noexcept { seals_ = (seals_ | 1) + 1; }
  /// Ends the seal and the open epoch: records its entry point and opens the next.
  void close_epoch() noexcept;
  [[nodiscard]] bool seal_is_due() const noexcept { return size() >= epoch_.end; }
  /// Makes the open epoch's seal due.
  void end_epoch() noexcept { epoch_.end = size(); }
  /// The epoch behind one that ends as `epoch` does.
  [[nodiscard]] Epoch next_epoch(const Epoch& epoch) const noexcept {
    return epoch.next(params_.epoch_limit, extent().dead);
  }
  /// The layer's earliest linked node, the only one that needs no anchor; kNoNode where the layer
  /// is empty.
  [[nodiscard]] NodeId first_in_layer(std::uint32_t layer) const noexcept {
    return first_in_layer_[layer];
  }
  /// The linked node before another of the layer. REQUIRES that it is not the layer's first.
  [[nodiscard]] NodeId before_in_layer(NodeId node, std::uint32_t layer) const noexcept;
  /// Before a seal takes the first link to a tombstone away: the entry point, and each layer's
  /// first and last node, become nodes that live.
  void begin_unlinking() noexcept;
  /// No list of a living node names a tombstone any more.
  void end_unlinking() noexcept;

  // --- used by the file format ---
  struct State {
    EntryPoint sealed_entries[2];
    bool seal_is_due = false;    ///< the open epoch is full: its seal failed
    std::optional<Epoch> epoch;  ///< the open one, where it does not follow from the size
    std::vector<NodeId> dead;    ///< as dead()
    std::vector<CopyPlace> copies;
  };
  [[nodiscard]] State state() const;
  /// The number of the node's insertion, counted over all that ever were. It decides its level.
  [[nodiscard]] std::uint64_t insertion(NodeId node) const noexcept {
    return numbering_->number(node);
  }
  /// The first node whose number is at least this; size() if there is none. O(log size).
  [[nodiscard]] NodeId first_from(std::uint64_t number) const noexcept;
  /// Gives an empty graph the numbers of its first nodes, ascending, of `insertions` there ever
  /// were. Throws Error(out_of_memory).
  void restore_insertions(std::span<const std::uint64_t> numbers, std::uint64_t insertions);
  /// REQUIRES all `size` nodes are announced: admits them, opens the epoch of the state, else the
  /// one they fall in or, where its seal is due, the one they fill. Throws Error(out_of_memory).
  void restore(NodeId size, const State& state);

  [[nodiscard]] std::span<const std::uint8_t> levels() const noexcept {
    return {levels_.data(), announced_};
  }
  [[nodiscard]] std::span<const std::uint32_t> upper_offsets() const noexcept {
    return {upper_offset_.data(), announced_};
  }
  [[nodiscard]] std::size_t node_bytes() const noexcept {
    return levels_.bytes() + upper_offset_.bytes() + tombstones_.bytes() + copies_.bytes() +
           numbering_->bytes();
  }

 private:
  /// Frees what growing has left, unless a reader is inside. REQUIRES that nobody else reads lists.
  void free_left() noexcept;
  [[nodiscard]] Extent extent() const noexcept { return extent_.load(); }  // as ReaderGate asks
  [[nodiscard]] bool has_living_copy(NodeId node, NodeId view_size) const noexcept;
  /// Whether the vector's death, for views of `view_size` nodes, ends all that the node stands for.
  [[nodiscard]] bool ends(NodeId node, NodeId id, NodeId view_size) noexcept;
  /// The vector is dead for views of `view_size` nodes: what ends with it is pending.
  void note_death(NodeId id, NodeId view_size) noexcept;
  void move_upper_lists(NodeId from, NodeId to) noexcept;
  void publish_met() noexcept {
    met_.store(static_cast<NodeId>(pending_.size() + replacements_.size()),
               std::memory_order_release);
  }

  IndexParams params_;
  const ReaderGate* gate_;
  std::atomic<Extent> extent_{};
  NodeId announced_ = 0;
  Epoch epoch_;
  std::atomic<EntryPoint> entry_{};
  Patience patience_;
  std::atomic<std::uint64_t> seals_{0};
  std::atomic<std::uint64_t> unlinkings_{0};
  std::atomic<NodeId> met_{0};
  std::atomic<std::uint64_t> reclaimed_{0};  ///< unlinked nodes whose slots were given back
  std::shared_ptr<const Numbering> numbering_ = std::make_shared<const Numbering>();
  std::atomic<const Numbering*> shown_numbering_{numbering_.get()};  ///< for readers
  Tombstones tombstones_;
  Copies copies_;
  std::atomic<NodeId> kept_{0};
  /// Living copies less kept(): how many more vectors than nodes live.
  std::atomic<NodeId> copies_without_node_{0};
  std::vector<NodeId> pending_;
  std::vector<NodeId> replacements_;  ///< what the announced nodes replace; empty where none does
  NodeId first_replacement_ = 0;      ///< the node that replacements_[0] is about
  EntryPoint sealed_entries_[2];      ///< of the last two seals, by parity of the epoch sealed
  std::array<NodeId, kMaxLevel + 1> first_in_layer_;
  std::array<NodeId, kMaxLevel + 1> last_in_layer_;
  VirtualArray<std::uint8_t> levels_;
  VirtualArray<std::uint32_t> upper_offset_;  ///< list of layer 1 in upper_; meaningless at level 0
  LinkTable base_;
  LinkTable upper_;

  // Of a slide:
  static constexpr ListIndex kNoList = ~ListIndex{0};
  /// That of the next ids, and then that of the last, until no reader uses it.
  std::shared_ptr<const Numbering> other_numbering_;
  std::atomic<const Numbering*> shown_next_numbering_{nullptr};
  std::vector<NodeId> moved_from_ids_;  ///< SlidingView::moved_from
  std::atomic<const NodeId*> moved_from_{nullptr};
  ListIndex upper_end_ = 0;  ///< behind the lists that have moved
  ListIndex first_upper_moved_ =
      kNoList;  ///< first list among the moves at hand: all before are free
};

}  // namespace concord::core
