// Options of the C interface as those of C++. Numbers of an enumeration are checked here, all other
// ranges by the C++ functions that take them. Thread-safety: pure functions.
#pragma once

#include <concord/c/params.h>

#include <concord/durability.hpp>
#include <concord/exact.hpp>
#include <concord/filter.hpp>
#include <concord/interchange.hpp>
#include <concord/params.hpp>
#include <concord/sharded_index.hpp>
#include <concord/tuning.hpp>
#include <vector>

namespace concord::capi {

/// For a field that only gives a struct its size. Throws Error(invalid_parameter).
void expect_zero(std::int32_t number, const char* name);

/// All of them throw Error(invalid_parameter), and Error(unsupported) as read_options.
IndexParams params_of(const concord_index_params* params);
ShardParams shard_params_of(const concord_shard_params* params);
/// Those of an index without shards.
RuntimeOptions runtime_of(const concord_runtime_options* options);
ShardRuntime shard_runtime_of(const concord_runtime_options* options);
MapCheck map_check_of(std::int32_t check);
Durability durability_of(std::int32_t durability);
Metric metric_of(std::int32_t metric);
interchange::Adopt adopt_of(std::int32_t adopt);
ExactParams exact_params_of(const concord_exact_params& params);
TuneParams tune_params_of(const concord_tune_params& params);
/// Empty for NULL.
ProgressCallback progress_of(concord_progress progress, void* context);

concord_index_params of_params(const IndexParams& params) noexcept;
concord_shard_params of_shard_params(const ShardParams& params) noexcept;
concord_search_params of_search_params(const SearchParams& params) noexcept;

concord_exact_params default_exact_params() noexcept;
concord_tune_params default_tune_params() noexcept;

/// A search of so many queries, with the filters and groups that it refers to. Borrows what the C
/// struct leads to. Reads no filter beyond the number of queries.
struct SearchRequest {
  SearchRequest(const concord_search_params* params, std::size_t queries);

  SearchParams params;
  SearchOptions options;
  std::vector<const Filter*> filters;  ///< behind options.filters
};

/// The same for a range search.
struct RangeRequest {
  RangeRequest(const concord_range_params* params, std::size_t queries);

  RangeParams params;
  SearchOptions options;
  std::vector<const Filter*> filters;
};

}  // namespace concord::capi
