// What the searches of a ShardedIndex have in common: filters by shard, and how a bad query is
// named.
//
// Private to this folder. Thread-safety: immutable, or pure functions.
#pragma once

#include <functional>
#include <vector>

#include "common/index/index_access.hpp"
#include "common/shards/sharded_impl.hpp"

namespace concord {

/// The sets of a search's filters in each shard.
class ShardedIndex::Impl::ShardFilters {
 public:
  /// Throws Error(invalid_parameter) as IndexAccess::filters_of.
  ShardFilters(const Impl& impl, const SearchOptions& options, std::size_t queries);
  /// Those of `count` queries from number `first` of the call on.
  [[nodiscard]] core::QueryFilters of(std::size_t s, std::size_t first,
                                      std::size_t count) const noexcept;

 private:
  std::vector<std::vector<const core::MatchSet*>> sets_;  ///< [shards]: none, one, or one a query
};

/// How all shards are searched.
struct ShardedIndex::Impl::Plan {
  std::uint32_t k;
  std::size_t queries_per_task;  ///< on the CPU
  bool is_worth_a_device;        ///< a piece in one shard
  const ShardFilters& filters;
  std::function<void(std::size_t s, MatrixView<const float>, const core::QueryFilters&,
                     const IndexAccess::KeyOutput&, core::ThreadPool&)>
      search_shard;
};

template <class Search>
void ShardedIndex::Impl::name_bad_query(MatrixView<const float> rows, const Search& search) const {
  try {
    search();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::invalid_vector) throw;
    const core::VectorStore& store = IndexAccess::contents(shards.front()).vectors;
    std::vector<float> unused(store.stride());
    for (std::size_t q = 0; q < rows.rows; ++q) {
      store.prepare(rows.row(q), unused.data(), "query", q);
    }
    throw;
  }
}

}  // namespace concord
