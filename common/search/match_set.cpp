#include "common/search/match_set.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/search/filter_rule.hpp"

namespace concord::core {
namespace {

using Ids = std::vector<NodeId>;
using Shared = std::shared_ptr<const MatchSet>;

std::span<const NodeId> before(std::span<const NodeId> ids, NodeId end) {
  return ids.first(
      static_cast<std::size_t>(std::lower_bound(ids.begin(), ids.end(), end) - ids.begin()));
}

std::span<const NodeId> from(std::span<const NodeId> ids, NodeId first) {
  return ids.subspan(before(ids, first).size());
}

std::span<const NodeId> dead_of(const FilterSnapshot& snapshot) {
  if (!snapshot.dead) return {};
  return before(*snapshot.dead, snapshot.end);
}

Ids without(std::span<const NodeId> ids, std::span<const NodeId> others) {
  Ids left;
  left.reserve(ids.size());
  std::set_difference(ids.begin(), ids.end(), others.begin(), others.end(),
                      std::back_inserter(left));
  return left;
}

// The nodes that stand for ids, sorted; empty if these are nodes themselves.
Ids nodes_of(std::span<const NodeId> ids, std::span<const CopyPlace> copies) {
  Ids nodes;
  const auto replace = [&](std::size_t place, NodeId by) {
    if (nodes.empty()) nodes.assign(ids.begin(), ids.end());
    nodes[place] = by;
  };
  if (ids.size() < copies.size()) {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto at = std::ranges::lower_bound(copies, ids[i], {}, &CopyPlace::copy);
      if (at != copies.end() && at->copy == ids[i]) replace(i, at->first);
    }
  } else {
    for (const CopyPlace& place : copies) {
      const auto at = std::ranges::lower_bound(ids, place.copy);
      if (at == ids.end()) break;
      if (*at == place.copy) replace(static_cast<std::size_t>(at - ids.begin()), place.first);
    }
  }
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  return nodes;
}

// What ascending ids are in another numbering: kNoNode for those that are not in it.
Ids renumbered(std::span<const NodeId> ids, const Numbering& of, const Numbering& to) {
  Ids now(ids.size());
  NodeId at = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::uint64_t number = of.number(ids[i]);
    at = to.first_from(number, at);
    now[i] = to.number(at) == number ? at : kNoNode;
  }
  return now;
}

NodeId renumbered_end(NodeId end, const Numbering& of, const Numbering& to) noexcept {
  return to.first_from(of.number(end));
}

// The part of a set that a combination with another one takes: what both have seen, in the
// numbering of the younger snapshot. A node that this lacks was dead at its moment.
class Part {
 public:
  Part(const MatchSet& set, const FilterSnapshot& seen_by_both) : ids_(set.ids()) {
    const Numbering& own = *set.snapshot().numbering;
    if (own.slides() != seen_by_both.numbering->slides()) {
      moved_ = renumbered(ids_, own, *seen_by_both.numbering);
      std::erase(moved_, kNoNode);
      ids_ = moved_;
    }
    ids_ = before(ids_, seen_by_both.end);
  }
  [[nodiscard]] std::span<const NodeId> ids() const noexcept { return ids_; }

 private:
  Ids moved_;
  std::span<const NodeId> ids_;
};

FilterSnapshot seen_by_both(const FilterSnapshot& a, const FilterSnapshot& b) {
  const auto age = [](const FilterSnapshot& of) {
    return std::pair(of.numbering->slides(), of.deaths);
  };
  const bool a_is_older = age(a) < age(b);
  FilterSnapshot both = a_is_older ? b : a;  // has the dead of the other as well
  const FilterSnapshot& older = a_is_older ? a : b;
  both.end = std::min(both.end, renumbered_end(older.end, *older.numbering, *both.numbering));
  return both;
}

// Takes a merge of two sets into a snapshot that both have seen.
template <class Merge>
Shared merged(const MatchSet& a, const MatchSet& b, const Merge& merge) {
  const FilterSnapshot snapshot = seen_by_both(a.snapshot(), b.snapshot());
  Ids ids;
  merge(Part(a, snapshot).ids(), Part(b, snapshot).ids(), ids);
  return std::make_shared<const MatchSet>(snapshot, without(ids, dead_of(snapshot)));
}

}  // namespace

NodeId FilterSnapshot::living() const noexcept {
  return end - static_cast<NodeId>(dead_of(*this).size());
}

// ------------------------------------------------------------------------------------- placed sets

PlacedSet::PlacedSet(const FilterSnapshot& snapshot, const Members& members)
    : members_(members), end_(snapshot.end), deaths_(snapshot.deaths) {
  make_bits(snapshot);
}

PlacedSet::PlacedSet(const FilterSnapshot& snapshot, const Members& members, const Numbering& to)
    : own_ids_(renumbered(members.ids, *snapshot.numbering, to)),
      end_(renumbered_end(snapshot.end, *snapshot.numbering, to)),
      deaths_(kNoNode) {
  if (members.have_copies()) own_nodes_ = renumbered(members.nodes, *snapshot.numbering, to);
  Ids& nodes = members.have_copies() ? own_nodes_ : own_ids_;
  Ids seeds(FilterRule::kSeeds, kNoNode);
  for (std::uint32_t i = 0; i < FilterRule::kSeeds && !nodes.empty(); ++i) {
    seeds[i] = nodes[FilterRule::seed_rank(i, nodes.size())];
  }
  std::erase(own_ids_, kNoNode);
  std::erase(own_nodes_, kNoNode);
  members_ = {own_ids_, nodes};
  make_bits(snapshot);
  if (has_bits()) seeds_ = std::move(seeds);
}

