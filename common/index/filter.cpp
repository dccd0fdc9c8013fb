// concord::Filter and concord::Groups: how they are made from what an index holds at one moment.

#include <algorithm>
#include <atomic>
#include <concord/filter.hpp>
#include <concord/groups.hpp>
#include <functional>
#include <limits>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/index/index_impl.hpp"
#include "common/search/group_set.hpp"
#include "common/search/match_set.hpp"
#include "common/search/match_words.hpp"

namespace concord {
namespace {

using core::FilterSnapshot;
using core::MatchSet;
using core::NodeId;
using Ids = std::vector<NodeId>;

// Passes over the nodes of a snapshot that had died by then.
class Dead {
 public:
  explicit Dead(const FilterSnapshot& snapshot) {
    if (snapshot.dead) left_ = *snapshot.dead;
  }
  /// For ascending ids, each asked about.
  bool has(NodeId id) noexcept {
    if (left_.empty() || left_.front() != id) return false;
    left_ = left_.subspan(1);
    return true;
  }

 private:
  std::span<const NodeId> left_;
};

// Calls take(id, position) for the ids of the snapshot in order; positions are those of
// Index::labels().
template <class Take>
void for_each_living(const FilterSnapshot& snapshot, const Take& take) {
  Dead dead(snapshot);
  std::size_t position = 0;
  for (NodeId id = 0; id < snapshot.end; ++id) {
    if (!dead.has(id)) take(id, position++);
  }
}

// The ids at the positions that match, as a set.
std::shared_ptr<const MatchSet> at_positions(FilterSnapshot snapshot,
                                             const core::MatchWords& positions) {
  Ids ids = core::ids_of(positions);  // where all live, the position of each is its id
  if (snapshot.living() < snapshot.end) {
    auto next = ids.begin();
    for_each_living(snapshot, [&](NodeId id, std::size_t position) {
      if (next != ids.end() && *next == position) *next++ = id;
    });
  }
  return std::make_shared<const MatchSet>(std::move(snapshot), std::move(ids));
}

// The set of ids that may stand there several times.
Ids sorted_set(Ids ids, NodeId end) {
  if (std::ranges::adjacent_find(ids, std::greater_equal()) == ids.end()) return ids;
  if (ids.size() < end / 32) {
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
  }
  core::MatchWords words((std::size_t{end} + 63) / 64);
  for (const NodeId id : ids) words[id / 64] |= std::uint64_t{1} << (id % 64);
  return core::ids_of(words);
}

void expect_size(const FilterSnapshot& snapshot, const char* what, std::size_t size) {
  if (size == snapshot.living()) return;
  throw Error(ErrorCode::invalid_parameter,
              std::string(what) + " is of " + std::to_string(size) + " vectors; the index has " +
                  std::to_string(snapshot.living()) + ", and it must have as many");
}

}  // namespace

std::uint64_t Index::Impl::next_number() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

/// What a filter that is made now can match, and where a reader finds it. While nodes slide, a
/// filter names them by the ids that they will have behind the slide.
class IndexAccess::Moment {
 public:
  /// REQUIRES that the caller is among the readers, and stays there.
  explicit Moment(const Index::Impl& impl) : graph_(impl.contents.graph) {
    core::Patience::Tries tries(graph_.patience());
    for (;; tries.again()) {  // a seal may unlink what is replaced by a node that the view lacks
      unlinkings_ = graph_.unlinkings();
      view_ = graph_.is_sliding() ? graph_.sliding_view()
                                  : core::SlidingView{graph_.live(), {}, nullptr};
      read(impl);
      if (!has_passed()) return;
    }
  }

  /// Whether a look-up may miss what lived at the moment, and was replaced and unlinked since.
  [[nodiscard]] bool has_passed() const noexcept { return graph_.unlinkings() != unlinkings_; }
  [[nodiscard]] const FilterSnapshot& snapshot() const noexcept { return snapshot_; }
  /// Nodes of the view: their slots come before this one.
  [[nodiscard]] NodeId end_of_slots() const noexcept { return view_.size; }
  /// The id of the node that a look-up has found at `slot`. O(log size).
  [[nodiscard]] NodeId id_at(NodeId slot) const noexcept {
    if (!slides() || slot < view_.hole.end || slot == core::kNoNode) return slot;
    return snapshot_.numbering->find(graph_.numbering().number(slot));
  }
  /// Calls take(id, slot) for the nodes that have ids, in order.
  template <class Take>
  void for_each_node(const Take& take) const {
    const NodeId behind = slides() ? view_.hole.begin : view_.size;
    for (NodeId id = 0; id < behind; ++id) take(id, id);
    if (!slides()) return;
    NodeId id = behind;
    for (NodeId slot = view_.hole.end; slot < view_.size; ++slot) {
      if (!graph_.tombstones().is_unlinked(slot)) take(id++, slot);
    }
  }

