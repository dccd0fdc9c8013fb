#include "common/search/match_set.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/search/filter_rule.hpp"

namespace concord::core {
namespace {

using Ids = std::vector<NodeId>;
using Shared = std::shared_ptr<const MatchSet>;

FilterSnapshot seen_by_both(const FilterSnapshot& a, const FilterSnapshot& b) {
  FilterSnapshot both = a.deaths < b.deaths ? b : a;  // has the dead of the other as well
  both.end = std::min(a.end, b.end);
  return both;
}

std::span<const NodeId> before(std::span<const NodeId> ids, NodeId end) {
  return ids.first(
      static_cast<std::size_t>(std::lower_bound(ids.begin(), ids.end(), end) - ids.begin()));
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

// Takes a merge of two sets into a snapshot that both have seen.
template <class Merge>
Shared merged(const MatchSet& a, const MatchSet& b, const Merge& merge) {
  const FilterSnapshot snapshot = seen_by_both(a.snapshot(), b.snapshot());
  Ids ids;
  merge(before(a.ids(), snapshot.end), before(b.ids(), snapshot.end), ids);
  return std::make_shared<const MatchSet>(snapshot, without(ids, dead_of(snapshot)));
}

}  // namespace

NodeId FilterSnapshot::living() const noexcept {
  return end - static_cast<NodeId>(dead_of(*this).size());
}

MatchSet::MatchSet(FilterSnapshot snapshot, std::vector<NodeId> ids)
    : snapshot_(std::move(snapshot)),
      ids_(std::move(ids)),
      counted_((std::uint64_t{snapshot_.deaths} << 32) | ids_.size()) {
  ids_.shrink_to_fit();
  if (FilterRule::always_scans(ids_.size(), snapshot_.stride)) return;
  bits_.resize((std::size_t{snapshot_.end} + 63) / 64 + 1);
  for (const NodeId id : ids_) bits_[id / 64] |= std::uint64_t{1} << (id % 64);
}

std::size_t MatchSet::bytes() const noexcept {
  return sizeof(MatchSet) + ids_.capacity() * sizeof(NodeId) +
         bits_.capacity() * sizeof(std::uint64_t);
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
