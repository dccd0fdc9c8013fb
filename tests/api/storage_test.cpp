// Vectors of 16 bits, and floats that never become bytes. Digests by threads, splits and files are
// in determinism_test.cpp.

#include <algorithm>
#include <concord/index.hpp>
#include <concord/interchange.hpp>
#include <cstdint>
#include <numeric>
#include <vector>

#include "common/store/element.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/searched_index.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

constexpr std::uint32_t kDimension = 20;
constexpr std::size_t kRows = 900;

IndexParams stored(Storage storage, Metric metric = Metric::l2sq,
                   std::uint32_t dimension = kDimension) {
  IndexParams params = make_params(dimension, 8, 40, 200, metric);
  params.storage = storage;
  return params;
}

Index index_with(const Matrix& data, const IndexParams& params) {
  Index index(params, on_threads(2));
  index.add(data.view());
  return index;
}

Matrix rounded(const Matrix& data, Storage storage) {
  Matrix result = data;
  core::round(result.values.data(), result.values.size(),
              storage == Storage::f16 ? core::Element::f16 : core::Element::bf16);
  return result;
}

bool same(const SearchResult& a, const SearchResult& b) {
  return a.labels == b.labels && a.distances == b.distances && a.counts == b.counts;
}

class SixteenBits : public testing::TestWithParam<Storage> {};
INSTANTIATE_TEST_SUITE_P(Storage, SixteenBits, testing::Values(Storage::f16, Storage::bf16),
                         [](const auto& test) { return to_string(test.param); });

// Queries are not rounded.
TEST_P(SixteenBits, AreSearchedAsFloatsOfTheSameNumbers) {
  for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
    for (const Shape shape : {Shape::random, Shape::clustered, Shape::duplicate, Shape::constant,
                              Shape::zero, Shape::sorted, Shape::u8, Shape::i8}) {
      for (const std::uint32_t dimension : {1u, 3u, 8u, 17u, 100u}) {
        Matrix data = make_data(shape, kRows, dimension);
        for (float& x : data.values) x *= 0.37f;  // full significands
        const Matrix queries = make_data(Shape::random, 12, dimension, 7);
        const Index small = index_with(data, stored(GetParam(), metric, dimension));
        const Index wide =
            index_with(rounded(data, GetParam()), stored(Storage::f32, metric, dimension));
        const SearchParams search{.k = 10, .ef = 30};
        ASSERT_TRUE(same(small.search(queries.view(), search), wide.search(queries.view(), search)))
            << to_string(metric) << ' ' << to_string(shape) << ' ' << dimension;
        ASSERT_TRUE(
            same(small.exact_search(queries.view(), 10), wide.exact_search(queries.view(), 10)));
        expect_sound(small.audit());
      }
    }
  }
}

TEST_P(SixteenBits, AreRoundedOnceWhenTheyEnter) {
  const Matrix data = make_data(Shape::random, 50, kDimension);
  Matrix fine = data;
  for (float& x : fine.values) x = x * 0.37f + 1e-3f;
  const Index index = index_with(fine, stored(GetParam()));
  const Matrix expected = rounded(fine, GetParam());
  for (std::uint64_t label = 0; label < 50; ++label) {
    const float* const row = expected.row(label);
    ASSERT_EQ(index.vector(label), std::vector<float>(row, row + kDimension));
  }
  const Index again = index_with(expected, stored(GetParam()));
  EXPECT_EQ(again.digest(), index.digest());
}

// Normalised first, then rounded.
TEST_P(SixteenBits, OfCosineAreNormalisedBefore) {
  Matrix data = make_data(Shape::random, 50, kDimension);
  for (float& x : data.values) x *= 1e6f;  // beyond f16
  const Index index = index_with(data, stored(GetParam(), Metric::cosine));
  for (std::uint64_t label = 0; label < 50; ++label) {
    const std::vector<float> vector = index.vector(label);
    double norm = 0;
    for (const float x : vector) norm += double{x} * double{x};
    ASSERT_NEAR(norm, 1, 0.02);
    Matrix one(1, kDimension);
    std::copy(vector.begin(), vector.end(), one.row(0));
    ASSERT_EQ(rounded(one, GetParam()).values, one.values);
  }
}

