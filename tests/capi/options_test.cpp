// Options of the C interface are those of C++: each field arrives, in its place, and the functions
// that take options use them.

#include "common/capi/options.hpp"

#include <gtest/gtest.h>

#include <concord/interchange.hpp>

#include "common/capi/handles.hpp"
#include "tests/capi/c_handle.hpp"

namespace concord {
namespace {

concord_index_params index_params() {
  auto params = test::defaults(concord_index_params_init);
  params.dimension = 6;
  params.metric = CONCORD_METRIC_COSINE;
  params.M = 5;
  params.ef_construction = 33;
  params.seed = 77;
  params.epoch_limit = 19;
  params.codes = CONCORD_CODES_SQ8;
  params.storage = CONCORD_STORAGE_F32;
  return params;
}

const IndexParams kExpected = {.dimension = 6,
                               .metric = Metric::cosine,
                               .M = 5,
                               .ef_construction = 33,
                               .seed = 77,
                               .epoch_limit = 19,
                               .codes = Codes::sq8,
                               .storage = Storage::f32};

test::Handle index_of(const test::Matrix& data) {
  const concord_index_params params = index_params();
  auto index = test::made([&](auto to) { return concord_index_create(&params, nullptr, to); });
  test::add(index, data);
  return index;
}

TEST(COptions, DefaultsAreThoseOfCpp) {
  auto params = test::defaults(concord_index_params_init);
  EXPECT_EQ(capi::params_of(&params), IndexParams{});
  const capi::SearchRequest search(nullptr, 1);
  EXPECT_EQ(search.params.k, SearchParams{}.k);
  EXPECT_EQ(search.params.ef, SearchParams{}.ef);
  EXPECT_EQ(search.params.slack, SearchParams{}.slack);
  EXPECT_EQ(search.params.rescore, SearchParams{}.rescore);
  EXPECT_EQ(search.params.use_codes, SearchParams{}.use_codes);
  EXPECT_EQ(search.options.group_hits, SearchOptions{}.group_hits);
  const capi::RangeRequest range(nullptr, 1);
  EXPECT_EQ(range.params.ef, RangeParams{}.ef);
  EXPECT_EQ(range.params.slack, RangeParams{}.slack);
  EXPECT_EQ(range.params.limit, RangeParams{}.limit);
  const RuntimeOptions runtime = capi::runtime_of(nullptr);
  EXPECT_EQ(runtime.threads, RuntimeOptions{}.threads);
  EXPECT_EQ(runtime.device, RuntimeOptions{}.device);
  EXPECT_EQ(runtime.device_memory_budget, RuntimeOptions{}.device_memory_budget);
  EXPECT_EQ(runtime.certificates, RuntimeOptions{}.certificates);
  EXPECT_EQ(runtime.checked_share, RuntimeOptions{}.checked_share);
  EXPECT_FALSE(runtime.log);
  const ShardParams shards = capi::shard_params_of(nullptr);
  EXPECT_EQ(shards.shards, ShardParams{}.shards);
  EXPECT_EQ(shards.block, ShardParams{}.block);
  const TuneParams tune = capi::tune_params_of(test::defaults(concord_tune_params_init));
  EXPECT_EQ(tune.recall, TuneParams{}.recall);
  EXPECT_EQ(tune.k, TuneParams{}.k);
  EXPECT_EQ(tune.sample, TuneParams{}.sample);
  EXPECT_EQ(capi::exact_params_of(test::defaults(concord_exact_params_init)).metric, Metric::l2sq);
}

TEST(COptions, ParametersOfAnIndex) {
  const auto data = test::make_data(test::Shape::random, 120, 6);
  const concord_index_params params = index_params();
  EXPECT_EQ(capi::params_of(&params), kExpected);
  Index expected(kExpected);
  expected.add(data.view());
  const test::Handle index = index_of(data);
  EXPECT_EQ(test::digest_of(index), expected.digest());
  concord_index_params got = {};
  got.struct_size = sizeof got;
  ASSERT_EQ(concord_index_get_params(index.get(), &got), CONCORD_OK);
  EXPECT_EQ(got.dimension, params.dimension);
  EXPECT_EQ(got.metric, params.metric);
  EXPECT_EQ(got.M, params.M);
  EXPECT_EQ(got.ef_construction, params.ef_construction);
  EXPECT_EQ(got.seed, params.seed);
  EXPECT_EQ(got.epoch_limit, params.epoch_limit);
  EXPECT_EQ(got.codes, params.codes);
  EXPECT_EQ(got.storage, params.storage);
}

TEST(COptions, ParametersOfShards) {
  const auto data = test::make_data(test::Shape::random, 60, 6);
  const concord_index_params params = index_params();
  auto shards = test::defaults(concord_shard_params_init);
  shards.shards = 3;
  shards.block = 7;
  const test::Handle index =
      test::made([&](auto to) { return concord_sharded_create(&params, &shards, nullptr, to); });
  test::add(index, data);
  ShardedIndex expected(kExpected, {.shards = 3, .block = 7});
  expected.add(data.view());
  EXPECT_EQ(test::digest_of(index), expected.digest());
  concord_shard_params got = {};
  got.struct_size = sizeof got;
  ASSERT_EQ(concord_index_get_shard_params(index.get(), &got), CONCORD_OK);
  EXPECT_EQ(got.shards, 3u);
  EXPECT_EQ(got.block, 7u);
}

TEST(COptions, Runtime) {
  auto options = test::defaults(concord_runtime_options_init);
  options.threads = 3;
  options.certificates = 0;
  options.device = "cuda:5";
  options.device_memory_budget = 12345;
  options.checked_share = 0.25;
  std::string told;
  options.log_context = &told;
  options.log = [](void* context, std::int32_t level, const char* message, std::size_t length) {
    *static_cast<std::string*>(context) =
        std::to_string(level) + " " + std::string(message, length);
  };
  const RuntimeOptions runtime = capi::runtime_of(&options);
  EXPECT_EQ(runtime.threads, 3u);
  EXPECT_FALSE(runtime.certificates);
  EXPECT_EQ(runtime.device, "cuda:5");
  EXPECT_EQ(runtime.device_memory_budget, 12345u);
  EXPECT_EQ(runtime.checked_share, 0.25);
  runtime.log(LogLevel::info, "a message");
  EXPECT_EQ(told, std::to_string(CONCORD_LOG_INFO) + " a message");
  runtime.log(LogLevel::warning, "another");
  EXPECT_EQ(told, std::to_string(CONCORD_LOG_WARNING) + " another");

  const char* const devices[] = {"cpu", "cuda:1"};
  options.devices = devices;
  options.device_count = 2;
  const ShardRuntime sharded = capi::shard_runtime_of(&options);
  EXPECT_EQ(sharded.devices, (std::vector<std::string>{"cpu", "cuda:1"}));
  EXPECT_EQ(sharded.each.threads, 3u);
  EXPECT_EQ(sharded.each.device, "cuda:5");
}

TEST(COptions, EnumerationsOfCalls) {
  EXPECT_EQ(capi::map_check_of(CONCORD_MAP_CHECK_ON_FIRST_USE), MapCheck::on_first_use);
  EXPECT_EQ(capi::map_check_of(CONCORD_MAP_CHECK_ON_OPEN), MapCheck::on_open);
  EXPECT_EQ(capi::durability_of(CONCORD_DURABILITY_SYNCED), Durability::synced);
  EXPECT_EQ(capi::durability_of(CONCORD_DURABILITY_SYSTEM), Durability::system);
  EXPECT_EQ(capi::adopt_of(CONCORD_ADOPT_GRAPH), interchange::Adopt::graph);
  EXPECT_EQ(capi::adopt_of(CONCORD_ADOPT_VECTORS), interchange::Adopt::vectors);
  EXPECT_EQ(capi::metric_of(CONCORD_METRIC_INNER_PRODUCT), Metric::inner_product);
  EXPECT_EQ(capi::metric_of(CONCORD_METRIC_COSINE), Metric::cosine);
}

TEST(COptions, GoalsOfTuningAndExactSearch) {
  auto tune = test::defaults(concord_tune_params_init);
  tune.recall = 0.75;
  tune.k = 3;
  tune.sample = 90;
  const TuneParams goal = capi::tune_params_of(tune);
  EXPECT_EQ(goal.recall, 0.75);
  EXPECT_EQ(goal.k, 3u);
  EXPECT_EQ(goal.sample, 90u);

  auto exact = test::defaults(concord_exact_params_init);
  exact.metric = CONCORD_METRIC_COSINE;
  exact.threads = 4;
  std::uint64_t done = 0;
  exact.progress_context = &done;
  exact.progress = [](void* context, std::uint64_t of, std::uint64_t) {
    *static_cast<std::uint64_t*>(context) = of;
    return 1;
  };
  const ExactParams params = capi::exact_params_of(exact);
  EXPECT_EQ(params.metric, Metric::cosine);
  EXPECT_EQ(params.threads, 4u);
  EXPECT_FALSE(params.progress(5, 9));
  EXPECT_EQ(done, 5u);
}

class CSearchOptions : public testing::Test {
 protected:
  const test::Matrix data_ = test::make_data(test::Shape::random, 40, 6);
  const test::Handle index_ = index_of(data_);
  const Index& index() { return capi::expect_single(index_.get()); }
  concord_filter some_{Filter::of_range(index(), 0, 20)};
  concord_filter others_{Filter::of_range(index(), 20, 40)};
};

TEST_F(CSearchOptions, OfASearch) {
  concord_groups groups{Groups::of_keys(index(), std::vector<std::uint64_t>(40, 1))};
  auto params = test::defaults(concord_search_params_init);
  params.k = 4;
  params.ef = 21;
  params.slack = 0.5f;
  params.rescore = 17;
  params.use_codes = 0;
  params.group_hits = 3;
  params.groups = &groups;
  params.filter = &some_;
  const capi::SearchRequest of_all(&params, 2);
  EXPECT_EQ(of_all.params.k, 4u);
  EXPECT_EQ(of_all.params.ef, 21u);
  EXPECT_EQ(of_all.params.slack, 0.5f);
  EXPECT_EQ(of_all.params.rescore, 17u);
  EXPECT_FALSE(of_all.params.use_codes);
  EXPECT_EQ(of_all.options.group_hits, 3u);
  EXPECT_EQ(of_all.options.groups, &groups.groups);
  EXPECT_EQ(of_all.options.filter, &some_.filter);
  EXPECT_TRUE(of_all.options.filters.empty());

  const concord_filter* const filters[] = {&others_, nullptr};
  params.filter = nullptr;
  params.filters = filters;
  params.filter_count = 2;
  const capi::SearchRequest of_each(&params, 2);
  EXPECT_EQ(of_each.options.filter, nullptr);
  ASSERT_EQ(of_each.options.filters.size(), 2u);
  EXPECT_EQ(of_each.options.filters[0], &others_.filter);
  EXPECT_EQ(of_each.options.filters[1], nullptr);
}

TEST_F(CSearchOptions, OfARange) {
  auto params = test::defaults(concord_range_params_init);
  params.ef = 23;
  params.slack = 0.75f;
  params.limit = 6;
  params.filter = &some_;
  const capi::RangeRequest of_all(&params, 1);
  EXPECT_EQ(of_all.params.ef, 23u);
  EXPECT_EQ(of_all.params.slack, 0.75f);
  EXPECT_EQ(of_all.params.limit, 6u);
  EXPECT_EQ(of_all.options.filter, &some_.filter);

  const concord_filter* const filters[] = {&others_};
  params.filter = nullptr;
  params.filters = filters;
  params.filter_count = 1;
  const capi::RangeRequest of_each(&params, 1);
  ASSERT_EQ(of_each.options.filters.size(), 1u);
  EXPECT_EQ(of_each.options.filters[0], &others_.filter);
}

}  // namespace
}  // namespace concord
