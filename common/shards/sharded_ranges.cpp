// Searches of a ShardedIndex whose results are not k nearest vectors: range searches and groups.
//
// The hits of a range search are those of all shards. The k nearest groups are among the k nearest
// of the shard that has a group's nearest vector; so each shard gives its k nearest groups, by one
// vector each. Where more vectors of a group are asked for, the members of the groups that were
// found are scanned in all shards.

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <unordered_set>

#include "common/index/index_access.hpp"
#include "common/index/requests.hpp"
#include "common/search/range.hpp"
#include "common/shards/sharded_search.hpp"

namespace concord {
namespace {

/// Queries of one task.
constexpr std::size_t kQueries = 8;
constexpr std::size_t kMostHits = std::size_t{1} << 20;

/// A vector that was found, and its group's number among all.
struct GroupHit {
  core::Hit hit;
  std::uint32_t group;
};
using GroupHits = std::vector<GroupHit>;

/// Takes hits by (distance, position): the first k groups, at most so many hits of each, and no
/// label twice.
class Picker {
 public:
  Picker(std::uint32_t k, std::uint32_t hits) : k_(k), hits_(hits) {}

  [[nodiscard]] bool takes(const GroupHit& one) {
    const auto found = taken_.find(one.group);
    if (found == taken_.end() ? taken_.size() >= k_ : found->second >= hits_) return false;
    if (!labels_.insert(one.hit.label).second) return false;
    ++taken_[one.group];
    return true;
  }
  [[nodiscard]] bool has(std::uint32_t group) const { return taken_.contains(group); }

 private:
  std::uint32_t k_;
  std::uint32_t hits_;
  std::unordered_map<std::uint32_t, std::uint32_t> taken_;
  std::unordered_set<std::uint64_t> labels_;
};

void sort(GroupHits& hits) {
  std::ranges::sort(hits,
                    [](const GroupHit& a, const GroupHit& b) { return a.hit.comes_before(b.hit); });
}

void write_row(const GroupHits& hits, std::uint32_t k, std::uint32_t most, std::size_t row,
               const SearchOutput& out) {
  Picker picker(k, most);
  std::uint32_t place = 0;
  for (const GroupHit& one : hits) {
    if (!picker.takes(one)) continue;
    out.labels.row(row)[place] = one.hit.label;
    out.distances.row(row)[place++] = core::distance_of(one.hit);
  }
  out.counts[row] = place;
  for (; place < k * most; ++place) {
    out.labels.row(row)[place] = kNoLabel;
    out.distances.row(row)[place] = std::numeric_limits<float>::infinity();
  }
}

}  // namespace

// --------------------------------------------------------------------------------------- ranges

RangeResult ShardedIndex::range_search(MatrixView<const float> queries, float radius,
                                       const RangeParams& params,
                                       const SearchOptions& options) const {
  const Impl& impl = *impl_;
  check_range(radius, params, impl.params.metric);
  if (options.groups != nullptr) {
    throw Error(ErrorCode::invalid_parameter, "a range search takes no groups; a search does");
  }
  IndexAccess::contents(impl.shards.front()).vectors.check_shape(queries, "queries");
  RangeResult result;
  result.lims.push_back(0);
  impl.deliver_after([&] {
    const auto reading = impl.readers.enter();
    const Impl::ShardFilters filters(impl, options, queries.rows);
    const std::size_t most = params.limit ? *params.limit : core::RangeRule::kNoLimit;
    const core::RangeRule rule(radius, params.ef, params.slack, most);
    const std::uint64_t before = impl.changes;
    const std::size_t chunks = std::max<std::size_t>(1, (queries.rows + kQueries - 1) / kQueries);
    std::vector<std::vector<core::Hit>> hits(impl.shards.size() * queries.rows);
    const auto search_one = [&](std::size_t s, std::size_t first, std::size_t n) {
      const auto shard_reading = IndexAccess::readers(impl.shards[s]).enter();
      std::vector<std::vector<core::Key>> found(n);
      IndexAccess::range_keys(impl.shards[s], queries.rows_from(first, n), rule,
                              filters.of(s, first, n), found, impl.alone);
      for (std::size_t q = 0; q < n; ++q) {
        auto& own = hits[s * queries.rows + first + q];
        own.reserve(found[q].size());
        for (const core::Key key : found[q]) own.push_back(impl.hit_of(s, key));
      }
    };
    impl.name_bad_query(queries, [&] {
      const std::size_t tasks = impl.shards.size() * chunks;
      impl.pool->parallel_for(tasks, 1, [&](unsigned, std::size_t begin, std::size_t end) {
        for (std::size_t t = begin; t < end; ++t) {
          const std::size_t first = t % chunks * kQueries;
          search_one(t / chunks, first, std::min(kQueries, queries.rows - first));
        }
      });
    });
    const bool labels_may_repeat = before % 2 != 0 || impl.changes != before;
    for (std::size_t q = 0; q < queries.rows; ++q) {
      std::vector<std::span<const core::Hit>> lists;
      for (std::size_t s = 0; s < impl.shards.size(); ++s) {
        lists.emplace_back(hits[s * queries.rows + q]);
      }
      std::unordered_set<std::uint64_t> taken;
      core::merge_nearest(lists, most, [&](const core::Hit& hit) {
        if (labels_may_repeat && !taken.insert(hit.label).second) return false;
        result.labels.push_back(hit.label);
        result.distances.push_back(core::distance_of(hit));
        return true;
      });
      result.lims.push_back(result.labels.size());
    }
    impl.queries += queries.rows;
  });
  return result;
}

// --------------------------------------------------------------------------------------- groups

std::uint32_t ShardedIndex::Impl::width_of(const SearchParams& how,
                                           const SearchOptions& options) const {
  if (options.groups == nullptr) return how.k;
  check_groups(how, options.group_hits);
  return how.k * options.group_hits;
}

/// A search with groups, for some queries at a time.
class ShardedIndex::Impl::GroupSearch {
 public:
  GroupSearch(const Impl& impl, MatrixView<const float> rows, const SearchParams& how,
              Exactly exactly, const SearchOptions& options)
      : impl_(impl),
        rows_(rows),
        how_(how),
        is_exact_(exactly == Exactly::yes),
        most_(options.group_hits),
        groups_(IndexAccess::parts_of(*options.groups)),
        filters_(impl, options, rows.rows) {
    bool are_own = groups_.parts.size() == impl.shards.size();
    for (std::size_t s = 0; are_own && s < groups_.parts.size(); ++s) {
      const core::FilterSnapshot& of = groups_.parts[s].set->snapshot();
      are_own = of.index == IndexAccess::number(impl.shards[s]);
    }
    if (are_own) return;
    throw Error(ErrorCode::invalid_parameter,
                "the groups are of another index; make those of the index that is searched");
  }

