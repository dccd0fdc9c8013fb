// concord::Filter: how filters are made from what an index holds at one moment.

#include <algorithm>
#include <atomic>
#include <concord/filter.hpp>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "common/index/index_impl.hpp"
#include "common/search/match_set.hpp"

namespace concord {
namespace {

using core::FilterSnapshot;
using core::MatchSet;
using core::NodeId;
using Ids = std::vector<NodeId>;

std::span<const NodeId> dead_of(const FilterSnapshot& snapshot) {
  if (!snapshot.dead) return {};
  return *snapshot.dead;
}

// Calls take(id, position) for the ids of the snapshot in order; positions are those of
// Index::labels().
template <class Take>
void for_each_living(const FilterSnapshot& snapshot, const Take& take) {
  const std::span<const NodeId> dead = dead_of(snapshot);
  auto next = dead.begin();
  std::size_t position = 0;
  for (NodeId id = 0; id < snapshot.end; ++id) {
    if (next != dead.end() && *next == id) {
      ++next;
    } else {
      take(id, position++);
    }
  }
}

// The ids at whose position is_match holds, as a set.
template <class IsMatch>
std::shared_ptr<const MatchSet> at_positions(FilterSnapshot snapshot, const IsMatch& is_match) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < snapshot.living(); ++i) count += is_match(i) ? 1 : 0;
  Ids ids(count + 1);  // one more, so that what does not match is written there
  std::size_t found = 0;
  for_each_living(snapshot, [&](NodeId id, std::size_t position) {
    ids[std::min(found, count)] = id;  // a mask that is changed meanwhile may match more often
    found += is_match(position) ? 1 : 0;
  });
  ids.resize(std::min(found, count));
  return std::make_shared<const MatchSet>(std::move(snapshot), std::move(ids));
}