 private:
  [[nodiscard]] bool slides() const noexcept { return view_.moved_from != nullptr; }

  void read(const Index::Impl& impl) {
    const core::Numbering& numbering = slides() ? graph_.next_numbering() : graph_.numbering();
    snapshot_ = {};
    snapshot_.index = impl.number;
    snapshot_.numbering = numbering.shared_from_this();
    snapshot_.stride = impl.contents.vectors.stride();
    snapshot_.end = slides() ? numbering.kept() : view_.size;
    snapshot_.deaths =
        slides() ? graph_.tombstones_linked() + graph_.kept() : view_.size - view_.living;
    if (graph_.copies().any()) {
      snapshot_.copies =
          impl.copy_lists.find(numbering.slides(), snapshot_.end, [&] { return copies(); });
    }
    if (snapshot_.deaths == 0) return;
    // A list that another filter has made serves as well. Where a thread is at it, this one makes
    // its own, so that none waits.
    snapshot_.dead = impl.dead_lists.find(numbering.slides(), snapshot_.deaths, [&] {
      Ids dead;
      for_each_node([&](NodeId id, NodeId slot) {
        if (graph_.tombstones().is_dead(slot, view_.size)) dead.push_back(id);
      });
      return dead;
    });
  }

  // What was unlinked is no member of any set.
  [[nodiscard]] std::vector<core::CopyPlace> copies() const {
    std::vector<core::CopyPlace> copies;
    for_each_node([&](NodeId id, NodeId slot) {
      if (graph_.tombstones().is_unlinked(slot) || !graph_.copies().is_copy(slot)) return;
      copies.push_back({id, id_at(graph_.copies().first(slot))});
    });
    return copies;
  }

