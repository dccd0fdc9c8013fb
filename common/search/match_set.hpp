// The ids that a filter lets a search return, as of one moment of one index.
//
// A set names nodes by the ids of its snapshot's numbering, for good. Searches ask it under the
// numbering of their own moment: a PlacedSet, which is made once for each slide and kept. So a
// slide changes no answer, and an older search goes on with the older one.
//
// A search walks among nodes, and a copy is none (common/graph/copies.hpp). So a set also has the
// nodes that stand for its ids. They are its ids where none of these is a copy.
//
// Invariant: ids are sorted, unique, and in the snapshot: before its end, and alive at its moment.
// A set that every search scans (common/search/filter_rule.hpp) is its sorted ids alone: 4 bytes a
// match. A larger one has a bit for each id of the snapshot as well, set for its nodes.
// Thread-safety: immutable, but for what it remembers. None waits for another.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/base/key.hpp"
#include "common/graph/copies.hpp"
#include "common/graph/numbering.hpp"
#include "common/graph/tombstones.hpp"

namespace concord::core {

/// What there was when a filter was made. Ids from `end` on never match.
struct FilterSnapshot {
  std::uint64_t index = 0;  ///< number of the index, different for each of the process
  std::shared_ptr<const Numbering> numbering;  ///< what ids mean
  NodeId end = 0;
  NodeId deaths = 0;  ///< of the nodes that have ids, how many had died by then
  std::size_t stride = 0;
  /// Those before `end` that had died, sorted; null if none had.
  std::shared_ptr<const std::vector<NodeId>> dead;
  /// The copies before `end`, in order, and others behind it; null if there are none.
  std::shared_ptr<const std::vector<CopyPlace>> copies = nullptr;

  /// How many were alive.
  [[nodiscard]] NodeId living() const noexcept;
};

/// A set under one numbering of the nodes: less what was unlinked before that began.
class PlacedSet {
 public:
  /// Tells which nodes stand for a match: 1 or 0. Without a branch, because which do is
  /// unpredictable. A copy of where the bits are, for loops.
  class Bits {
   public:
    [[nodiscard]] std::uint32_t operator[](NodeId id) const noexcept {
      const std::size_t word = id / 64 < last_word_ ? id / 64 : last_word_;
      return static_cast<std::uint32_t>(words_[word] >> (id % 64)) & 1;
    }

   private:
    friend class PlacedSet;
    Bits(const std::uint64_t* words, std::size_t last_word) noexcept
        : words_(words), last_word_(last_word) {}
    const std::uint64_t* words_;
    std::size_t last_word_;
  };

  /// Ids, and the nodes that stand for them.
  struct Members {
    std::span<const NodeId> ids;
    std::span<const NodeId> nodes;  ///< the same memory where no id is a copy
    [[nodiscard]] bool have_copies() const noexcept { return nodes.data() != ids.data(); }
  };
  /// A set under its own numbering. Borrows what the members name.
  PlacedSet(const FilterSnapshot& snapshot, const Members& members);
  /// The set of these members under another numbering.
  PlacedSet(const FilterSnapshot& snapshot, const Members& members, const Numbering& to);
  PlacedSet(const PlacedSet&) = delete;
  PlacedSet& operator=(const PlacedSet&) = delete;

  [[nodiscard]] std::span<const NodeId> ids() const noexcept { return members_.ids; }
  [[nodiscard]] std::span<const NodeId> nodes() const noexcept { return members_.nodes; }
  [[nodiscard]] bool has_copies() const noexcept { return members_.have_copies(); }
  [[nodiscard]] bool has_bits() const noexcept { return !bits_.empty(); }
  /// Ids from here on do not match.
  [[nodiscard]] NodeId end() const noexcept { return end_; }
  /// REQUIRES has_bits().
  [[nodiscard]] Bits bits() const noexcept { return {bits_.data(), bits_.size() - 1}; }
  /// Bit id % 64 of word id / 64, and a last word of zeros.
  [[nodiscard]] std::span<const std::uint64_t> words() const noexcept { return bits_; }
  /// Seed number i of a walk (FilterRule::seed_rank), or kNoNode if it was unlinked. REQUIRES
  /// has_bits().
  [[nodiscard]] NodeId seed(std::uint32_t i) const noexcept;
  /// How many nodes stand for a match that lives where `deaths` vectors have died, of which
  /// is_dead(node) tells. O(1), but for the first call after a death.
  template <class IsDead>
  [[nodiscard]] NodeId living(NodeId deaths, const IsDead& is_dead) const {
    if (deaths == deaths_) return static_cast<NodeId>(nodes().size());
    return remembered(counted_, deaths, [&] { return count_living(nodes(), is_dead); });
  }
  /// The same during the slide that ends in this numbering, in which none dies: count().
  template <class Count>
  [[nodiscard]] NodeId living_in_slide(const Count& count) const {
    return remembered(counted_in_slide_, 0, count);
  }
  template <class IsDead>
  [[nodiscard]] static NodeId count_living(std::span<const NodeId> ids, const IsDead& is_dead) {
    NodeId count = 0;
    for (const NodeId id : ids) count += is_dead(id) ? 0 : 1;
    return count;
  }
  [[nodiscard]] std::size_t bytes() const noexcept;

