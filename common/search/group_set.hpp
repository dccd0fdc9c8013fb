// The groups of an index's vectors, as of one moment, and how a search with groups collects its
// results.
//
// Definition (ARCHITECTURE.md, "Groups"). The vectors that have a group and may be results, in
// order of (distance, id), give the result: of the first k groups among them the first vectors, at
// most so many of each. A search goes on, with twice the ef, until the nearer half of its list has
// k groups, or all there are.
// Groups are kept under the numbering of the moment at which they were made. Where nodes have slid
// since, a node's group is found by its number of insertion, in O(log size).
// Thread-safety: a GroupSet is immutable; a GroupPicker has one user at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "common/base/key.hpp"
#include "common/search/entries.hpp"
#include "common/search/match_set.hpp"

namespace concord::core {

class GroupSet {
 public:
  static constexpr std::uint32_t kNoGroup = ~std::uint32_t{0};

  /// REQUIRES groups [snapshot.end], each kNoGroup or below `count`.
  GroupSet(FilterSnapshot snapshot, std::vector<std::uint32_t> groups, std::uint32_t count) noexcept
      : snapshot_(std::move(snapshot)), groups_(std::move(groups)), count_(count) {}

  [[nodiscard]] const FilterSnapshot& snapshot() const noexcept { return snapshot_; }
  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
  /// The id's group, or kNoGroup.
  [[nodiscard]] std::uint32_t operator[](NodeId id) const noexcept {
    return id < groups_.size() ? groups_[id] : kNoGroup;
  }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return sizeof(*this) + groups_.capacity() * sizeof(std::uint32_t);
  }

 private:
  FilterSnapshot snapshot_;
  std::vector<std::uint32_t> groups_;
  std::uint32_t count_;
};

/// The groups of the vectors of several indexes, which share them: those of each have numbers of
/// their own there.
struct GroupParts {
  struct Part {
    std::shared_ptr<const GroupSet> set;
    std::vector<std::uint32_t> numbers;  ///< [set->count()]: the group's number among all
    /// The ids of group g of the part are members[firsts[g]] to members[firsts[g + 1]], ascending.
    std::vector<std::uint32_t> firsts;
    std::vector<NodeId> members;
  };
  std::vector<Part> parts;
  std::uint32_t count = 0;  ///< groups of all together

  [[nodiscard]] std::size_t size() const noexcept {
    std::size_t size = 0;
    for (const Part& part : parts) size += part.members.size();
    return size;
  }
  [[nodiscard]] std::size_t bytes() const noexcept {
    std::size_t bytes = sizeof(*this);
    for (const Part& part : parts) {
      const std::size_t words = part.numbers.size() + part.firsts.size() + part.members.size();
      bytes += sizeof part + part.set->bytes() + words * sizeof(std::uint32_t);
    }
    return bytes;
  }
};

/// The groups of the ids that nodes have in a view.
class PlacedGroups {
 public:
  /// Ids before `moved` are of the numbering `next`, and all others of `now`.
  PlacedGroups(const GroupSet& set, const Numbering& now, const Numbering& next,
               NodeId moved) noexcept
      : set_(&set), now_(&now), next_(&next), moved_(moved) {}

  /// The id's group, or kNoGroup.
  [[nodiscard]] std::uint32_t operator[](NodeId id) const noexcept {
    const Numbering& numbering = id < moved_ ? *next_ : *now_;
    const Numbering& own = *set_->snapshot().numbering;
    if (numbering.slides() == own.slides()) return (*set_)[id];
    return (*set_)[own.find(numbering.number(id))];
  }

 private:
  const GroupSet* set_;
  const Numbering* now_;
  const Numbering* next_;
  NodeId moved_;
};

/// How many groups, and vectors of each, a search is to return.
struct GroupRule {
  const GroupSet& set;
  std::uint32_t k;
  std::uint32_t hits;

  /// The widest list that is searched for where so many vectors may be found; beyond it all are
  /// scanned.
  [[nodiscard]] static std::size_t widest(NodeId vectors) noexcept { return vectors / 16; }
};

/// Picks the results of one query. A list has size() and key(i), and so has the picker.
class GroupPicker {
 public:
  explicit GroupPicker(const GroupRule& rule) noexcept : rule_(rule) {}

