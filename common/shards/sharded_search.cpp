// Searching a ShardedIndex: the threads share the pairs of queries and shards, then merge.

#include "common/shards/sharded_search.hpp"

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "common/index/index_access.hpp"

namespace concord {
namespace {

/// Hits that are kept for merging at once; queries are searched in pieces of no more.
constexpr std::size_t kMostHits = std::size_t{1} << 20;

/// What one thread, or a device, does in one go: some queries in one shard.
struct Task {
  std::size_t shard;
  std::size_t first;
  std::size_t count;
  bool on_device;
};

// Devices take all queries at once, and first, since they take longest. A shard is asked even if
// there are no queries, because a mapped file is checked then.
template <class Plan>
std::vector<Task> tasks_of(const std::vector<Index>& shards, std::size_t n, const Plan& plan) {
  std::vector<Task> on_devices;
  std::vector<Task> tasks;
  for (std::size_t s = 0; s < shards.size(); ++s) {
    if (n == 0 || IndexAccess::has_device(shards[s], plan.is_worth_a_device)) {
      on_devices.push_back({s, 0, n, n > 0});
      continue;
    }
    for (std::size_t first = 0; first < n; first += plan.queries_per_task) {
      tasks.push_back({s, first, std::min(plan.queries_per_task, n - first), false});
    }
  }
  tasks.insert(tasks.begin(), on_devices.begin(), on_devices.end());
  return tasks;
}

}  // namespace

ShardedIndex::Impl::ShardFilters::ShardFilters(const Impl& impl, const SearchOptions& options,
                                               std::size_t queries)
    : sets_(impl.shards.size()) {
  if (options.filter == nullptr && options.filters.empty()) return;
  std::vector<const Filter*> own(options.filters.size());
  for (std::size_t s = 0; s < sets_.size(); ++s) {
    SearchOptions part = options;
    if (options.filter != nullptr) {
      part.filter = &IndexAccess::part_of(*options.filter, s, sets_.size());
    }
    for (std::size_t q = 0; q < own.size(); ++q) {
      const Filter* const filter = options.filters[q];
      own[q] = filter == nullptr ? nullptr : &IndexAccess::part_of(*filter, s, sets_.size());
    }
    part.filters = own;
    sets_[s] = IndexAccess::filters_of(impl.shards[s], part, queries);
  }
}

core::QueryFilters ShardedIndex::Impl::ShardFilters::of(std::size_t s, std::size_t first,
                                                        std::size_t count) const noexcept {
  const std::span<const core::MatchSet* const> sets = sets_[s];
  return {sets.size() <= 1 ? sets : sets.subspan(first, count)};
}

core::Hit ShardedIndex::Impl::hit_of(std::size_t s, core::Key key) const noexcept {
  const core::NodeId id = core::key_id(key);
  return {IndexAccess::contents(shards[s]).labels.label(id),
          placement.position(s, IndexAccess::number_of(shards[s], id)),
          static_cast<std::uint32_t>(key >> 32)};
}

/// What all shards found for the queries of a piece.
struct ShardedIndex::Impl::Found {
  Found(std::size_t shard_count, std::size_t query_count, std::uint32_t most)
      : queries(query_count),
        k(most),
        hits(shard_count * query_count * most),
        counts(shard_count * query_count) {}
  [[nodiscard]] core::Hit* hits_of(std::size_t shard, std::size_t query) noexcept {
    return hits.data() + (shard * queries + query) * k;
  }
  [[nodiscard]] std::uint32_t* counts_of(std::size_t shard, std::size_t query) noexcept {
    return counts.data() + shard * queries + query;
  }