  const core::Graph& graph_;
  std::uint64_t unlinkings_ = 0;
  core::SlidingView view_;
  FilterSnapshot snapshot_;
};

// The filter of the set that take(snapshot) gives, among the readers.
template <class Take>
Filter IndexAccess::filter_of(const Index& index, const Take& take) {
  const auto reading = index.impl_->readers.enter();
  return Filter(take(Moment(*index.impl_).snapshot()));
}

Filter::Filter(std::shared_ptr<const MatchSet> set, std::size_t unknown) noexcept
    : set_(std::move(set)), unknown_(unknown) {}

Filter Filter::of_mask(const Index& index, std::span<const std::uint8_t> mask) {
  return IndexAccess::filter_of(index, [&](FilterSnapshot snapshot) {
    expect_size(snapshot, "the mask", mask.size());
    return at_positions(std::move(snapshot), core::words_of_mask(mask));
  });
}

Filter Filter::of_bits(const Index& index, std::span<const std::uint8_t> bits, std::size_t count,
                       std::size_t offset) {
  if (offset > 8 * bits.size() || count > 8 * bits.size() - offset) {
    throw Error(ErrorCode::invalid_parameter, std::to_string(count) + " bits from number " +
                                                  std::to_string(offset) + " on do not fit into " +
                                                  std::to_string(bits.size()) + " bytes");
  }
  return IndexAccess::filter_of(index, [&](FilterSnapshot snapshot) {
    expect_size(snapshot, "the mask", count);
    return at_positions(std::move(snapshot), core::words_of_bits(bits, count, offset));
  });
}

Filter Filter::of_labels(const Index& index, std::span<const std::uint64_t> labels) {
  const auto& impl = IndexAccess::impl(index);
  const auto reading = impl.readers.enter();
  impl.mapped.expect_sound({core::FilePart::labels});
  constexpr std::size_t kLabels = 8192;  // fewer are found before another thread has begun
  core::Patience::Tries tries(impl.contents.graph.patience());
  for (;; tries.again()) {
    const IndexAccess::Moment now(impl);
    Ids ids(labels.size());
    impl.pool->parallel_for(labels.size(), kLabels,
                            [&](unsigned, std::size_t first, std::size_t last) {
                              const std::span found(&ids[first], last - first);
                              impl.contents.labels.find_all(labels.subspan(first, found.size()),
                                                            now.end_of_slots(), found.data());
                              for (NodeId& id : found) id = now.id_at(id);
                            });
    const std::size_t unknown = std::erase(ids, core::kNoNode);
    if (unknown > 0 && now.has_passed()) continue;
    ids = sorted_set(std::move(ids), now.snapshot().end);
    return Filter(std::make_shared<const MatchSet>(now.snapshot(), std::move(ids)), unknown);
  }
}

Filter Filter::of_range(const Index& index, std::size_t first, std::size_t last) {
  return IndexAccess::filter_of(index, [&](FilterSnapshot snapshot) {
    if (first > last || last > snapshot.living()) {
      throw Error(ErrorCode::invalid_parameter, "the range is [" + std::to_string(first) + ", " +
                                                    std::to_string(last) +
                                                    "); allowed are ranges within [0, " +
                                                    std::to_string(snapshot.living()) + ")");
    }
    const core::MatchWords words = core::words_of_range(snapshot.living(), first, last);
    return at_positions(std::move(snapshot), words);
  });
}

Filter Filter::of_predicate(const Index& index,
                            const std::function<bool(std::uint64_t label)>& predicate) {
  std::vector<std::uint64_t> labels;
  FilterSnapshot snapshot = IndexAccess::living_of(index, &labels, nullptr);
  // Outside of the gate, because the writer may wait for who is inside.
  std::vector<std::uint8_t> mask(labels.size());
  for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = predicate(labels[i]) ? 1 : 0;
  return IndexAccess::filter_at(std::move(snapshot), mask);
}

Filter::Filter(std::vector<Filter> parts, std::size_t unknown)
    : parts_(std::make_shared<const std::vector<Filter>>(std::move(parts))), unknown_(unknown) {}

const MatchSet& Filter::set() const {
  if (set_) return *set_;
  throw Error(ErrorCode::invalid_parameter,
              parts_ ? "the filter is of a ShardedIndex; make one of the index that is searched"
                     : "the filter was moved from; make a new one");
}

void Filter::expect_like(const Filter& other) const {
  const bool are_of_shards = parts_ && other.parts_;
  const bool are_of_indexes = !parts_ && !other.parts_;
  if (are_of_shards && parts_->size() == other.parts_->size()) return;
  if (are_of_indexes && set().snapshot().index == other.set().snapshot().index) return;
  throw Error(ErrorCode::invalid_parameter,
              "the filters are of different indexes; only those of one can be combined");
}

template <class Combine>
Filter Filter::of_each_part(const Combine& combine) const {
  std::vector<Filter> parts;
  for (std::size_t s = 0; s < parts_->size(); ++s) parts.push_back(combine((*parts_)[s], s));
  return Filter(std::move(parts), 0);
}

Filter Filter::operator&(const Filter& other) const {
  expect_like(other);
  if (!parts_) return Filter(core::both(set(), other.set()));
  return of_each_part([&](const Filter& part, std::size_t s) { return part & (*other.parts_)[s]; });
}

Filter Filter::operator|(const Filter& other) const {
  expect_like(other);
  if (!parts_) return Filter(core::either(set(), other.set()));
  return of_each_part([&](const Filter& part, std::size_t s) { return part | (*other.parts_)[s]; });
}

Filter Filter::operator~() const {
  if (!parts_) return Filter(core::complement(set()));
  return of_each_part([](const Filter& part, std::size_t) { return ~part; });
}

template <class Count>
std::size_t Filter::sum(const Count& count) const {
  if (!parts_) return count(set());
  std::size_t all = 0;
  for (const Filter& part : *parts_) all += count(part.set());
  return all;
}

std::size_t Filter::matches() const {
  return sum([](const MatchSet& of) { return of.ids().size(); });
}
std::size_t Filter::size() const {
  return sum([](const MatchSet& of) { return std::size_t{of.snapshot().living()}; });
}
std::size_t Filter::bytes() const {
  return sum([](const MatchSet& of) { return of.bytes(); });
}

// ------------------------------------------------------------------------------ parts of shards

const Filter& IndexAccess::part_of(const Filter& filter, std::size_t shard, std::size_t shards) {
  if (filter.parts_ && filter.parts_->size() == shards) return (*filter.parts_)[shard];
  if (!filter.parts_) (void)filter.set();  // throws if it was moved from
  throw Error(ErrorCode::invalid_parameter,
              "the filter is of another index; make one of the index that is searched");
}

Filter IndexAccess::filter_of_parts(std::vector<Filter> parts, std::size_t unknown) {
  return Filter(std::move(parts), unknown);
}

Filter IndexAccess::filter_at(FilterSnapshot snapshot, std::span<const std::uint8_t> mask) {
  return Filter(at_positions(std::move(snapshot), core::words_of_mask(mask)));
}

FilterSnapshot IndexAccess::living_of(const Index& index, std::vector<std::uint64_t>* labels,
                                      std::vector<std::uint64_t>* numbers) {
  const auto& impl = IndexAccess::impl(index);
  const auto reading = impl.readers.enter();
  if (labels != nullptr) impl.mapped.expect_sound({core::FilePart::labels});
  const Moment now(impl);
  for (std::vector<std::uint64_t>* const list : {labels, numbers}) {
    if (list != nullptr) list->reserve(now.snapshot().living());
  }
  Dead dead(now.snapshot());
  now.for_each_node([&](NodeId id, NodeId slot) {
    if (dead.has(id)) return;
    if (labels != nullptr) labels->push_back(impl.contents.labels.label(slot));
    if (numbers != nullptr) numbers->push_back(number_of(index, slot));
  });
  return now.snapshot();
}

std::shared_ptr<const core::GroupSet> IndexAccess::groups_at(FilterSnapshot snapshot,
                                                             std::span<const std::uint32_t> numbers,
                                                             std::uint32_t count) {
  std::vector<std::uint32_t> groups(snapshot.end, core::GroupSet::kNoGroup);
  for_each_living(snapshot,
                  [&](NodeId id, std::size_t position) { groups[id] = numbers[position]; });
  return std::make_shared<const core::GroupSet>(std::move(snapshot), std::move(groups), count);
}

Groups IndexAccess::groups_of_parts(std::shared_ptr<const core::GroupParts> parts) {
  return Groups(std::move(parts));
}

const core::GroupParts& IndexAccess::parts_of(const Groups& groups) {
  if (groups.parts_) return *groups.parts_;
  (void)groups.set();  // throws if they were moved from
  throw Error(ErrorCode::invalid_parameter,
              "the groups are of another index; make those of the index that is searched");
}

std::vector<const MatchSet*> IndexAccess::filters_of(const Index& index,
                                                     const SearchOptions& options,
                                                     std::size_t queries) {
  if (options.filter != nullptr && !options.filters.empty()) {
    throw Error(ErrorCode::invalid_parameter,
                "a filter for all queries and one for each are given; only one of the two may be");
  }
  if (!options.filters.empty() && options.filters.size() != queries) {
    throw Error(ErrorCode::invalid_parameter, std::to_string(options.filters.size()) +
                                                  " filters for " + std::to_string(queries) +
                                                  " queries; there must be one each");
  }
  std::vector<const MatchSet*> sets;
  const auto add = [&](const Filter* filter) {
    sets.push_back(filter == nullptr ? nullptr : &filter->set());
    if (filter == nullptr || sets.back()->snapshot().index == index.impl_->number) return;
    throw Error(ErrorCode::invalid_parameter,
                "the filter is of another index; make one of the index that is searched");
  };
  if (options.filter != nullptr) add(options.filter);
  for (const Filter* const filter : options.filters) add(filter);
  return sets;
}

// Groups are numbered by their first vectors.
Groups Groups::of_keys(const Index& index, std::span<const std::uint64_t> keys) {
  const auto reading = IndexAccess::impl(index).readers.enter();
  FilterSnapshot snapshot = IndexAccess::Moment(IndexAccess::impl(index)).snapshot();
  expect_size(snapshot, "the array of keys", keys.size());
  std::vector<std::uint32_t> groups(snapshot.end, core::GroupSet::kNoGroup);
  std::unordered_map<std::uint64_t, std::uint32_t> numbers;
  for_each_living(snapshot, [&](NodeId id, std::size_t position) {
    const auto next = static_cast<std::uint32_t>(numbers.size());
    groups[id] = numbers.try_emplace(keys[position], next).first->second;
  });
  const auto count = static_cast<std::uint32_t>(numbers.size());
  return Groups(
      std::make_shared<const core::GroupSet>(std::move(snapshot), std::move(groups), count));
}

Groups::Groups(std::shared_ptr<const core::GroupSet> set) noexcept : set_(std::move(set)) {}
Groups::Groups(std::shared_ptr<const core::GroupParts> parts) noexcept : parts_(std::move(parts)) {}

const core::GroupSet& Groups::set() const {
  if (set_) return *set_;
  throw Error(ErrorCode::invalid_parameter,
              parts_ ? "the groups are of a ShardedIndex; make those of the index that is searched"
                     : "the groups were moved from; make new ones");
}

std::size_t Groups::size() const { return parts_ ? parts_->size() : set().snapshot().living(); }
std::size_t Groups::count() const { return parts_ ? parts_->count : set().count(); }
std::size_t Groups::bytes() const { return parts_ ? parts_->bytes() : set().bytes(); }

core::GroupRule IndexAccess::groups_of(const Index& index, const SearchParams& params,
                                       const SearchOptions& options) {
  const core::GroupSet& set = options.groups->set();
  if (set.snapshot().index != index.impl_->number) {
    throw Error(ErrorCode::invalid_parameter,
                "the groups are of another index; make those of the index that is searched");
  }
  check_groups(params, options.group_hits);
  return {set, params.k, options.group_hits};
}

}  // namespace concord