TEST_P(SixteenBits, TakeHalfTheMemory) {
  const Matrix data = make_data(Shape::random, kRows, 24);
  EXPECT_EQ(index_with(data, stored(GetParam(), Metric::l2sq, 24)).memory().vectors, kRows * 48);
  EXPECT_EQ(index_with(data, stored(Storage::f32, Metric::l2sq, 24)).memory().vectors, kRows * 96);
}

TEST_P(SixteenBits, ComeBackFromFilesAndJournals) {
  const Matrix data = make_data(Shape::clustered, kRows, kDimension);
  const Matrix queries = make_data(Shape::clustered, 20, kDimension, 7);
  const IndexParams params = stored(GetParam());
  const Index index = index_with(data, params);
  const SearchResult expected = index.search(queries.view(), {5, 20});
  const TempPath file;
  index.save(file);
  const Index loaded = Index::load(file, on_threads(2));
  EXPECT_EQ(loaded.params(), params);
  EXPECT_EQ(loaded.digest(), index.digest());
  const Index mapped = Index::map(file, MapCheck::on_open, on_threads(2));
  EXPECT_TRUE(same(mapped.search(queries.view(), {5, 20}), expected));
  const TempPath durable("durable.concord");
  {
    Index half = Index::open(durable, params, Durability::system, on_threads(2));
    half.add(data.slice(0, 400));
    half.compact();
    half.add(data.slice(400, 123));
    half.remove(std::vector<std::uint64_t>{3, 5});
  }
  Index again = Index::open(durable, params, Durability::system, on_threads(2));
  Index straight(params, on_threads(1));
  straight.add(data.slice(0, 523));
  straight.remove(std::vector<std::uint64_t>{3, 5});
  EXPECT_EQ(again.digest(), straight.digest());
}

TEST_P(SixteenBits, ThatOverflowAreRefusedByName) {
  Matrix data = make_data(Shape::random, 3, kDimension);
  data.row(1)[4] = GetParam() == Storage::f16 ? 65520.0f : 1e30f;
  Index index(stored(GetParam()), on_threads(1));
  const std::string empty = index.digest();
  if (GetParam() == Storage::f16) {
    expect_error(ErrorCode::invalid_vector, {"vector 1", "element 4", "65520", "f16"},
                 [&] { index.add(data.view()); });
  } else {
    expect_error(ErrorCode::invalid_vector, {"vector 1", "squared norm"},
                 [&] { index.add(data.view()); });
  }
  EXPECT_EQ(index.size(), 0u);
  EXPECT_EQ(index.digest(), empty);
  data.row(1)[4] = 65519.0f;
  index.add(data.view());
  EXPECT_EQ(index.size(), 3u);
  data.row(1)[4] = 1e10f;
  EXPECT_EQ(index.search(data.view(), {3, 3}).counts[1], 3u) << "a query may be larger";
}

// As with overflow: nothing else would be left of them.
TEST_P(SixteenBits, ThatRoundToZeroAreRefusedByName) {
  for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
    Matrix data(2, kDimension);
    data.row(0)[1] = 1;
    data.row(1)[2] = 1e-9f;
    Index index(stored(GetParam(), metric), on_threads(1));
    if (GetParam() == Storage::f16) {
      expect_error(ErrorCode::invalid_vector, {"vector 1", "f16", "zero"},
                   [&] { index.add(data.view()); });
    } else {
      index.add(data.view());
    }
    index.add(Matrix(1, kDimension).view());
    EXPECT_EQ(index.size(), GetParam() == Storage::f16 ? 1u : 3u) << "zero itself is a vector";
  }
}

TEST_P(SixteenBits, OfCosineAreNoVectorsOfHnswlib) {
  const Matrix data = make_data(Shape::random, 50, kDimension);
  const TempPath file;
  const Index cosine = index_with(data, stored(GetParam(), Metric::cosine));
  expect_error(ErrorCode::unsupported, {to_string(GetParam()), "normalised"},
               [&] { interchange::save_hnswlib(cosine, file); });
  const Index l2 = index_with(data, stored(GetParam()));
  interchange::save_hnswlib(l2, file);
  const Index back =
      interchange::load_hnswlib(file, {.dimension = kDimension, .metric = Metric::l2sq},
                                interchange::Adopt::graph, on_threads(1));
  EXPECT_EQ(back.vector(7), l2.vector(7));
}

