// What the functions of the C interface answer is what their members of C++ answer: the same
// graphs, hits and presets, for the same parameters.

#include <gtest/gtest.h>

#include <algorithm>
#include <concord/exact.hpp>
#include <concord/index.hpp>
#include <concord/interchange.hpp>
#include <functional>
#include <set>
#include <tuple>

#include "tests/capi/c_handle.hpp"
#include "tests/support/support.hpp"

namespace concord {
namespace {

constexpr std::size_t kRows = 600;
constexpr std::size_t kQueries = 15;

/// An index of C and one of C++ that are equal, with codes so that each parameter of a search
/// counts.
class CAnswers : public testing::Test {
 protected:
  CAnswers() {
    expected_.add(data_.view());
    test::add(index_, data_);
  }

  static test::Handle make() {
    auto params = test::defaults(concord_index_params_init);
    params.dimension = 8;
    params.M = 4;
    params.ef_construction = 20;
    params.codes = CONCORD_CODES_SQ8;
    return test::made([&](auto to) { return concord_index_create(&params, nullptr, to); });
  }

  /// Results of C in `k` places for each query.
  SearchResult hits_of(std::uint32_t k,
                       const std::function<concord_status(const concord_hits*)>& search) {
    SearchResult result;
    result.k = k;
    result.labels.resize(kQueries * k);
    result.distances.resize(kQueries * k);
    result.counts.resize(kQueries);
    const concord_hits hits = {result.labels.data(), result.distances.data(), result.counts.data(),
                               kQueries, k};
    EXPECT_EQ(search(&hits), CONCORD_OK) << concord_last_error();
    return result;
  }
  static void expect_equal(const SearchResult& got, const SearchResult& expected) {
    EXPECT_EQ(got.labels, expected.labels);
    EXPECT_EQ(got.distances, expected.distances);
    EXPECT_EQ(got.counts, expected.counts);
  }
  /// Hits and work of a search of C are those of C++. Returns the work, which each parameter
  /// changes.
  std::pair<std::uint64_t, std::uint64_t> search(const concord_search_params& params,
                                                 const SearchParams& of_cpp) {
    const SearchStats before = expected_.stats().search;
    expect_equal(hits_of(params.k,
                         [&](auto hits) {
                           return concord_index_search(index_.get(), &queries_, &params, hits);
                         }),
                 expected_.search(query_rows_.view(), of_cpp));
    const SearchStats after = expected_.stats().search;
    concord_stats* stats = nullptr;
    EXPECT_EQ(concord_index_stats(index_.get(), &stats), CONCORD_OK);
    EXPECT_EQ(stats->distances, after.distances);
    EXPECT_EQ(stats->rescored, after.rescored);
    concord_stats_free(stats);
    return {after.distances - before.distances, after.rescored - before.rescored};
  }