 private:
  static constexpr std::uint64_t kUnknown = ~std::uint64_t{0};

  // A count as of `deaths`: the last that was asked for. Relaxed: the number is all there is to it.
  template <class Count>
  static NodeId remembered(std::atomic<std::uint64_t>& kept, NodeId deaths, const Count& count) {
    const std::uint64_t last = kept.load(std::memory_order_relaxed);
    if (last >> 32 == deaths) return static_cast<NodeId>(last);
    const NodeId now = count();
    kept.store((std::uint64_t{deaths} << 32) | now, std::memory_order_relaxed);
    return now;
  }
  void make_bits(const FilterSnapshot& snapshot);

  std::vector<NodeId> own_ids_, own_nodes_;  ///< empty under the set's own numbering
  Members members_;
  NodeId end_;
  std::vector<NodeId> seeds_;        ///< empty where their ranks are those among the nodes
  std::vector<std::uint64_t> bits_;  ///< and a last word of zeros, for ids beyond the snapshot
  NodeId deaths_;                    ///< where all of it lives; kNoNode if that is unknown
  mutable std::atomic<std::uint64_t> counted_{kUnknown};
  mutable std::atomic<std::uint64_t> counted_in_slide_{kUnknown};
};

class MatchSet : public std::enable_shared_from_this<MatchSet> {
 public:
  /// REQUIRES ids as the invariant says.
  MatchSet(FilterSnapshot snapshot, std::vector<NodeId> ids);
  ~MatchSet();
  MatchSet(const MatchSet&) = delete;
  MatchSet& operator=(const MatchSet&) = delete;

  [[nodiscard]] const FilterSnapshot& snapshot() const noexcept { return snapshot_; }
  /// Under the numbering of the snapshot.
  [[nodiscard]] std::span<const NodeId> ids() const noexcept { return ids_; }
  /// Whether some of its ids are copies.
  [[nodiscard]] bool has_copies() const noexcept { return !nodes_.empty(); }
  /// The set under a numbering, as long as the reader stays in the gate. The first to ask makes it,
  /// in O(matches · log(size / matches)); who asks meanwhile makes its own, in `own`. REQUIRES a
  /// numbering that the reader's view uses. Throws std::bad_alloc.
  const PlacedSet& under(const Numbering& numbering, std::unique_ptr<PlacedSet>& own) const;
  [[nodiscard]] std::size_t bytes() const noexcept;

 private:
  /// Where the sets under every second numbering are kept in turn. Who asks for one numbering has
  /// entered the gate after the last reader of that two slides before has left. So that one's set
  /// can be freed.
  struct Place {
    std::atomic<std::uint64_t> state{0};  ///< what is kept, or being made; 0: nothing
    std::atomic<const PlacedSet*> set{nullptr};
    std::atomic<std::size_t> bytes{0};
  };
  static std::uint64_t kept(const Numbering& numbering) noexcept {
    return 2 * numbering.slides() + 2;
  }
  static void keep(Place& place, std::unique_ptr<const PlacedSet> set) noexcept;
  [[nodiscard]] PlacedSet::Members members() const noexcept;

