// Searching a ShardedIndex: the threads share the pairs of queries and shards, then merge.

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>

#include "common/index/index_access.hpp"
#include "common/index/requests.hpp"
#include "common/search/merge.hpp"
#include "common/shards/sharded_impl.hpp"

namespace concord {
namespace {

/// Keys that are kept for merging at once; queries are searched in pieces of no more.
constexpr std::size_t kMostKeys = std::size_t{1} << 21;

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

/// What all shards found for the queries of a piece.
struct ShardedIndex::Impl::Found {
  Found(std::size_t shard_count, std::size_t query_count, std::uint32_t most)
      : queries(query_count),
        k(most),
        keys(shard_count * query_count * most),
        counts(shard_count * query_count) {}
  [[nodiscard]] core::Key* keys_of(std::size_t shard, std::size_t query) noexcept {
    return keys.data() + (shard * queries + query) * k;
  }
  [[nodiscard]] std::uint32_t* counts_of(std::size_t shard, std::size_t query) noexcept {
    return counts.data() + shard * queries + query;
  }

  std::size_t queries;
  std::uint32_t k;
  std::vector<core::Key> keys;        ///< [shards × queries × k]
  std::vector<std::uint32_t> counts;  ///< [shards × queries]
};

/// How all shards are searched.
struct ShardedIndex::Impl::Plan {
  std::uint32_t k;
  std::size_t queries_per_task;  ///< on the CPU
  bool is_worth_a_device;        ///< a piece in one shard
  std::function<void(const Index&, MatrixView<const float>, core::Key*, std::uint32_t*,
                     core::ThreadPool&)>
      search_shard;
};

void ShardedIndex::Impl::write_nearest(Found& found, std::size_t query,
                                       std::vector<core::MergeHead>& heads, std::size_t row,
                                       const SearchOutput& out) const {
  heads.resize(shards.size());
  for (std::size_t s = 0; s < heads.size(); ++s) {
    heads[s].rest = {found.keys_of(s, query), *found.counts_of(s, query)};
  }
  std::uint32_t place = 0;
  const auto position = [&](std::size_t s, core::NodeId id) { return placement.position(s, id); };
  core::merge_nearest(heads, found.k, position, [&](std::size_t s, core::Key key) {
    out.labels.row(row)[place] = IndexAccess::contents(shards[s]).labels.label(core::key_id(key));
    out.distances.row(row)[place++] = core::key_distance(key);
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
  pool->parallel_for(tasks.size(), 1, [&](unsigned, std::size_t begin, std::size_t end) {
    for (std::size_t t = begin; t < end; ++t) {
      const Task& task = tasks[t];
      const Index& shard = shards[task.shard];
      plan.search_shard(shard, piece.rows_from(task.first, task.count),
                        found.keys_of(task.shard, task.first),
                        found.counts_of(task.shard, task.first),
                        task.on_device ? IndexAccess::pool(shard) : alone);
    }
  });
  pool->parallel_for(n, 64, [&](unsigned, std::size_t begin, std::size_t end) {
    // Labels may move while an addition makes room for others.
    std::vector<std::unique_ptr<const core::ReaderGate::Reader>> reading;
    for (const Index& shard : shards) {
      reading.emplace_back(new core::ReaderGate::Reader(IndexAccess::readers(shard).enter()));
    }
    std::vector<core::MergeHead> heads;
    for (std::size_t q = begin; q < end; ++q) write_nearest(found, q, heads, first + q, out);
  });
}

void ShardedIndex::Impl::search(MatrixView<const float> rows, const Plan& plan,
                                const SearchOutput& out) const {
  const core::VectorStore& store = IndexAccess::contents(shards.front()).vectors;
  store.check_shape(rows, "queries");
  expect_room(rows.rows, plan.k, out);
  const std::size_t keys = shards.size() * std::max(plan.k, 1U);
  const std::size_t most = std::max<std::size_t>(1, kMostKeys / keys);
  try {
    std::size_t first = 0;
    do {
      const std::size_t n = std::min(most, rows.rows - first);
      search_piece(rows, first, n, plan, out);
      first += n;
    } while (first < rows.rows);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::invalid_vector) throw;
    std::vector<float> unused(store.stride());
    for (std::size_t q = 0; q < rows.rows; ++q) {
      store.prepare(rows.row(q), unused.data(), "query", q);
    }
    throw;
  }
  queries += rows.rows;
}

SearchResult ShardedIndex::search(MatrixView<const float> queries,
                                  const SearchParams& params) const {
  check_search(params, impl_->params.metric);
  SearchResult result = result_of(queries.rows, params.k);
  const SearchOutput out = output_of(result);
  search(queries, params, out.labels, out.distances, out.counts);
  return result;
}

void ShardedIndex::search(MatrixView<const float> queries, const SearchParams& params,
                          MatrixView<std::uint64_t> labels, MatrixView<float> distances,
                          std::span<std::uint32_t> counts) const {
  check_search(params, impl_->params.metric);
  impl_->deliver_after([&] {
    const auto reading = impl_->readers.enter();
    const Impl::Plan plan{params.k, 8, is_worth_a_device(queries.rows),
                          [&](const Index& shard, MatrixView<const float> rows, core::Key* keys,
                              std::uint32_t* found, core::ThreadPool& pool) {
                            IndexAccess::search_keys(shard, rows, params, keys, found, pool);
                          }};
    impl_->search(queries, plan, {labels, distances, counts});
  });
}

SearchResult ShardedIndex::exact_search(MatrixView<const float> queries, std::uint32_t k) const {
  check_exact(k);
  SearchResult result = result_of(queries.rows, k);
  impl_->deliver_after([&] {
    const auto reading = impl_->readers.enter();
    const Impl::Plan plan{k, 16, is_worth_a_device(queries.rows, size() / shards()),
                          [&](const Index& shard, MatrixView<const float> rows, core::Key* keys,
                              std::uint32_t* found, core::ThreadPool& pool) {
                            IndexAccess::exact_keys(shard, rows, k, keys, found, pool);
                          }};
    impl_->search(queries, plan, output_of(result));
  });
  return result;
}

}  // namespace concord