// The set of ids that may stand there several times.
Ids sorted_set(Ids ids, NodeId end) {
  if (ids.size() < end / 32) {
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
  }
  std::vector<bool> is_in(end);
  for (const NodeId id : ids) is_in[id] = true;
  ids.clear();
  for (NodeId id = 0; id < end; ++id) {
    if (is_in[id]) ids.push_back(id);
  }
  return ids;
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

// A list that another filter has made serves as well. Where a thread is at it, this one makes its
// own, so that none waits.
FilterSnapshot IndexAccess::snapshot(const Index& index) {
  const Index::Impl& impl = *index.impl_;
  const core::Graph& graph = impl.contents.graph;
  FilterSnapshot snapshot{impl.number,           0, 0, impl.contents.vectors.stride(), nullptr,
                          impl.contents.ids_kept};
  std::uint64_t unlinkings;
  do {  // a seal may unlink what is replaced by a node that the view lacks
    unlinkings = graph.unlinkings();
    const core::LiveView live = graph.live();
    snapshot.end = live.size;
    snapshot.deaths = live.size - live.living;
    snapshot.dead =
        snapshot.deaths == 0 ? nullptr : impl.dead_lists.find(graph.slides(), snapshot.deaths, [&] {
          Ids dead;
          for (NodeId id = 0; id < live.size; ++id) {
            if (graph.tombstones().is_dead(id, live.size)) dead.push_back(id);
          }
          return dead;
        });
  } while (graph.unlinkings() != unlinkings);
  return snapshot;
}

// A snapshot that use() makes keeps ids what they are.
template <class Use>
auto IndexAccess::while_ids_stay(const Index& index, const Use& use) {
  const Index::Impl& impl = *index.impl_;
  for (;;) {
    {
      const auto reading = impl.readers.enter();
      if (!impl.contents.graph.is_sliding()) return use();
    }
    const core::WriterLock::Pause pause(impl.writer_lock);
  }
}

template <class Take>
Filter IndexAccess::filter_of(const Index& index, const Take& take) {
  return while_ids_stay(index, [&] { return Filter(take(snapshot(index))); });
}

Filter::Filter(std::shared_ptr<const MatchSet> set, std::size_t unknown) noexcept
    : set_(std::move(set)), unknown_(unknown) {}

Filter Filter::of_mask(const Index& index, std::span<const std::uint8_t> mask) {
  return IndexAccess::filter_of(index, [&](FilterSnapshot snapshot) {
    expect_size(snapshot, "the mask", mask.size());
    return at_positions(std::move(snapshot), [&](std::size_t i) { return mask[i] != 0; });
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
    return at_positions(std::move(snapshot), [&](std::size_t i) {
      const std::size_t bit = offset + i;
      return (bits[bit / 8] >> (bit % 8) & 1) != 0;
    });
  });
}

Filter Filter::of_labels(const Index& index, std::span<const std::uint64_t> labels) {
  const auto& impl = IndexAccess::impl(index);
  return IndexAccess::while_ids_stay(index, [&] {
    impl.mapped.expect_sound({core::FilePart::labels});
    FilterSnapshot snapshot = IndexAccess::snapshot(index);
    Ids ids(labels.size());
    constexpr std::size_t kLabels = 8192;  // fewer are found before another thread has begun
    impl.pool->for_each(labels.size(), kLabels, [&](std::size_t i) {
      ids[i] = impl.contents.labels.find(labels[i], snapshot.end);
    });
    const std::size_t unknown = std::erase(ids, core::kNoNode);
    ids = sorted_set(std::move(ids), snapshot.end);
    return Filter(std::make_shared<const MatchSet>(std::move(snapshot), std::move(ids)), unknown);
  });
}

Filter Filter::of_range(const Index& index, std::size_t first, std::size_t last) {
  return IndexAccess::filter_of(index, [&](FilterSnapshot snapshot) {
    if (first > last || last > snapshot.living()) {
      throw Error(ErrorCode::invalid_parameter, "the range is [" + std::to_string(first) + ", " +
                                                    std::to_string(last) +
                                                    "); allowed are ranges within [0, " +
                                                    std::to_string(snapshot.living()) + ")");
    }
    return at_positions(std::move(snapshot), [&](std::size_t i) { return first <= i && i < last; });
  });
}

Filter Filter::of_predicate(const Index& index,
                            const std::function<bool(std::uint64_t label)>& predicate) {
  FilterSnapshot snapshot;
  std::vector<std::uint64_t> labels;
  const auto& impl = IndexAccess::impl(index);
  IndexAccess::while_ids_stay(index, [&] {
    impl.mapped.expect_sound({core::FilePart::labels});
    snapshot = IndexAccess::snapshot(index);
    labels.reserve(snapshot.living());
    for_each_living(snapshot, [&](NodeId id, std::size_t /*position*/) {
      labels.push_back(impl.contents.labels.label(id));
    });
  });
  // Outside of the gate, because the writer may wait for who is inside.
  std::vector<std::uint8_t> mask(labels.size());
  for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = predicate(labels[i]) ? 1 : 0;
  return Filter(at_positions(std::move(snapshot), [&](std::size_t i) { return mask[i] != 0; }));
}

const MatchSet& Filter::set() const {
  if (set_) return *set_;
  throw Error(ErrorCode::invalid_parameter, "the filter was moved from; make a new one");
}

namespace {

void expect_one_index(const MatchSet& a, const MatchSet& b) {
  if (a.snapshot().index == b.snapshot().index) return;
  throw Error(ErrorCode::invalid_parameter,
              "the filters are of different indexes; only those of one can be combined");
}

}  // namespace

Filter Filter::operator&(const Filter& other) const {
  expect_one_index(set(), other.set());
  return Filter(core::both(set(), other.set()));
}

Filter Filter::operator|(const Filter& other) const {
  expect_one_index(set(), other.set());
  return Filter(core::either(set(), other.set()));
}

Filter Filter::operator~() const { return Filter(core::complement(set())); }

std::size_t Filter::matches() const { return set().ids().size(); }
std::size_t Filter::size() const { return set().snapshot().living(); }
std::size_t Filter::bytes() const { return set().bytes(); }

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

}  // namespace concord