  FilterSnapshot snapshot_;
  std::vector<NodeId> ids_;
  std::vector<NodeId> nodes_;  ///< empty where they are the ids
  mutable std::array<Place, 2> places_;
};

/// Which filter each query of a batch has, null for none.
struct QueryFilters {
  std::span<const MatchSet* const> sets;  ///< one for all queries, or one each
  const MatchSet* operator[](std::size_t query) const noexcept {
    return sets[sets.size() == 1 ? 0 : query];
  }
};

/// A set for a reader whose view is at rest.
class Matches {
 public:
  explicit Matches(const PlacedSet& set) noexcept : set_(&set) {}
  using Bits = PlacedSet::Bits;
  [[nodiscard]] bool has_bits() const noexcept { return set_->has_bits(); }
  [[nodiscard]] Bits bits() const noexcept { return set_->bits(); }
  [[nodiscard]] NodeId seed(std::uint32_t i) const noexcept { return set_->seed(i); }
  /// Ids that match or did before they died, in two parts, in order.
  [[nodiscard]] std::array<std::span<const NodeId>, 2> ids() const noexcept {
    return {set_->ids(), {}};
  }
  /// The nodes that stand for them.
  [[nodiscard]] std::array<std::span<const NodeId>, 2> nodes() const noexcept {
    return {set_->nodes(), {}};
  }
  /// Whether some of the ids are copies, so that the nodes are others.
  [[nodiscard]] bool has_copies() const noexcept { return set_->has_copies(); }
  /// O(log matches)
  [[nodiscard]] bool contains(NodeId id) const noexcept {
    return std::ranges::binary_search(set_->ids(), id);
  }
  template <class IsDead>
  [[nodiscard]] NodeId living(NodeId deaths, const IsDead& is_dead) const {
    return set_->living(deaths, is_dead);
  }

 private:
  const PlacedSet* set_;
};

/// A set for a reader of a SlidingView: nodes before the hole have the ids behind the slide, and
/// nodes behind it those from before.
class SlidingMatches {
 public:
  SlidingMatches(const PlacedSet& before, const PlacedSet& after, Hole hole) noexcept
      : before_(&before), after_(&after), hole_(hole) {}
  class Bits {
   public:
    Bits(PlacedSet::Bits before, PlacedSet::Bits after, NodeId moved) noexcept
        : before_(before), after_(after), moved_(moved) {}
    [[nodiscard]] std::uint32_t operator[](NodeId id) const noexcept {
      return id < moved_ ? after_[id] : before_[id];
    }

   private:
    PlacedSet::Bits before_, after_;
    NodeId moved_;
  };
  [[nodiscard]] bool has_bits() const noexcept { return after_->has_bits(); }
  [[nodiscard]] Bits bits() const noexcept {
    return {before_->bits(), after_->bits(), hole_.begin};
  }
  [[nodiscard]] NodeId seed(std::uint32_t i) const noexcept {
    const NodeId id = after_->seed(i);
    return id < hole_.begin || id == kNoNode ? id : before_->seed(i);
  }
  [[nodiscard]] std::array<std::span<const NodeId>, 2> ids() const noexcept {
    return beside_hole(after_->ids(), before_->ids());
  }
  [[nodiscard]] std::array<std::span<const NodeId>, 2> nodes() const noexcept {
    return beside_hole(after_->nodes(), before_->nodes());
  }
  [[nodiscard]] bool has_copies() const noexcept { return after_->has_copies(); }
  [[nodiscard]] bool contains(NodeId id) const noexcept {
    return std::ranges::binary_search((id < hole_.begin ? after_ : before_)->ids(), id);
  }
  template <class IsDead>
  [[nodiscard]] NodeId living(NodeId /*deaths*/, const IsDead& is_dead) const {
    return after_->living_in_slide([&] {
      NodeId count = 0;
      for (const auto part : nodes()) count += PlacedSet::count_living(part, is_dead);
      return count;
    });
  }

 private:
  [[nodiscard]] std::array<std::span<const NodeId>, 2> beside_hole(
      std::span<const NodeId> moved, std::span<const NodeId> others) const noexcept;

  const PlacedSet* before_;
  const PlacedSet* after_;
  Hole hole_;
};

/// Combinations. The snapshot of two is what both have seen, so that the laws of sets hold.
/// REQUIRES sets of one index.
std::shared_ptr<const MatchSet> both(const MatchSet& a, const MatchSet& b);
std::shared_ptr<const MatchSet> either(const MatchSet& a, const MatchSet& b);
std::shared_ptr<const MatchSet> complement(const MatchSet& a);

}  // namespace concord::core