  /// Queries [first, first + n) to their rows of the results.
  void run(std::size_t first, std::size_t n, const SearchOutput& out) const {
    std::vector<GroupHits> found =
        in_all_shards(first, n, [&](std::size_t s, std::size_t begin, std::size_t count) {
          return nearest_groups(s, begin, count);
        });
    if (most_ > 1) {
      std::vector<Picker> chosen(n, Picker(how_.k, 1));
      for (std::size_t q = 0; q < n; ++q) {
        for (const GroupHit& one : found[q]) (void)chosen[q].takes(one);
      }
      found = in_all_shards(first, n, [&](std::size_t s, std::size_t begin, std::size_t count) {
        return members(s, begin, {chosen.data() + (begin - first), count});
      });
    }
    for (std::size_t q = 0; q < n; ++q) write_row(found[q], how_.k, most_, first + q, out);
  }

 private:
  /// What all shards find for each query, sorted.
  template <class Search>
  std::vector<GroupHits> in_all_shards(std::size_t first, std::size_t n,
                                       const Search& search) const {
    const std::size_t chunks = std::max<std::size_t>(1, (n + kQueries - 1) / kQueries);
    const std::size_t tasks = impl_.shards.size() * chunks;
    std::vector<std::vector<GroupHits>> by_task(tasks);
    impl_.pool->parallel_for(tasks, 1, [&](unsigned, std::size_t begin, std::size_t end) {
      for (std::size_t t = begin; t < end; ++t) {
        const std::size_t from = t % chunks * kQueries;
        by_task[t] = search(t / chunks, first + from, std::min(kQueries, n - from));
      }
    });
    std::vector<GroupHits> found(n);
    for (std::size_t t = 0; t < tasks; ++t) {
      for (std::size_t q = 0; q < by_task[t].size(); ++q) {
        GroupHits& all = found[t % chunks * kQueries + q];
        all.insert(all.end(), by_task[t][q].begin(), by_task[t][q].end());
      }
    }
    for (GroupHits& hits : found) sort(hits);
    return found;
  }