TEST_P(SixteenBits, WorkWithCodesRemovalAndSlides) {
  const Matrix data = make_data(Shape::random, 2 * kRows, kDimension);
  IndexParams params = stored(GetParam());
  params.codes = Codes::sq8;
  std::string digests[2];
  for (const std::size_t step : {std::size_t{2} * kRows, std::size_t{31}}) {
    Index index(params, on_threads(2));
    for (std::size_t first = 0; first < kRows; first += step) {
      index.add(data.slice(first, std::min(step, kRows - first)));
    }
    std::vector<std::uint64_t> gone(kRows * 2 / 3);
    std::iota(gone.begin(), gone.end(), std::uint64_t{100});
    index.remove(gone);
    index.flush();
    for (std::size_t first = kRows; first < 2 * kRows; first += step) {
      index.add(data.slice(first, std::min(step, 2 * kRows - first)));
    }
    expect_sound(index.audit());
    digests[step == 31 ? 1 : 0] = index.digest();
    for (std::uint64_t label = 0; label < 100; ++label) {
      const std::vector<float> vector = index.vector(label);
      const SearchResult found = index.search({vector.data(), 1, kDimension}, {1, 60});
      ASSERT_EQ(found.distances[0], 0.0f);
    }
  }
  EXPECT_EQ(digests[0], digests[1]);
}

TEST_P(SixteenBits, AreWorkForTheCpuAlone) {
  RuntimeOptions options = on_threads(1);
  options.device = "cuda";
  expect_error(ErrorCode::unsupported, {"16-bit storage", "auto and cpu"},
               [&] { const Index index(stored(GetParam()), options); });
}

TEST_P(SixteenBits, AreOtherIndexesThanFloats) {
  const Matrix data = make_data(Shape::u8, 100, kDimension);  // which 16 bits hold exactly
  EXPECT_NE(index_with(data, stored(GetParam())).digest(),
            index_with(data, stored(Storage::f32)).digest());
}

TEST(Storage, OfFloatsIsTheIndexThatIsAutomatic) {
  for (const Metric metric : kAllMetrics) {
    for (const Shape shape : {Shape::random, Shape::u8, Shape::i8}) {
      const Matrix data = make_data(shape, kRows, kDimension);
      const Matrix queries = make_data(shape, 20, kDimension, 7);
      const Index wide = index_with(data, stored(Storage::f32, metric));
      const Index automatic = index_with(data, stored(Storage::automatic, metric));
      EXPECT_EQ(wide.digest(), automatic.digest());
      EXPECT_TRUE(
          same(wide.search(queries.view(), {5, 20}), automatic.search(queries.view(), {5, 20})));
      EXPECT_EQ(wide.memory().vectors, kRows * 24 * 4);
      const TempPath file;
      wide.save(file);
      const Index loaded = Index::load(file, on_threads(2));
      EXPECT_EQ(loaded.params().storage, Storage::f32);
      EXPECT_EQ(loaded.memory().vectors, wide.memory().vectors);
    }
  }
}

TEST(Storage, HasNamesAndIsRefusedOtherwise) {
  for (const Storage storage : {Storage::automatic, Storage::f32, Storage::f16, Storage::bf16}) {
    EXPECT_EQ(storage_from_string(to_string(storage)), storage);
  }
  EXPECT_EQ(storage_from_string("Float16"), Storage::f16);
  EXPECT_EQ(storage_from_string("bfloat16"), Storage::bf16);
  EXPECT_EQ(storage_from_string("auto"), Storage::automatic);
  EXPECT_EQ(storage_from_string("float32"), Storage::f32);
  EXPECT_STREQ(to_string(static_cast<Storage>(9)), "unknown");
  expect_error(ErrorCode::invalid_parameter, {"'f8'", "bf16"},
               [] { (void)storage_from_string("f8"); });
  expect_error(ErrorCode::invalid_parameter, {"storage is 4", "0 to 3"},
               [&] { const Index index(stored(static_cast<Storage>(4)), on_threads(1)); });
}

}  // namespace
}  // namespace concord::test