  const test::Matrix data_ = test::make_data(test::Shape::random, kRows, 8);
  const test::Matrix query_rows_ = test::make_data(test::Shape::random, kQueries, 8, 2);
  const concord_matrix queries_ = test::matrix_of(query_rows_);
  Index expected_{{.dimension = 8, .M = 4, .ef_construction = 20, .codes = Codes::sq8}};
  const test::Handle index_ = make();
};

TEST_F(CAnswers, OfSearches) {
  auto params = test::defaults(concord_search_params_init);
  SearchParams of_cpp;
  auto work = search(params, of_cpp);
  const auto expect_other_work = [&] {
    const auto other = search(params, of_cpp);
    EXPECT_NE(other, work) << "the parameter had no effect";
    work = other;
  };
  params.k = of_cpp.k = 7;
  search(params, of_cpp);
  params.ef = of_cpp.ef = 25;
  expect_other_work();
  params.rescore = of_cpp.rescore = 11;
  expect_other_work();
  params.use_codes = 0;
  of_cpp.use_codes = false;
  expect_other_work();
  params.slack = of_cpp.slack = 0.01f;
  expect_other_work();
}

TEST_F(CAnswers, OfSearchesInGroups) {
  std::vector<std::uint64_t> keys(kRows);
  for (std::size_t i = 0; i < kRows; ++i) keys[i] = i / 10;
  concord_groups* groups = nullptr;
  ASSERT_EQ(concord_groups_of_keys(index_.get(), keys.data(), kRows, &groups), CONCORD_OK);
  const Groups of_cpp = Groups::of_keys(expected_, keys);
  auto params = test::defaults(concord_search_params_init);
  params.k = 3;
  params.group_hits = 2;
  params.groups = groups;
  const SearchOptions options = {.groups = &of_cpp, .group_hits = 2};
  expect_equal(hits_of(6,
                       [&](auto hits) {
                         return concord_index_search(index_.get(), &queries_, &params, hits);
                       }),
               expected_.search(query_rows_.view(), SearchParams{.k = 3}, options));
  expect_equal(hits_of(6,
                       [&](auto hits) {
                         return concord_index_exact_search(index_.get(), &queries_, &params, hits);
                       }),
               expected_.exact_search(query_rows_.view(), 3, options));
  concord_groups_free(groups);
}

TEST_F(CAnswers, OfBitsFromAnOffset) {
  const std::vector<std::uint8_t> bits((kRows + 5 + 7) / 8, 0b10010110);
  const Filter of_cpp = Filter::of_bits(expected_, bits, kRows, 5);
  concord_filter* filter = nullptr;
  ASSERT_EQ(concord_filter_of_bits(index_.get(), bits.data(), bits.size(), kRows, 5, &filter),
            CONCORD_OK);
  auto params = test::defaults(concord_search_params_init);
  params.filter = filter;
  expect_equal(hits_of(10,
                       [&](auto hits) {
                         return concord_index_exact_search(index_.get(), &queries_, &params, hits);
                       }),
               expected_.exact_search(query_rows_.view(), 10, {.filter = &of_cpp}));
  concord_filter_free(filter);
}

TEST_F(CAnswers, OfExactSearchesWithoutAnIndex) {
  auto params = test::defaults(concord_exact_params_init);
  params.k = 4;
  params.metric = CONCORD_METRIC_COSINE;
  ExactParams of_cpp;
  of_cpp.metric = Metric::cosine;
  const concord_matrix rows = test::matrix_of(data_);
  expect_equal(
      hits_of(4, [&](auto hits) { return concord_exact_knn(&rows, &queries_, &params, hits); }),
      exact_knn(data_.view(), query_rows_.view(), 4, of_cpp));
}

TEST_F(CAnswers, OfRanges) {
  const float radius = exact_knn(data_.view(), query_rows_.view(), 40).distances[39];
  std::set<std::vector<std::uint64_t>> all;
  for (const auto& [ef, slack, limit] :
       {std::tuple{64u, 0.1f, -1}, {1u, 0.1f, -1}, {1u, 0.0f, -1}, {1u, 0.0f, 3}}) {
    auto params = test::defaults(concord_range_params_init);
    params.ef = ef;
    params.slack = slack;
    params.limit = limit;
    RangeParams of_cpp = {.ef = ef, .slack = slack};
    if (limit >= 0) of_cpp.limit = static_cast<std::uint32_t>(limit);
    const RangeResult expected = expected_.range_search(query_rows_.view(), radius, of_cpp);
    concord_range_result* got = nullptr;
    ASSERT_EQ(concord_index_range_search(index_.get(), &queries_, radius, &params, &got),
              CONCORD_OK);
    ASSERT_EQ(got->queries, kQueries);
    EXPECT_EQ(std::vector(got->lims, got->lims + kQueries + 1), expected.lims);
    EXPECT_EQ(std::vector(got->labels, got->labels + got->lims[kQueries]), expected.labels);
    EXPECT_EQ(std::vector(got->distances, got->distances + got->lims[kQueries]),
              expected.distances);
    concord_range_result_free(got);
    all.insert(expected.labels);
  }
  EXPECT_EQ(all.size(), 4u) << "a parameter had no effect";
}

TEST_F(CAnswers, OfPages) {
  auto params = test::defaults(concord_search_params_init);
  params.ef = 5;
  params.slack = 0.01f;
  const auto query = data_.view()[3];
  const concord_matrix row = {query.data(), 1, 8, 0, CONCORD_ELEMENT_F32, 0};
  concord_cursor* cursor = nullptr;
  ASSERT_EQ(concord_cursor_create(index_.get(), &row, &params, &cursor), CONCORD_OK);
  Cursor expected = expected_.cursor(query, {.ef = 5, .slack = 0.01f});
  for (int page = 0; page < 5; ++page) {
    std::vector<std::uint64_t> labels(20);
    std::vector<float> distances(20);
    std::size_t count = 0;
    ASSERT_EQ(concord_cursor_next(cursor, 20, labels.data(), distances.data(), &count), CONCORD_OK);
    const SearchResult next = expected.next(20);
    EXPECT_EQ(labels, next.labels);
    EXPECT_EQ(distances, next.distances);
    EXPECT_EQ(count, next.counts[0]);
  }
  concord_cursor_free(cursor);
}

TEST_F(CAnswers, OfTuning) {
  auto goal = test::defaults(concord_tune_params_init);
  goal.recall = 0.8;
  goal.k = 4;
  goal.sample = 90;
  const Preset expected = expected_.tune({.recall = 0.8, .k = 4, .sample = 90});
  concord_preset got = {};
  got.struct_size = sizeof got;
  ASSERT_EQ(concord_index_tune(index_.get(), nullptr, &goal, &got), CONCORD_OK)
      << concord_last_error();
  EXPECT_EQ(got.k, expected.k);
  EXPECT_EQ(got.ef, expected.ef);
  EXPECT_EQ(got.slack, expected.slack);
  EXPECT_EQ(got.measured, expected.measured);
  EXPECT_EQ(got.queries, expected.queries);

  concord_search_params params;
  params.struct_size = sizeof params;
  ASSERT_EQ(concord_index_preset(index_.get(), 0.8, 4, &params), CONCORD_OK);
  const SearchParams of_cpp = expected_.preset(0.8, 4);
  EXPECT_EQ(params.k, of_cpp.k);
  EXPECT_EQ(params.ef, of_cpp.ef);
  EXPECT_EQ(params.slack, of_cpp.slack);
  EXPECT_EQ(params.rescore, of_cpp.rescore);
  EXPECT_EQ(params.use_codes, of_cpp.use_codes ? 1 : 0);
}

// The graph of the file and one that is built anew differ, and so do those of two metrics.
TEST(CFiles, OfOtherLibraries) {
  const auto data = test::make_data(test::Shape::random, 300, 8);
  Index index({.dimension = 8, .metric = Metric::inner_product, .M = 4, .ef_construction = 20});
  index.add(data.view());
  const test::TempPath hnswlib("h.bin");
  const test::TempPath faiss("f.index");
  interchange::save_hnswlib(index, hnswlib);
  interchange::save_faiss(index, faiss);
  std::set<std::string> digests;
  for (const auto adopt : {interchange::Adopt::graph, interchange::Adopt::vectors}) {
    const int number =
        adopt == interchange::Adopt::graph ? CONCORD_ADOPT_GRAPH : CONCORD_ADOPT_VECTORS;
    for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
      const auto got = test::made([&](auto to) {
        return concord_hnswlib_load(hnswlib.path().c_str(), 8, static_cast<std::int32_t>(metric),
                                    number, nullptr, to);
      });
      EXPECT_EQ(test::digest_of(got),
                interchange::load_hnswlib(hnswlib, {8, metric}, adopt).digest());
      digests.insert(test::digest_of(got));
    }
    const auto got = test::made(
        [&](auto to) { return concord_faiss_load(faiss.path().c_str(), number, nullptr, to); });
    EXPECT_EQ(test::digest_of(got), interchange::load_faiss(faiss, adopt).digest());
  }
  EXPECT_EQ(digests.size(), 4u);
}

// A file is checked when the caller asks for it.
TEST(CFiles, AreCheckedOnOpeningOrLater) {
  const auto data = test::make_data(test::Shape::random, 300, 8);
  Index index({.dimension = 8, .M = 4, .ef_construction = 20});
  index.add(data.view());
  const test::TempPath path("damaged.concord");
  index.save(path);
  std::vector<char> bytes = test::read_file(path);
  const auto* const vector = reinterpret_cast<const char*>(data.view()[150].data());
  const auto stored = std::search(bytes.begin(), bytes.end(), vector, vector + 8 * sizeof(float));
  ASSERT_NE(stored, bytes.end());
  *stored = static_cast<char>(*stored ^ 1);
  test::write_file(path, bytes);
  concord_index* got = nullptr;
  EXPECT_EQ(concord_index_map(path.path().c_str(), CONCORD_MAP_CHECK_ON_OPEN, nullptr, &got),
            CONCORD_ERROR_CORRUPT_FILE);
  EXPECT_EQ(concord_index_map(path.path().c_str(), CONCORD_MAP_CHECK_ON_FIRST_USE, nullptr, &got),
            CONCORD_OK);
  concord_index_free(got);
}

}  // namespace
}  // namespace concord