  std::size_t queries;
  std::uint32_t k;
  std::vector<core::Hit> hits;        ///< [shards × queries × k]
  std::vector<std::uint32_t> counts;  ///< [shards × queries]
};

// A label may have left one shard and come to another while the search went on: it stands once.
void ShardedIndex::Impl::write_nearest(Found& found, std::size_t query, bool labels_may_repeat,
                                       std::vector<std::span<const core::Hit>>& lists,
                                       std::size_t row, const SearchOutput& out) const {
  lists.resize(shards.size());
  for (std::size_t s = 0; s < lists.size(); ++s) {
    lists[s] = {found.hits_of(s, query), *found.counts_of(s, query)};
  }
  std::unordered_set<std::uint64_t> taken;
  std::uint32_t place = 0;
  core::merge_nearest(lists, found.k, [&](const core::Hit& hit) {
    if (labels_may_repeat && !taken.insert(hit.label).second) return false;
    out.labels.row(row)[place] = hit.label;
    out.distances.row(row)[place++] = core::distance_of(hit);
    return true;
  });
  out.counts[row] = place;
  for (; place < found.k; ++place) {
    out.labels.row(row)[place] = kNoLabel;
    out.distances.row(row)[place] = std::numeric_limits<float>::infinity();
  }
}

// A shard counts from the first query of its task; the caller's number is the one of the call.
void ShardedIndex::Impl::search_piece(MatrixView<const float> rows, std::size_t first,
                                      std::size_t n, const Plan& plan,
                                      const SearchOutput& out) const {
  Found found(shards.size(), n, plan.k);
  const MatrixView<const float> piece = rows.rows_from(first, n);
  const std::vector<Task> tasks = tasks_of(shards, n, plan);
  const std::uint64_t before = changes;
  pool->parallel_for(tasks.size(), 1, [&](unsigned, std::size_t begin, std::size_t end) {
    std::vector<core::Key> keys;
    for (std::size_t t = begin; t < end; ++t) {
      const Task& task = tasks[t];
      const Index& shard = shards[task.shard];
      keys.resize(task.count * plan.k);
      std::uint32_t* const counts = found.counts_of(task.shard, task.first);
      const auto reading = IndexAccess::readers(shard).enter();
      plan.search_shard(task.shard, piece.rows_from(task.first, task.count),
                        plan.filters.of(task.shard, first + task.first, task.count),
                        {keys.data(), counts}, task.on_device ? IndexAccess::pool(shard) : alone);
      for (std::size_t q = 0; q < task.count; ++q) {
        core::Hit* const hits = found.hits_of(task.shard, task.first + q);
        for (std::uint32_t j = 0; j < counts[q]; ++j) {
          hits[j] = hit_of(task.shard, keys[q * plan.k + j]);
        }
      }
    }
  });
  const bool labels_may_repeat = before % 2 != 0 || changes != before;
  pool->parallel_for(n, 64, [&](unsigned, std::size_t begin, std::size_t end) {
    std::vector<std::span<const core::Hit>> lists;
    for (std::size_t q = begin; q < end; ++q) {
      write_nearest(found, q, labels_may_repeat, lists, first + q, out);
    }
  });
}

void ShardedIndex::Impl::search(MatrixView<const float> rows, const Plan& plan,
                                const SearchOutput& out) const {
  IndexAccess::contents(shards.front()).vectors.check_shape(rows, "queries");
  expect_room(rows.rows, plan.k, out);
  const std::size_t hits = shards.size() * std::max(plan.k, 1U);
  const std::size_t most = std::max<std::size_t>(1, kMostHits / hits);
  name_bad_query(rows, [&] {
    std::size_t first = 0;
    do {
      const std::size_t n = std::min(most, rows.rows - first);
      search_piece(rows, first, n, plan, out);
      first += n;
    } while (first < rows.rows);
  });
  queries += rows.rows;
}

void ShardedIndex::Impl::answer(MatrixView<const float> rows, const SearchParams& how,
                                Exactly exactly, const SearchOptions& options,
                                const SearchOutput& out) const {
  deliver_after([&] {
    const auto reading = readers.enter();
    const ShardFilters filters(*this, options, rows.rows);
    const auto by_graph = [&](std::size_t s, MatrixView<const float> piece,
                              const core::QueryFilters& sets, const IndexAccess::KeyOutput& keys,
                              core::ThreadPool& threads) {
      IndexAccess::search_keys(shards[s], piece, how, sets, keys, threads);
    };
    const auto by_scan = [&](std::size_t s, MatrixView<const float> piece,
                             const core::QueryFilters& sets, const IndexAccess::KeyOutput& keys,
                             core::ThreadPool& threads) {
      IndexAccess::exact_keys(shards[s], piece, how.k, sets, keys, threads);
    };
    if (exactly == Exactly::no) {
      search(rows, {how.k, 8, is_worth_a_device(rows.rows), filters, by_graph}, out);
      return;
    }
    std::uint64_t size = 0;
    for (const Index& shard : shards) size += shard.size();
    search(rows, {how.k, 16, is_worth_a_device(rows.rows, size / shards.size()), filters, by_scan},
           out);
  });
}

SearchResult ShardedIndex::search(MatrixView<const float> queries,
                                  const SearchParams& params) const {
  return search(queries, params, SearchOptions());
}

void ShardedIndex::search(MatrixView<const float> queries, const SearchParams& params,
                          MatrixView<std::uint64_t> labels, MatrixView<float> distances,
                          std::span<std::uint32_t> counts) const {
  search(queries, params, SearchOptions(), labels, distances, counts);
}

SearchResult ShardedIndex::search(MatrixView<const float> queries, const SearchParams& params,
                                  const SearchOptions& options) const {
  check_search(params, impl_->params.metric);
  const std::uint32_t width = impl_->width_of(params, options);
  SearchResult result = result_of(queries.rows, width);
  const SearchOutput out = output_of(result);
  search(queries, params, options, out.labels, out.distances, out.counts);
  return result;
}

void ShardedIndex::search(MatrixView<const float> queries, const SearchParams& params,
                          const SearchOptions& options, MatrixView<std::uint64_t> labels,
                          MatrixView<float> distances, std::span<std::uint32_t> counts) const {
  check_search(params, impl_->params.metric);
  const SearchOutput out{labels, distances, counts};
  if (options.groups != nullptr) {
    impl_->answer_groups(queries, params, Impl::Exactly::no, options, out);
  } else {
    impl_->answer(queries, params, Impl::Exactly::no, options, out);
  }
}

SearchResult ShardedIndex::exact_search(MatrixView<const float> queries, std::uint32_t k) const {
  return exact_search(queries, k, SearchOptions());
}

SearchResult ShardedIndex::exact_search(MatrixView<const float> queries, std::uint32_t k,
                                        const SearchOptions& options) const {
  check_exact(k);
  const SearchParams params{.k = k};
  SearchResult result = result_of(queries.rows, impl_->width_of(params, options));
  if (options.groups != nullptr) {
    impl_->answer_groups(queries, params, Impl::Exactly::yes, options, output_of(result));
  } else {
    impl_->answer(queries, params, Impl::Exactly::yes, options, output_of(result));
  }
  return result;
}

}  // namespace concord