void PlacedSet::make_bits(const FilterSnapshot& snapshot) {
  if (FilterRule::always_scans(ids().size(), snapshot.stride)) return;
  bits_.resize((std::size_t{end_} + 63) / 64 + 1);
  std::uint64_t word = 0;  // the one that the nodes have come to, so that each is written once
  std::size_t place = 0;
  for (const NodeId id : nodes()) {
    if (id / 64 != place) {
      bits_[place] = std::exchange(word, 0);
      place = id / 64;
    }
    word |= std::uint64_t{1} << (id % 64);
  }
  bits_[place] = word;
}

NodeId PlacedSet::seed(std::uint32_t i) const noexcept {
  return seeds_.empty() ? nodes()[FilterRule::seed_rank(i, nodes().size())] : seeds_[i];
}

std::size_t PlacedSet::bytes() const noexcept {
  return sizeof(PlacedSet) +
         (own_ids_.capacity() + own_nodes_.capacity() + seeds_.capacity()) * sizeof(NodeId) +
         bits_.capacity() * sizeof(std::uint64_t);
}

std::array<std::span<const NodeId>, 2> SlidingMatches::beside_hole(
    std::span<const NodeId> moved, std::span<const NodeId> others) const noexcept {
  return {before(moved, hole_.begin), from(others, hole_.end)};
}

// -------------------------------------------------------------------------------------------- sets

MatchSet::MatchSet(FilterSnapshot snapshot, std::vector<NodeId> ids)
    : snapshot_(std::move(snapshot)), ids_(std::move(ids)) {
  ids_.shrink_to_fit();
  if (snapshot_.copies) nodes_ = nodes_of(ids_, *snapshot_.copies);
  Place& place = places_[snapshot_.numbering->slides() % 2];
  keep(place, std::make_unique<const PlacedSet>(snapshot_, members()));
  place.state = kept(*snapshot_.numbering);
}

PlacedSet::Members MatchSet::members() const noexcept {
  return {ids_, has_copies() ? std::span<const NodeId>(nodes_) : std::span<const NodeId>(ids_)};
}

MatchSet::~MatchSet() {
  for (Place& place : places_) keep(place, nullptr);
}

void MatchSet::keep(Place& place, std::unique_ptr<const PlacedSet> set) noexcept {
  // Relaxed: who makes a set is alone, and `state`, released behind it, is acquired by who uses the
  // set. The bytes are a figure.
  place.bytes.store(set ? set->bytes() : 0, std::memory_order_relaxed);
  delete place.set.exchange(set.release(), std::memory_order_relaxed);
}

const PlacedSet& MatchSet::under(const Numbering& numbering,
                                 std::unique_ptr<PlacedSet>& own) const {
  Place& place = places_[numbering.slides() % 2];
  const std::uint64_t wanted = kept(numbering);
  const std::uint64_t being_made = wanted + 1;
  std::uint64_t seen = place.state.load(std::memory_order_acquire);
  if (seen < wanted && place.state.compare_exchange_strong(seen, being_made)) {
    try {
      keep(place, std::make_unique<const PlacedSet>(snapshot_, members(), numbering));
    } catch (...) {
      place.state.store(seen, std::memory_order_release);
      throw;
    }
    place.state.store(wanted, std::memory_order_release);
    seen = wanted;
  }
  if (seen == wanted) return *place.set.load(std::memory_order_relaxed);
  own = std::make_unique<PlacedSet>(snapshot_, members(), numbering);
  return *own;
}

std::size_t MatchSet::bytes() const noexcept {
  std::size_t bytes = sizeof(MatchSet) + (ids_.capacity() + nodes_.capacity()) * sizeof(NodeId);
  for (const Place& place : places_) bytes += place.bytes.load(std::memory_order_relaxed);
  return bytes;
}

Shared both(const MatchSet& a, const MatchSet& b) {
  return merged(a, b, [](auto x, auto y, Ids& to) {
    to.reserve(std::min(x.size(), y.size()));
    std::set_intersection(x.begin(), x.end(), y.begin(), y.end(), std::back_inserter(to));
  });
}

Shared either(const MatchSet& a, const MatchSet& b) {
  return merged(a, b, [](auto x, auto y, Ids& to) {
    to.reserve(x.size() + y.size());
    std::set_union(x.begin(), x.end(), y.begin(), y.end(), std::back_inserter(to));
  });
}

Shared complement(const MatchSet& a) {
  Ids all(a.snapshot().end);
  for (NodeId id = 0; id < a.snapshot().end; ++id) all[id] = id;
  return std::make_shared<const MatchSet>(a.snapshot(),
                                          without(without(all, dead_of(a.snapshot())), a.ids()));
}

}  // namespace concord::core
