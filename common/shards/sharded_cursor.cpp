// Cursors and explanations of a ShardedIndex.
//
// A cursor has one of each shard. Behind K vectors each of them has given K, so that a page of k
// needs no more than the K + k that each shard then shows: those of a search with as many.

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "common/index/cursor_impl.hpp"
#include "common/index/index_access.hpp"
#include "common/index/requests.hpp"
#include "common/shards/sharded_search.hpp"

namespace concord {

/// The pages of all shards, merged.
class ShardedIndex::Impl::Pages final : public IndexAccess::CursorImpl {
 public:
  Pages(const ShardedIndex::Impl& index, std::vector<Cursor> cursors)
      : index_(index), lists_(cursors.size()) {
    for (std::size_t s = 0; s < lists_.size(); ++s) {
      lists_[s].cursor.emplace(std::move(cursors[s]));
    }
  }

  // What has changed by an exception is what was taken from shards, and that is kept.
  SearchResult next(std::uint32_t k) override {
    check_exact(k);
    SearchResult page = result_of(1, k);
    std::unordered_set<std::uint64_t> shown;
    std::vector<std::size_t> places(lists_.size());
    std::uint32_t count = 0;
    for (std::size_t wanted = given_ + k;; wanted += k - count) {
      for (std::size_t s = 0; s < lists_.size(); ++s) take_from(s, wanted);
      shown.clear();
      places.assign(lists_.size(), 0);
      count = fill(page, k, places, shown);
      if (count == k || std::ranges::all_of(lists_, &List::is_over)) break;
    }
    given_labels_.reserve(given_labels_.size() + count);
    given_labels_.merge(shown);  // moves nodes: nothing fails from here on
    for (std::size_t s = 0; s < lists_.size(); ++s) {
      auto& hits = lists_[s].hits;
      hits.erase(hits.begin(), hits.begin() + static_cast<std::ptrdiff_t>(places[s]));
    }
    given_ += count;
    page.counts[0] = count;
    return page;
  }
  [[nodiscard]] std::size_t given() const noexcept override { return given_; }

 private:
  /// What a shard has given and no page has shown, sorted.
  struct List {
    std::optional<Cursor> cursor;
    std::vector<core::Hit> hits;
    std::size_t taken = 0;  ///< from the shard
    bool is_over = false;   ///< the shard has no more
  };

  /// Until the shard has given `wanted`.
  void take_from(std::size_t s, std::size_t wanted) {
    List& list = lists_[s];
    while (!list.is_over && list.taken < wanted) {
      constexpr std::size_t kMostOfPage = 65536;
      const auto k = static_cast<std::uint32_t>(std::min(wanted - list.taken, kMostOfPage));
      list.hits.reserve(list.hits.size() + k);
      const auto reading = IndexAccess::readers(index_.shards[s]).enter();
      IndexAccess::next_keys(*list.cursor, k, keys_);
      for (const core::Key key : keys_) list.hits.push_back(index_.hit_of(s, key));
      list.taken += keys_.size();
      list.is_over = keys_.size() < k;
    }
    std::ranges::sort(list.hits,
                      [](const core::Hit& a, const core::Hit& b) { return a.comes_before(b); });
  }

  /// Fills the page from the lists, less what has left the index meanwhile, and pads it. Counts in
  /// `places` how far it went in each list.
  std::uint32_t fill(SearchResult& page, std::uint32_t k, std::vector<std::size_t>& places,
                     std::unordered_set<std::uint64_t>& shown) const {
    std::uint32_t count = 0;
    while (count < k) {
      std::size_t nearest = lists_.size();
      for (std::size_t s = 0; s < lists_.size(); ++s) {
        if (places[s] == lists_[s].hits.size()) continue;
        if (nearest == lists_.size() || front(s, places).comes_before(front(nearest, places))) {
          nearest = s;
        }
      }
      if (nearest == lists_.size()) break;
      const core::Hit& hit = front(nearest, places);
      ++places[nearest];
      const std::uint64_t number = index_.placement.number(hit.position);
      if (!IndexAccess::lives(index_.shards[nearest], hit.label, number)) continue;
      if (given_labels_.contains(hit.label) || !shown.insert(hit.label).second) continue;
      page.labels[count] = hit.label;
      page.distances[count++] = core::distance_of(hit);
    }
    std::fill(page.labels.begin() + count, page.labels.end(), kNoLabel);
    std::fill(page.distances.begin() + count, page.distances.end(),
              std::numeric_limits<float>::infinity());
    return count;
  }
  [[nodiscard]] const core::Hit& front(std::size_t s,
                                       const std::vector<std::size_t>& places) const {
    return lists_[s].hits[places[s]];
  }

  const ShardedIndex::Impl& index_;
  std::vector<List> lists_;  ///< [shards]
  std::vector<core::Key> keys_;
  std::unordered_set<std::uint64_t> given_labels_;  ///< one may come to another shard between pages
  std::size_t given_ = 0;
};

Cursor ShardedIndex::cursor(std::span<const float> query, const SearchParams& params,
                            const SearchOptions& options) const {
  const Impl& impl = *impl_;
  if (options.filters.size() > 1 || (options.filter != nullptr && !options.filters.empty())) {
    (void)Impl::ShardFilters(impl, options, 1);  // throws
  }
  const Filter* const filter = options.filter != nullptr ? options.filter
                               : options.filters.empty() ? nullptr
                                                         : options.filters[0];
  const auto reading = impl.readers.enter();
  std::vector<Cursor> cursors;
  for (std::size_t s = 0; s < impl.shards.size(); ++s) {
    SearchOptions part{.groups = options.groups};
    if (filter != nullptr) part.filter = &IndexAccess::part_of(*filter, s, impl.shards.size());
    cursors.push_back(impl.shards[s].cursor(query, params, part));
  }
  ++impl.queries;
  return IndexAccess::cursor_of(std::make_unique<Impl::Pages>(impl, std::move(cursors)));
}

Explanation ShardedIndex::explain(MatrixView<const float> query, std::uint64_t label,
                                  std::uint32_t k, const Filter* filter) const {
  const Impl& impl = *impl_;
  const auto reading = impl.readers.enter();
  const auto part = [&](std::size_t s) {
    return filter == nullptr ? nullptr : &IndexAccess::part_of(*filter, s, impl.shards.size());
  };
  const auto explain_in = [&](std::size_t owner) {
    std::uint64_t number = 0;
    Explanation found =
        IndexAccess::explain(impl.shards[owner], query, label, k, part(owner), &number);
    const std::uint64_t position = impl.placement.position(owner, number);
    for (std::size_t s = 0; s < impl.shards.size(); ++s) {
      if (s == owner) continue;
      const std::uint64_t first = impl.placement.count_before(s, position);
      found.rank +=
          IndexAccess::count_before(impl.shards[s], query, found.distance, first, part(s));
    }
    const bool is_hidden =
        found.reason == Explanation::Reason::removed || found.reason == Explanation::Reason::filter;
    if (is_hidden || found.rank <= k) return found;
    return Explanation{.label = label,
                       .k = k,
                       .reason = Explanation::Reason::farther,
                       .distance = found.distance,
                       .rank = found.rank,
                       .level = found.level};
  };
  for (std::size_t s = 0; s < impl.shards.size(); ++s) {
    if (impl.shards[s].contains(label)) return explain_in(s);
  }
  for (std::size_t s = 0; s + 1 < impl.shards.size(); ++s) {  // one may walk through it yet
    try {
      return explain_in(s);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unknown_label) throw;
    }
  }
  return explain_in(impl.shards.size() - 1);
}

}  // namespace concord
