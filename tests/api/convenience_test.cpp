// Short forms of additions and searches: arrays of floats in the place of views, k and ef in the
// place of parameters. They give what the long forms give, and refuse what is no whole number of
// vectors.

#include <concord/version.h>

#include <array>
#include <concord/sharded_index.hpp>

#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

constexpr std::size_t kDimension = 3;

template <class AnyIndex>
class Convenience : public testing::Test {};
using Indexes = testing::Types<Index, ShardedIndex>;
TYPED_TEST_SUITE(Convenience, Indexes);

IndexParams params() { return {.dimension = kDimension}; }

TYPED_TEST(Convenience, ArraysAreRows) {
  for (std::size_t n = 0; n <= 5; ++n) {
    const Matrix data = make_data(Shape::random, n, kDimension);
    const std::vector<std::uint64_t> labels{9, 8, 7, 6, 5};
    TypeParam expected(params());
    TypeParam index(params());
    EXPECT_EQ(index.add(data.values), expected.add(data.view()));
    EXPECT_EQ(index.digest(), expected.digest());
    TypeParam labelled(params());
    TypeParam expected_labelled(params());
    EXPECT_EQ(labelled.add(data.values, std::span(labels).first(n)),
              expected_labelled.add(data.view(), std::span(labels).first(n)));
    EXPECT_EQ(labelled.digest(), expected_labelled.digest());
  }
  TypeParam index(params());
  const float two[] = {1, 2, 3, 4, 5, 6};
  EXPECT_EQ(index.add(two), 2u);
  EXPECT_EQ(index.add(std::array<float, 3>{7, 8, 9}), 1u);
  EXPECT_EQ(index.add(std::span<const float>(two).first(3)), 1u);
  EXPECT_EQ(index.size(), 4u);
}

TYPED_TEST(Convenience, PartsOfVectorsAreRefused) {
  TypeParam index(params());
  const std::vector<float> four(4);
  const std::uint64_t label[] = {1};
  expect_error(ErrorCode::dimension_mismatch, {"4", "3"}, [&] { index.add(four); });
  expect_error(ErrorCode::dimension_mismatch, {"4", "3"}, [&] { index.add(four, label); });
  expect_error(ErrorCode::dimension_mismatch, {"4", "3"},
               [&] { static_cast<void>(index.search(four, 1)); });
  EXPECT_TRUE(index.empty());
  expect_error(ErrorCode::dimension_mismatch, {"0"}, [&] { static_cast<void>(rows_of(four, 0)); });
}

TYPED_TEST(Convenience, SearchTakesKAndEf) {
  const Matrix data = make_data(Shape::random, 200, kDimension);
  TypeParam index(params());
  index.add(data.values);
  const auto labels_of = [](const SearchResult& result) { return result.labels; };
  const SearchResult expected = index.search(data.view(), {.k = 4});
  EXPECT_EQ(labels_of(index.search(data.view(), 4)), expected.labels);
  EXPECT_EQ(labels_of(index.search(data.values, std::size_t{4})), expected.labels);
  EXPECT_EQ(labels_of(index.search(data.values, 4, 150)),
            labels_of(index.search(data.view(), {.k = 4, .ef = 150})));
  // Braces without a name still mean SearchParams.
  EXPECT_EQ(index.search(data.view(), {}).k, SearchParams{}.k);
  EXPECT_EQ(index.search(data.view(), {7}).k, 7u);
}

// 2^32 + 4 is not 4.
TYPED_TEST(Convenience, AKThatDoesNotFitIsRefused) {
  TypeParam index(params());
  const std::vector<float> query(kDimension);
  for (const std::int64_t k :
       {std::int64_t{-1}, (std::int64_t{1} << 32) + 4, std::int64_t{65537}}) {
    expect_error(ErrorCode::invalid_parameter, {"k is"},
                 [&] { static_cast<void>(index.search(query, k)); });
  }
}

TEST(Version, IsOneNumber) {
  static_assert(CONCORD_VERSION == CONCORD_VERSION_MAJOR * 10000 + CONCORD_VERSION_MINOR * 100 +
                                       CONCORD_VERSION_PATCH);
#if CONCORD_VERSION < 200
  FAIL() << "a version before 0.2";
#endif
}

}  // namespace
}  // namespace concord::test
