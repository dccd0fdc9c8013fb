// Indexes with codes: what codes may change and what they may not. The walks themselves are
// compared with a naive one in filtered_search_test.cpp, and digests in determinism_test.cpp.

#include <algorithm>
#include <atomic>
#include <concord/cursor.hpp>
#include <concord/groups.hpp>
#include <concord/index.hpp>
#include <concord/sharded_index.hpp>
#include <cstdint>
#include <limits>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/search_results.hpp"
#include "tests/support/searched_index.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

constexpr std::uint32_t kDimension = 40;
constexpr std::size_t kRows = 1500;

IndexParams coded(Metric metric = Metric::l2sq, std::uint32_t dimension = kDimension) {
  IndexParams params = make_params(dimension, 8, 40, 200, metric);
  params.codes = Codes::sq8;
  return params;
}

Index coded_index(const Matrix& data, Metric metric = Metric::l2sq) {
  Index index(coded(metric, static_cast<std::uint32_t>(data.cols)), on_threads(2));
  index.add(data.view());
  return index;
}

class OfEachMetric : public testing::TestWithParam<Metric> {};
INSTANTIATE_TEST_SUITE_P(Codes, OfEachMetric, testing::ValuesIn(kAllMetrics),
                         [](const auto& test) { return to_string(test.param); });