  [[nodiscard]] std::size_t size() const noexcept { return picked_.size(); }
  [[nodiscard]] Key key(std::size_t i) const noexcept { return picked_[i]; }

  /// Begins anew, with ids of a view.
  void begin(const PlacedGroups& groups) {
    groups_ = groups;
    picked_.clear();
    taken_.clear();
    all_.clear();
    room_ = kRoom;
  }
  /// Picks from a list of nodes in order, of the view that it began with. for_each(node, take)
  /// calls take(rank, id) for the results that a node stands for. Whether those of its first `half`
  /// are of k groups, or of all there are.
  template <class List, class ForEach>
  bool pick(const List& list, std::size_t half, const ForEach& for_each) {
    std::unordered_set<std::uint32_t> in_half;
    const std::size_t wanted = std::min(rule_.k, rule_.set.count());
    std::size_t place = 0;
    const auto each = [&](NodeId node, const auto& take) {
      for_each(node, [&](NodeId rank, NodeId id) {
        const std::uint32_t group = (*groups_)[id];
        const bool counts = place < half && in_half.size() < wanted;
        if (counts && group != GroupSet::kNoGroup) in_half.insert(group);
        return take(rank, id);
      });
      ++place;
    };
    for_each_tie(list, ~std::size_t{0}, each, tie_,
                 [&](const auto& results, std::size_t, std::size_t) {
                   for (const RankedResult& result : results) take(result, (*groups_)[result.id]);
                   return true;
                 });
    return in_half.size() >= wanted;
  }

  /// Of a scan: notes a result, in any order, each once.
  void add(const RankedResult& result) {
    const std::uint32_t group = (*groups_)[result.id];
    if (group == GroupSet::kNoGroup) return;
    all_.push_back({result, group});
    if (all_.size() >= room_) cut();
  }
  /// Picks from what was noted. O(entries noted) and the sorting of those of k groups.
  void finish() {
    std::vector<RankedResult> best(rule_.set.count(), kWorst);
    for (const auto& [result, group] : all_) best[group] = std::min(best[group], result);
    std::vector<RankedResult> nearest(best);
    const std::size_t k = std::min<std::size_t>(rule_.k, nearest.size());
    const auto last = nearest.begin() + static_cast<std::ptrdiff_t>(k);
    if (k < nearest.size()) std::nth_element(nearest.begin(), last, nearest.end());
    const RankedResult bound = k < nearest.size() ? *last : kWorst;
    std::erase_if(all_, [&](const Noted& noted) { return best[noted.group] >= bound; });
    std::ranges::sort(all_, {}, &Noted::result);
    for (const auto& [result, group] : all_) take(result, group);
    all_.clear();
  }

 private:
  static constexpr std::size_t kRoom = std::size_t{1} << 16;
  static constexpr RankedResult kWorst{kWorstKey, kNoNode};
  struct Noted {
    RankedResult result;
    std::uint32_t group;
  };

  /// Keeps the nearest of each group, as many as may be hits: no more can be results.
  void cut() {
    std::ranges::sort(all_, {}, &Noted::result);
    std::vector<std::uint32_t> kept(rule_.set.count(), 0);
    std::erase_if(all_, [&](const Noted& noted) { return kept[noted.group]++ >= rule_.hits; });
    room_ = std::max(kRoom, 2 * all_.size());
  }

  /// Takes a result behind all that were taken, if its group is among the first k and has room.
  void take(const RankedResult& result, std::uint32_t group) {
    if (group == GroupSet::kNoGroup) return;
    const auto found = taken_.find(group);
    if (found == taken_.end()) {
      if (taken_.size() >= rule_.k) return;
      taken_.emplace(group, 1);
    } else if (found->second++ >= rule_.hits) {
      return;
    }
    picked_.push_back(result.key());
  }

  const GroupRule& rule_;
  std::optional<PlacedGroups> groups_;                      ///< empty before begin()
  std::vector<Key> picked_;                                 ///< in order
  std::unordered_map<std::uint32_t, std::uint32_t> taken_;  ///< vectors met of the first k groups
  std::vector<Noted> all_;                                  ///< by a scan
  Tie tie_;
  std::size_t room_ = kRoom;  ///< at which all_ is cut
};

}  // namespace concord::core