  std::vector<GroupHits> nearest_groups(std::size_t s, std::size_t first, std::size_t n) const {
    return ask(s, first, n, 1, is_exact_, filters_.of(s, first, n));
  }

  // Their members in the shard that the filter lets match, scanned.
  std::vector<GroupHits> members(std::size_t s, std::size_t first,
                                 std::span<const Picker> chosen) const {
    const core::GroupParts::Part& part = groups_.parts[s];
    const core::QueryFilters filters = filters_.of(s, first, chosen.size());
    std::vector<std::shared_ptr<const core::MatchSet>> sets;
    for (std::size_t q = 0; q < chosen.size(); ++q) {
      std::vector<core::NodeId> ids;
      for (std::uint32_t g = 0; g < part.set->count(); ++g) {
        if (!chosen[q].has(part.numbers[g])) continue;
        ids.insert(ids.end(), part.members.begin() + part.firsts[g],
                   part.members.begin() + part.firsts[g + 1]);
      }
      std::ranges::sort(ids);
      auto set = std::make_shared<const core::MatchSet>(part.set->snapshot(), std::move(ids));
      const core::MatchSet* const filter = filters.sets.empty() ? nullptr : filters[q];
      sets.push_back(filter == nullptr ? std::move(set) : core::both(*set, *filter));
    }
    std::vector<const core::MatchSet*> pointers;
    pointers.reserve(sets.size());
    for (const auto& set : sets) pointers.push_back(set.get());
    return ask(s, first, chosen.size(), most_, true, {pointers});
  }

  std::vector<GroupHits> ask(std::size_t s, std::size_t first, std::size_t n, std::uint32_t most,
                             bool is_exact, const core::QueryFilters& filters) const {
    const Index& shard = impl_.shards[s];
    const core::GroupParts::Part& part = groups_.parts[s];
    const std::size_t width = std::size_t{how_.k} * most;
    std::vector<core::Key> keys(n * width);
    std::vector<std::uint32_t> groups(n * width);
    std::vector<std::uint32_t> counts(n);
    const auto reading = IndexAccess::readers(shard).enter();
    IndexAccess::grouped_keys(shard, rows_.rows_from(first, n), how_, {*part.set, how_.k, most},
                              is_exact, filters, {keys.data(), counts.data()}, groups.data(),
                              impl_.alone);
    std::vector<GroupHits> found(n);
    for (std::size_t q = 0; q < n; ++q) {
      for (std::size_t i = q * width; i < q * width + counts[q]; ++i) {
        found[q].push_back({impl_.hit_of(s, keys[i]), part.numbers[groups[i]]});
      }
    }
    return found;
  }

  const Impl& impl_;
  MatrixView<const float> rows_;
  SearchParams how_;
  bool is_exact_;
  std::uint32_t most_;  ///< hits of a group
  const core::GroupParts& groups_;
  ShardFilters filters_;
};

void ShardedIndex::Impl::answer_groups(MatrixView<const float> rows, const SearchParams& how,
                                       Exactly exactly, const SearchOptions& options,
                                       const SearchOutput& out) const {
  const std::uint32_t width = width_of(how, options);
  IndexAccess::contents(shards.front()).vectors.check_shape(rows, "queries");
  expect_room(rows.rows, width, out);
  deliver_after([&] {
    const auto reading = readers.enter();
    const GroupSearch search(*this, rows, how, exactly, options);
    const std::size_t hits = shards.size() * std::max(width, 1U);
    const std::size_t most = std::max<std::size_t>(1, kMostHits / hits);
    name_bad_query(rows, [&] {
      std::size_t first = 0;
      do {
        const std::size_t n = std::min(most, rows.rows - first);
        search.run(first, n, out);
        first += n;
      } while (first < rows.rows);
    });
    queries += rows.rows;
  });
}

}  // namespace concord
