#include "common/capi/options.hpp"

#include <limits>
#include <string>
#include <string_view>

#include "common/capi/handles.hpp"
#include "common/capi/structs.hpp"

namespace concord::capi {
namespace {

/// A number of a C enumeration as one of C++, whose numbers are equal. Throws
/// Error(invalid_parameter) above `last`.
template <class Enum>
Enum enum_of(std::int32_t number, Enum last, const char* name) {
  if (number >= 0 && number <= static_cast<std::int32_t>(last)) return static_cast<Enum>(number);
  throw Error(ErrorCode::invalid_parameter, std::string(name) + " is " + std::to_string(number) +
                                                "; allowed are 0 to " +
                                                std::to_string(static_cast<std::int32_t>(last)));
}

bool flag_of(std::int32_t number, const char* name) {
  if (number == 0 || number == 1) return number == 1;
  throw Error(ErrorCode::invalid_parameter,
              std::string(name) + " is " + std::to_string(number) + "; allowed are 0 and 1");
}

concord_runtime_options default_runtime() noexcept {
  concord_runtime_options options = {};
  options.certificates = 1;
  options.checked_share = RuntimeOptions{}.checked_share;
  return options;
}

concord_range_params default_range() noexcept {
  const RangeParams defaults;
  concord_range_params params = {};
  params.ef = defaults.ef;
  params.slack = defaults.slack;
  params.limit = -1;
  return params;
}

/// Options of one index, whatever its devices.
RuntimeOptions runtime_from(const concord_runtime_options& given) {
  RuntimeOptions options;
  options.threads = given.threads;
  options.certificates = flag_of(given.certificates, "certificates");
  if (given.device != nullptr) options.device = given.device;
  options.device_memory_budget = given.device_memory_budget;
  options.checked_share = given.checked_share;
  if (given.log != nullptr) {
    options.log = [log = given.log, context = given.log_context](LogLevel level,
                                                                 std::string_view message) {
      const std::string text(message);  // with a NUL
      log(context, level == LogLevel::info ? CONCORD_LOG_INFO : CONCORD_LOG_WARNING, text.c_str(),
          text.size());
    };
  }
  return options;
}

/// Refuses an array without a length. Its caller forgot the length, and would get an answer of
/// which the array is no part.
void expect_length(const void* array, std::size_t length, const char* name, const char* count) {
  if (array == nullptr || length > 0) return;
  throw Error(ErrorCode::invalid_parameter,
              std::string(name) + " is given, and " + count + " is 0; both or neither must be");
}

/// Fills the filters of a request of so many queries from a C struct that has them.
template <class Request, class Params>
void take_filters(Request& request, const Params& given, std::size_t queries) {
  if (given.filter != nullptr) request.options.filter = &given.filter->filter;
  if (queries > 0) expect_length(given.filters, given.filter_count, "filters", "filter_count");
  if (given.filter_count == 0) return;
  expect(given.filters, "filters");
  if (given.filter_count != queries) {
    throw Error(ErrorCode::invalid_parameter,
                "filter_count is " + std::to_string(given.filter_count) + ", and there are " +
                    std::to_string(queries) + " queries; both must be equal");
  }
  request.filters.reserve(given.filter_count);
  for (std::size_t f = 0; f < given.filter_count; ++f) {
    request.filters.push_back(given.filters[f] == nullptr ? nullptr : &given.filters[f]->filter);
  }
  request.options.filters = request.filters;
}

}  // namespace

void expect_zero(std::int32_t number, const char* name) {
  if (number == 0) return;
  throw Error(ErrorCode::invalid_parameter,
              std::string(name) + " is " + std::to_string(number) + "; it must be 0");
}

concord_exact_params default_exact_params() noexcept {
  concord_exact_params params = {};
  params.k = SearchParams{}.k;
  return params;
}

concord_tune_params default_tune_params() noexcept {
  const TuneParams defaults;
  concord_tune_params params = {};
  params.recall = defaults.recall;
  params.k = defaults.k;
  params.sample = defaults.sample;
  return params;
}

IndexParams params_of(const concord_index_params* params) {
  const auto given = read_options(params, of_params({}), "concord_index_params");
  expect_zero(given.zero, "zero");
  IndexParams result;
  result.dimension = given.dimension;
  result.metric = metric_of(given.metric);
  result.M = given.M;
  result.ef_construction = given.ef_construction;
  result.seed = given.seed;
  result.epoch_limit = given.epoch_limit;
  result.codes = enum_of(given.codes, Codes::sq4, "codes");
  result.storage = enum_of(given.storage, Storage::bf16, "storage");
  return result;
}

ShardParams shard_params_of(const concord_shard_params* params) {
  const auto given = read_options(params, of_shard_params({}), "concord_shard_params");
  return {.shards = given.shards, .block = given.block};
}

RuntimeOptions runtime_of(const concord_runtime_options* options) {
  const auto given = read_options(options, default_runtime(), "concord_runtime_options");
  if (given.device_count > 0 || given.devices != nullptr) {
    throw Error(ErrorCode::invalid_parameter,
                "devices are those of a sharded index; give `device` for one graph");
  }
  return runtime_from(given);
}

ShardRuntime shard_runtime_of(const concord_runtime_options* options) {
  const auto given = read_options(options, default_runtime(), "concord_runtime_options");
  ShardRuntime runtime;
  runtime.each = runtime_from(given);
  if (given.device_count > 0) expect(given.devices, "devices");
  expect_length(given.devices, given.device_count, "devices", "device_count");
  for (std::size_t d = 0; d < given.device_count; ++d) {
    runtime.devices.emplace_back(&expect(given.devices[d], "a device"));
  }
  return runtime;
}

MapCheck map_check_of(std::int32_t check) { return enum_of(check, MapCheck::on_open, "check"); }
Durability durability_of(std::int32_t durability) {
  return enum_of(durability, Durability::system, "durability");
}
Metric metric_of(std::int32_t metric) { return enum_of(metric, Metric::cosine, "metric"); }
interchange::Adopt adopt_of(std::int32_t adopt) {
  return enum_of(adopt, interchange::Adopt::vectors, "adopt");
}

ExactParams exact_params_of(const concord_exact_params& params) {
  expect_zero(params.zero, "zero");
  return {.metric = metric_of(params.metric),
          .threads = params.threads,
          .progress = progress_of(params.progress, params.progress_context)};
}

TuneParams tune_params_of(const concord_tune_params& params) {
  return {.recall = params.recall, .k = params.k, .sample = params.sample};
}

ProgressCallback progress_of(concord_progress progress, void* context) {
  if (progress == nullptr) return {};
  return [progress, context](std::uint64_t done, std::uint64_t total) {
    return progress(context, done, total) == 0;
  };
}

concord_index_params of_params(const IndexParams& params) noexcept {
  concord_index_params result = {};
  result.dimension = params.dimension;
  result.metric = static_cast<std::int32_t>(params.metric);
  result.M = params.M;
  result.ef_construction = params.ef_construction;
  result.seed = params.seed;
  result.epoch_limit = params.epoch_limit;
  result.codes = static_cast<std::int32_t>(params.codes);
  result.storage = static_cast<std::int32_t>(params.storage);
  return result;
}

concord_shard_params of_shard_params(const ShardParams& params) noexcept {
  concord_shard_params result = {};
  result.shards = params.shards;
  result.block = params.block;
  return result;
}

concord_search_params of_search_params(const SearchParams& params) noexcept {
  concord_search_params result = {};
  result.k = params.k;
  result.ef = params.ef;
  result.slack = params.slack;
  result.rescore = params.rescore;
  result.use_codes = params.use_codes ? 1 : 0;
  result.group_hits = SearchOptions{}.group_hits;
  return result;
}

SearchRequest::SearchRequest(const concord_search_params* given_params, std::size_t queries) {
  const auto given = read_options(given_params, of_search_params({}), "concord_search_params");
  params.k = given.k;
  params.ef = given.ef;
  params.slack = given.slack;
  params.rescore = given.rescore;
  params.use_codes = flag_of(given.use_codes, "use_codes");
  if (given.groups != nullptr) options.groups = &given.groups->groups;
  options.group_hits = given.group_hits;
  take_filters(*this, given, queries);
}

RangeRequest::RangeRequest(const concord_range_params* given_params, std::size_t queries) {
  const auto given = read_options(given_params, default_range(), "concord_range_params");
  params.ef = given.ef;
  params.slack = given.slack;
  if (given.limit < -1 || given.limit > std::numeric_limits<std::uint32_t>::max()) {
    throw Error(ErrorCode::invalid_parameter, "limit is " + std::to_string(given.limit) +
                                                  "; allowed are 0 to 65536, and -1 for all");
  }
  if (given.limit >= 0) params.limit = static_cast<std::uint32_t>(given.limit);
  take_filters(*this, given, queries);
}

}  // namespace concord::capi

using namespace concord;

void concord_index_params_init(concord_index_params* params, size_t struct_size) {
  capi::initialise(params, struct_size, capi::of_params({}));
}
void concord_shard_params_init(concord_shard_params* params, size_t struct_size) {
  capi::initialise(params, struct_size, capi::of_shard_params({}));
}
void concord_runtime_options_init(concord_runtime_options* options, size_t struct_size) {
  capi::initialise(options, struct_size, capi::default_runtime());
}
void concord_search_params_init(concord_search_params* params, size_t struct_size) {
  capi::initialise(params, struct_size, capi::of_search_params({}));
}
void concord_range_params_init(concord_range_params* params, size_t struct_size) {
  capi::initialise(params, struct_size, capi::default_range());
}
void concord_tune_params_init(concord_tune_params* params, size_t struct_size) {
  capi::initialise(params, struct_size, capi::default_tune_params());
}
void concord_exact_params_init(concord_exact_params* params, size_t struct_size) {
  capi::initialise(params, struct_size, capi::default_exact_params());
}