// Bit for bit the distance of exact_search, and in its order.
TEST_P(OfEachMetric, DistancesAreExact) {
  for (const Shape shape : {Shape::random, Shape::clustered, Shape::duplicate, Shape::constant,
                            Shape::zero, Shape::sorted, Shape::u8}) {
    const Matrix data = make_data(shape, kRows, kDimension);
    const Matrix queries = make_data(shape, 20, kDimension, 7);
    const Index index = coded_index(data, GetParam());
    const SearchResult exact = index.exact_search(queries.view(), kRows);
    for (const std::uint32_t rescore : {0u, 1u, 40u}) {
      expect_exact(index.search(queries.view(), {.k = 10, .ef = 40, .rescore = rescore}), exact);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(OfEachMetric, RecallIsThatOfExactWalks) {
  for (const Shape shape : {Shape::random, Shape::clustered, Shape::sorted}) {
    const Matrix data = make_data(shape, kRows, kDimension);
    const Matrix queries = make_data(shape, 200, kDimension, 7);
    const Index with = coded_index(data, GetParam());
    IndexParams params = coded(GetParam());
    params.codes = Codes::none;
    Index without(params, on_threads(2));
    without.add(data.view());
    const SearchResult exact = with.exact_search(queries.view(), 10);
    EXPECT_TRUE(same(exact, without.exact_search(queries.view(), 10)));
    const SearchParams search{.k = 10, .ef = 60};
    const double plain = recall_of(without.search(queries.view(), search), exact);
    const double by_codes = recall_of(with.search(queries.view(), search), exact);
    if (shape == Shape::sorted && GetParam() == Metric::cosine) {
      // Vectors of one large element differ by less than the step of their codes, as
      // docs/compact.md says; then more has to be scored exactly.
      EXPECT_LT(by_codes, plain - 0.2);
      const SearchParams wide{.k = 10, .ef = kRows, .rescore = kRows};
      EXPECT_GT(recall_of(with.search(queries.view(), wide), exact), 0.99);
    } else {
      EXPECT_GE(by_codes, plain - 0.02) << to_string(shape);
    }
  }
}

// What all elements share is no difference between vectors.
TEST_P(OfEachMetric, AnOffsetOfAllElementsCostsNoRecall) {
  Matrix data = make_data(Shape::clustered, kRows, kDimension);
  Matrix queries = make_data(Shape::clustered, 100, kDimension, 7);
  for (float& x : data.values) x += 512;
  for (float& x : queries.values) x += 512;
  const Index index = coded_index(data, GetParam());
  const SearchResult exact = index.exact_search(queries.view(), 10);
  const double walked =
      recall_of(index.search(queries.view(), {.k = 10, .ef = 60, .use_codes = false}), exact);
  EXPECT_GE(recall_of(index.search(queries.view(), {.k = 10, .ef = 60}), exact), walked - 0.02);
}

// A greater `rescore` only adds candidates, of which the exact distance decides.
TEST_P(OfEachMetric, RescoringMoreFindsNoLess) {
  const Matrix data = make_data(Shape::random, kRows, kDimension);
  const Matrix queries = make_data(Shape::random, 100, kDimension, 7);
  const Index index = coded_index(data, GetParam());
  const SearchResult exact = index.exact_search(queries.view(), 10);
  double before = 0;
  for (const std::uint32_t rescore : {1u, 12u, 20u, 40u, 64u, 65536u}) {
    const double now =
        recall_of(index.search(queries.view(), {.k = 10, .ef = 64, .rescore = rescore}), exact);
    EXPECT_GE(now, before) << rescore;
    before = now;
  }
  const auto rescored = [&](const SearchParams& search) {
    const std::uint64_t counted = index.stats().search.rescored;
    (void)index.search(queries.view(), search);
    return (index.stats().search.rescored - counted) / queries.rows;
  };
  EXPECT_EQ(rescored({.k = 10, .ef = 64}), 20u);
  EXPECT_EQ(rescored({.k = 3, .ef = 64}), 13u);
  EXPECT_EQ(rescored({.k = 10, .ef = 15}), 15u) << "at most ef";
  EXPECT_EQ(rescored({.k = 10, .ef = 64, .rescore = 1}), 10u) << "at least k";
  EXPECT_EQ(rescored({.k = 10, .ef = 64, .use_codes = false}), 0u);
}

TEST(Codes, OfVectorsFewAndManyFindEachByItself) {
  for (const std::size_t n : {0u, 1u, 2u, 3u, 4u, 5u, 199u, 200u, 201u}) {
    const Matrix data = make_data(Shape::random, n, 3);
    const Index index = coded_index(data);
    expect_sound(index.audit());
    const SearchResult found = index.search(data.view(), {1, 50});
    for (std::size_t i = 0; i < n; ++i) {
      ASSERT_EQ(found.counts[i], 1u);
      ASSERT_EQ(found.distances[i], 0.0f);
    }
    EXPECT_EQ(index.search(make_data(Shape::random, 1, 3).view(), {10, 10}).counts[0],
              std::min<std::size_t>(n, 10));
  }
}

// The first rows are bytes and turn to floats in a later call, or in the same.
TEST(Codes, DoNotDependOnWhenBytesTurnToFloats) {
  Matrix data = make_data(Shape::u8, 900, 24);
  data.row(850)[3] = 0.5F;
  Index whole(coded(Metric::l2sq, 24), on_threads(1));
  whole.add(data.view());
  Index pieces(coded(Metric::l2sq, 24), on_threads(3));
  for (std::size_t first = 0; first < data.rows; first += 60) pieces.add(data.slice(first, 60));
  EXPECT_EQ(pieces.digest(), whole.digest());
  const Matrix queries = make_data(Shape::u8, 30, 24, 4);
  EXPECT_TRUE(same(pieces.search(queries.view(), {5, 20}), whole.search(queries.view(), {5, 20})));
}

TEST(Codes, AreThoseOfTheVectorsHoweverAnIndexComes) {
  const Matrix data = make_data(Shape::clustered, kRows, kDimension);
  const Matrix queries = make_data(Shape::clustered, 50, kDimension, 7);
  const SearchParams search{.k = 10, .ef = 30, .rescore = 10};
  const Index index = coded_index(data);
  const SearchResult expected = index.search(queries.view(), search);
  const TempPath file;
  index.save(file);
  for (const bool is_mapped : {false, true}) {
    const Index read = is_mapped ? Index::map(file, MapCheck::on_open, on_threads(2))
                                 : Index::load(file, on_threads(2));
    EXPECT_EQ(read.params().codes, Codes::sq8);
    EXPECT_EQ(read.digest(), index.digest());
    EXPECT_TRUE(same(read.search(queries.view(), search), expected)) << is_mapped;
    EXPECT_EQ(read.memory().vectors, is_mapped ? kRows * (40 * 4 + 64) : index.memory().vectors);
  }
  const TempPath folder("journal.concord");
  std::string digest;
  {
    Index half = Index::open(folder, coded(), Durability::system, on_threads(2));
    half.add(data.slice(0, 700));
    half.compact();
    half.add(data.slice(700, 150));
    digest = half.digest();
  }
  Index again = Index::open(folder, coded(), Durability::system, on_threads(2));
  EXPECT_EQ(again.digest(), digest);
  again.add(data.slice(850, kRows - 850));
  EXPECT_EQ(again.digest(), index.digest());
  EXPECT_TRUE(same(again.search(queries.view(), search), expected));
}

TEST(Codes, ArePartOfTheDigestAndOfAFilesParameters) {
  const Matrix data = make_data(Shape::random, 1, kDimension);
  IndexParams params = coded();
  const Index with = coded_index(data);
  params.codes = Codes::none;
  Index without(params, on_threads(1));
  without.add(data.view());
  EXPECT_NE(with.digest(), without.digest());
  const TempPath file("x.concord");
  { Index::open(file, coded(), Durability::system, on_threads(1)).add(data.view()); }
  expect_error(ErrorCode::invalid_parameter, {"codes", "sq8", "none"},
               [&] { (void)Index::open(file, params, Durability::system, on_threads(1)); });
}

TEST(Codes, LiveOnOverRemovalsReplacementsAndSlides) {
  const Matrix data = make_data(Shape::clustered, 3 * kRows, kDimension);
  const Matrix queries = make_data(Shape::clustered, 40, kDimension, 7);
  std::string digests[2];
  for (const bool in_pieces : {false, true}) {
    Index index(coded(), on_threads(in_pieces ? 3 : 1));
    const auto add = [&](std::size_t first, std::size_t n) {
      for (std::size_t i = 0; i < n; i += in_pieces ? 37 : n) {
        index.add(data.slice(first + i, std::min<std::size_t>(in_pieces ? 37 : n, n - i)));
      }
    };
    add(0, kRows);
    std::vector<std::uint64_t> gone;
    for (std::uint64_t label = 0; label < kRows; ++label) {
      if (label % 3 != 0) gone.push_back(label);
    }
    index.remove(gone);
    add(kRows, kRows);
    std::vector<std::uint64_t> replaced(400);
    std::iota(replaced.begin(), replaced.end(), kRows);
    index.update(data.slice(2 * kRows, 400), replaced);
    index.flush();
    EXPECT_LT(index.memory().vectors, 5 * kRows / 2 * (160 + 64)) << "a slide moved codes";
    expect_sound(index.audit());
    digests[in_pieces ? 1 : 0] = index.digest();
    const SearchResult exact = index.exact_search(queries.view(), 10);
    EXPECT_GT(recall_of(index.search(queries.view(), {10, 80}), exact), 0.95);
    // Codes moved with their vectors, so each is near to itself by estimate as well.
    for (std::uint64_t label = 0; label < kRows; label += 3) {
      const std::vector<float> vector = index.vector(label);
      const MatrixView<const float> query(vector.data(), 1, kDimension);
      const SearchResult found = index.search(query, {.k = 1, .ef = 40});
      ASSERT_EQ(found.distances[0], 0.0f) << label;
    }
  }
  EXPECT_EQ(digests[0], digests[1]);
}

// All that never uses codes is what an exact walk of the same graph gives.
TEST(Codes, AreNotUsedByRangesGroupsCursorsExplainAndPresets) {
  const Matrix data = make_data(Shape::clustered, kRows, kDimension);
  const Matrix queries = make_data(Shape::clustered, 10, kDimension, 7);
  Index index = coded_index(data);
  const SearchParams exact_walk{.k = 10, .ef = 60, .use_codes = false};
  const SearchResult walked = index.search(queries.view(), exact_walk);
  const std::uint64_t rescored = index.stats().search.rescored;
  for (std::size_t q = 0; q < queries.rows; ++q) {
    Cursor cursor = index.cursor({queries.row(q), kDimension}, {.k = 1, .ef = 50});
    const SearchResult page = cursor.next(10);
    for (std::size_t j = 0; j < 10; ++j) ASSERT_EQ(page.labels[j], walked.labels[q * 10 + j]);
  }
  const Explanation why = index.explain(queries.slice(0, 1), walked.labels[0]);
  const SearchResult least =
      index.search(queries.slice(0, 1), {.k = 10, .ef = std::max(1u, why.ef), .use_codes = false});
  EXPECT_EQ(std::count(least.labels.begin(), least.labels.end(), walked.labels[0]), 1);
  const RangeResult range = index.range_search(queries.view(), walked.distances[9]);
  EXPECT_GE(range.lims[1], 10u);
  std::vector<std::uint64_t> keys(kRows);
  for (std::size_t r = 0; r < kRows; ++r) keys[r] = r % 100;
  const Groups groups = Groups::of_keys(index, keys);
  (void)index.search(queries.view(), {.k = 5, .ef = 20}, {.groups = &groups});
  const Preset preset = index.tune({.recall = 0.9});
  EXPECT_FALSE(preset.params().use_codes);
  EXPECT_EQ(index.stats().search.rescored, rescored);
}

// Sums of such squares are exact, so each distance can be told from the vector of its label. Memory
// of codes moves while searches run, and rows turn from bytes to floats.
TEST(Codes, AreSearchedBesideAWriter) {
  Matrix data = make_data(Shape::u8, scaled(3000, 900), 24);
  for (std::size_t r = data.rows / 2; r < data.rows; ++r) data.row(r)[5] += 0.5f;
  const Matrix queries = make_data(Shape::u8, 10, 24, 9);
  Index index(coded(Metric::l2sq, 24), on_threads(1));
  index.add(data.slice(0, 100));
  std::atomic<bool> is_done{false};
  std::atomic<std::size_t> wrong{0};
  const auto search = [&] {
    do {
      const SearchResult found = index.search(queries.view(), {.k = 5, .ef = 20});
      for (std::size_t i = 0; i < found.labels.size(); ++i) {
        float distance = 0;
        for (std::size_t e = 0; e < data.cols; ++e) {
          const float difference = queries.row(i / 5)[e] - data.row(found.labels[i])[e];
          distance += difference * difference;
        }
        wrong += distance == found.distances[i] ? 0 : 1;
      }
    } while (!is_done);
  };
  std::thread readers[] = {std::thread(search), std::thread(search)};
  for (std::size_t first = 100; first < data.rows; first += 37) {
    index.add(data.slice(first, std::min<std::size_t>(37, data.rows - first)));
    if (first % 5 == 0) index.remove(std::vector<std::uint64_t>{first - 50, first - 40});
  }
  is_done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0u);
}

TEST(Codes, OfShardsAreThoseOfTheirIndexes) {
  const Matrix data = make_data(Shape::clustered, kRows, kDimension);
  const Matrix queries = make_data(Shape::clustered, 30, kDimension, 7);
  const TempPath folder("shards");
  ShardParams layout;
  layout.shards = 3;
  ShardedIndex index = ShardedIndex::open(folder, coded(), layout, Durability::system);
  index.add(data.view());
  EXPECT_EQ(index.params().codes, Codes::sq8);
  const SearchResult exact = index.exact_search(queries.view(), 10);
  EXPECT_GT(recall_of(index.search(queries.view(), {10, 60}), exact), 0.98);
  EXPECT_GT(index.stats().search.rescored, 0u);
}

TEST(Codes, RefuseNormsWhoseEstimatesWouldOverflow) {
  Matrix data = make_data(Shape::random, 3, kDimension);
  data.row(1)[5] = 1.1e16f;
  for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
    Index index(coded(metric), on_threads(1));
    const std::string empty = index.digest();
    expect_error(ErrorCode::invalid_vector, {"vector 1", "squared norm above 1e+32"},
                 [&] { index.add(data.view()); });
    EXPECT_EQ(index.digest(), empty);
    expect_error(ErrorCode::invalid_vector, {"query 1", "squared norm above 1e+32"},
                 [&] { (void)index.search(data.view(), {}); });
    data.row(1)[5] = 0.9e16f;
    index.add(data.view());
    EXPECT_EQ(index.search(data.view(), {3, 3}).counts[1], 3u);
    data.row(1)[5] = 1.1e16f;
  }
  Index cosine(coded(Metric::cosine), on_threads(1));
  cosine.add(data.view());
}

TEST(Codes, HaveNamesAndAreRefusedOtherwise) {
  EXPECT_STREQ(to_string(Codes::none), "none");
  EXPECT_STREQ(to_string(Codes::sq8), "sq8");
  EXPECT_STREQ(to_string(static_cast<Codes>(9)), "unknown");
  EXPECT_STREQ(to_string(Codes::sq4), "sq4");
  EXPECT_EQ(codes_from_string("SQ8"), Codes::sq8);
  EXPECT_EQ(codes_from_string("Sq4"), Codes::sq4);
  EXPECT_EQ(codes_from_string("None"), Codes::none);
  expect_error(ErrorCode::invalid_parameter, {"'pq'", "none, sq8 and sq4"},
               [] { (void)codes_from_string("pq"); });
  IndexParams params = coded();
  params.codes = static_cast<Codes>(3);
  expect_error(ErrorCode::invalid_parameter, {"codes is 3", "0 to 2"},
               [&] { const Index index(params, on_threads(1)); });
  const Index index = coded_index(make_data(Shape::random, 5, kDimension));
  const Matrix query = make_data(Shape::random, 1, kDimension);
  expect_error(ErrorCode::invalid_parameter, {"rescore is 65537", "0 to 65536"},
               [&] { (void)index.search(query.view(), {.k = 1, .ef = 1, .rescore = 65537}); });
}

TEST(Codes, AreWorkForTheCpuAlone) {
  RuntimeOptions options = on_threads(1);
  options.device = "cuda";
  expect_error(ErrorCode::unsupported, {"codes", "auto and cpu"},
               [&] { const Index index(coded(), options); });
  options.device = "auto";
  Index index(coded(), options);
  index.add(make_data(Shape::random, 300, kDimension).view());
  EXPECT_EQ(index.stats().device.name, "cpu");
  EXPECT_THAT(index.stats().device.reason, testing::HasSubstr("codes"));
}

TEST(Codes, AreCountedAsMemoryOfVectors) {
  const Matrix data = make_data(Shape::random, kRows, kDimension);
  const Index with = coded_index(data);
  IndexParams params = coded();
  params.codes = Codes::none;
  Index without(params, on_threads(2));
  without.add(data.view());
  EXPECT_EQ(with.memory().vectors - without.memory().vectors, kRows * 64);
}

}  // namespace
}  // namespace concord::test
