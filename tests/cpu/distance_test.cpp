// Distance kernels: the same bits from every instruction set, and the right value.

#include "cpu/distance.hpp"

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <numeric>

#include "common/base/half.hpp"
#include "cpu/isa.hpp"
#include "tests/support/bytes_before_a_guard.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord::cpu {
namespace {

std::vector<std::size_t> all_dimensions() {
  std::vector<std::size_t> dimensions(260);
  std::iota(dimensions.begin(), dimensions.end(), 1);
  dimensions.insert(dimensions.end(), {384, 768, 784, 960, 1536, 2048});
  return dimensions;
}

constexpr std::size_t kRows = 9;

// A query and kRows rows, padded, `offset` floats away from the allocation's alignment.
struct Problem {
  Problem(std::size_t dimension_, std::size_t offset, float scale)
      : dimension(dimension_),
        stride((dimension_ + 7) / 8 * 8),
        memory((kRows + 1) * stride + 64),
        query(memory.data() + offset),
        base(query + stride) {
    for (std::size_t r = 0; r <= kRows; ++r) {
      for (std::size_t e = 0; e < dimension; ++e) {
        // Full mantissas and mixed signs, so that every rounding shows.
        const double x = static_cast<double>(test::hash(offset, r, e) >> 11) / 0x1p52 - 1;
        query[r * stride + e] = static_cast<float>(x) * scale;
      }
    }
  }

  std::size_t dimension;
  std::size_t stride;
  std::vector<float> memory;
  float* query;
  float* base;
};

const std::uint32_t kIds[kRows] = {8, 0, 7, 1, 6, 2, 2, 5, 3};

TEST(Distance, HasTheSameBitsFromEveryKernel) {
  const std::vector<std::string> isas = test::supported_isas();
  for (const std::size_t dimension : all_dimensions()) {
    const Problem p(dimension, dimension % 17, 3.0f);
    for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
      const RowKernels& oracle = for_metric(kScalarKernels, metric).f32;
      for (const std::string& isa : isas) {
        const RowKernels& kernels = for_metric(kernels_named(isa), metric).f32;
        for (std::size_t n = 0; n <= kRows; ++n) {
          float expected[kRows + 1];
          float got[kRows + 1];
          const auto expect_same_bits = [&](const char* what) {
            for (std::size_t j = 0; j < n; ++j) {
              ASSERT_EQ(std::bit_cast<std::uint32_t>(got[j]),
                        std::bit_cast<std::uint32_t>(expected[j]))
                  << isa << ' ' << what << ' ' << to_string(metric) << " d " << dimension << " n "
                  << n;
            }
            ASSERT_EQ(got[n], -77.0f) << isa << " wrote beyond n";
          };
          std::fill(std::begin(got), std::end(got), -77.0f);
          oracle.range(p.query, p.base, p.stride, n, expected);
          kernels.range(p.query, p.base, p.stride, n, got);
          expect_same_bits("range");
          std::fill(std::begin(got), std::end(got), -77.0f);
          oracle.ids(p.query, p.base, p.stride, kIds, n, expected);
          kernels.ids(p.query, p.base, p.stride, kIds, n, got);
          expect_same_bits("ids");
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

// Every number of queries and rows, so that each has pairs in a tile and pairs beside it.
template <class Element>
void expect_block_like_queries_alone(RowKernels MetricKernels::*of_queries_as_rows,
                                     std::size_t dimension) {
  constexpr std::size_t kQueries = 8;
  const std::size_t stride = (dimension + 7) / 8 * 8;
  std::vector<Element> memory((kQueries + kRows) * stride + 16);
  Element* const queries = memory.data() + dimension % 13;
  for (std::size_t r = 0; r < kQueries + kRows; ++r) {
    for (std::size_t e = 0; e < dimension; ++e) {
      const std::uint64_t random = test::hash(r, e, dimension);
      queries[r * stride + e] = std::is_same_v<Element, float>
                                    ? static_cast<Element>(static_cast<double>(random) / 0x1p63 - 1)
                                    : static_cast<Element>(random % 256);
    }
  }
  const Element* const rows = queries + kQueries * stride;
  constexpr std::size_t kOutStride = kRows + 2;
  for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
    const RowKernels& oracle = for_metric(kScalarKernels, metric).*of_queries_as_rows;
    for (const std::string& isa : test::supported_isas()) {
      const RowKernels& kernels = for_metric(kernels_named(isa), metric).*of_queries_as_rows;
      for (std::size_t count = 0; count <= kQueries; ++count) {
        for (std::size_t n = 0; n <= kRows; ++n) {
          std::vector<float> expected(kQueries * kOutStride, -77.0f);
          std::vector<float> got = expected;
          for (std::size_t i = 0; i < count; ++i) {
            oracle.range(queries + i * stride, rows, stride, n, &expected[i * kOutStride]);
          }
          kernels.block(queries, count, rows, stride, n, got.data(), kOutStride);
          ASSERT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)), 0)
              << isa << ' ' << to_string(metric) << " d " << dimension << ' ' << count << " × "
              << n;
        }
      }
    }
  }
}

TEST(Distance, OfABlockHasTheBitsOfEachQueryAlone) {
  for (const std::size_t dimension :
       {1u,  2u,  3u,  4u,  5u,   6u,   7u,   8u,   9u,   10u,  11u,  12u,  13u,
        14u, 15u, 16u, 17u, 18u,  19u,  20u,  31u,  32u,  33u,  40u,  63u,  64u,
        65u, 95u, 96u, 97u, 100u, 127u, 128u, 129u, 384u, 784u, 960u, 1536u}) {
    expect_block_like_queries_alone<float>(&MetricKernels::f32, dimension);
    if (dimension <= kMaxByteStride) {
      expect_block_like_queries_alone<std::uint8_t>(&MetricKernels::both_u8, dimension);
      expect_block_like_queries_alone<std::int8_t>(&MetricKernels::both_i8, dimension);
    }
    if (HasFatalFailure()) return;
  }
}

// Rows of bytes with queries of floats, as where bytes are longer than kMaxByteStride.
TEST(Distance, OfABlockOfLongBytesHasTheBitsOfEachQueryAlone) {
  constexpr std::size_t kQueries = 7;
  for (const std::size_t stride : {8u, 24u, 1032u, 1536u}) {
    std::vector<float> queries(kQueries * stride);
    std::vector<std::uint8_t> rows(kRows * stride);
    for (std::size_t e = 0; e < queries.size(); ++e) {
      queries[e] = static_cast<float>(test::hash(e, 1, stride) % 256);
    }
    for (std::size_t e = 0; e < rows.size(); ++e) {
      rows[e] = static_cast<std::uint8_t>(test::hash(e, 2, stride) % 128);
    }
    for (const std::string& isa : test::supported_isas()) {
      for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
        for (const auto of_bytes : {&MetricKernels::u8, &MetricKernels::i8}) {
          std::vector<float> expected(kQueries * kRows);
          std::vector<float> got(kQueries * kRows);
          for (std::size_t i = 0; i < kQueries; ++i) {
            (for_metric(kScalarKernels, metric).*of_bytes)
                .range(&queries[i * stride], rows.data(), stride, kRows, &expected[i * kRows]);
          }
          (for_metric(kernels_named(isa), metric).*of_bytes)
              .block(queries.data(), kQueries, rows.data(), stride, kRows, got.data(), kRows);
          ASSERT_EQ(got, expected) << isa << " stride " << stride;
        }
      }
    }
  }
}

/// Expects rows of another kind, compared by `kernels` with `query`, to have the bits of the floats
/// of the problem, by numbers of rows and by ids.
void expect_like_floats(const Problem& p, RowKernels MetricKernels::*kernels, const void* query,
                        const void* base) {
  for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
    for (const std::string& isa : test::supported_isas()) {
      const RowKernels& tried = for_metric(kernels_named(isa), metric).*kernels;
      const RowKernels& oracle = for_metric(kScalarKernels, metric).f32;
      for (std::size_t n = 0; n <= kRows; ++n) {
        float expected[kRows + 1];
        float got[kRows + 1];
        std::fill(std::begin(got), std::end(got), -77.0f);
        std::fill(std::begin(expected), std::end(expected), -77.0f);
        oracle.range(p.query, p.base, p.stride, n, expected);
        tried.range(query, base, p.stride, n, got);
        ASSERT_EQ(std::memcmp(got, expected, sizeof got), 0) << isa << " d " << p.dimension;
        oracle.ids(p.query, p.base, p.stride, kIds, n, expected);
        tried.ids(query, base, p.stride, kIds, n, got);
        ASSERT_EQ(std::memcmp(got, expected, sizeof got), 0) << isa << " d " << p.dimension;
      }
    }
  }
}

/// The same for rows of T, element e of row r being element(r, e), in every dimension.
template <class T, class Element>
void expect_rows_like_floats(RowKernels MetricKernels::*kernels, const Element& element) {
  for (const std::size_t dimension : all_dimensions()) {
    Problem p(dimension, dimension % 13, 3.0f);
    std::vector<T> rows((kRows + 1) * p.stride + 16);
    T* const base = rows.data() + dimension % 11;
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t e = 0; e < dimension; ++e) {
        base[r * p.stride + e] = element(r, e);
        p.base[r * p.stride + e] = static_cast<float>(base[r * p.stride + e]);
      }
    }
    expect_like_floats(p, kernels, p.query, base);
    if (testing::Test::HasFatalFailure()) return;
  }
}

// All numbers below the limit turn up, denormals and both zeros as well.
template <class Small>
void expect_sixteen_bits_like_floats(RowKernels MetricKernels::*kernels, std::uint32_t limit) {
  std::uint32_t next = 0;
  expect_rows_like_floats<Small>(kernels, [&](std::size_t r, std::size_t /*e*/) {
    return Small{static_cast<std::uint16_t>(next++ % limit | (r % 2) << 15)};
  });
}

TEST(Distance, OfHalfPrecisionHasTheBitsOfFloats) {
  expect_sixteen_bits_like_floats<core::Half>(&MetricKernels::f16, 0x7C00);
}

TEST(Distance, OfBfloatHasTheBitsOfFloats) {
  // To 2^40, so that no distance overflows.
  expect_sixteen_bits_like_floats<core::BFloat16>(&MetricKernels::bf16, (127 + 40) << 7);
}

TEST(Distance, OfUnsignedBytesHasTheBitsOfFloats) {
  expect_rows_like_floats<std::uint8_t>(&MetricKernels::u8, [](std::size_t r, std::size_t e) {
    return static_cast<std::uint8_t>(test::hash(r, e, 7) % 256);
  });
}

TEST(Distance, OfSignedBytesHasTheBitsOfFloats) {
  expect_rows_like_floats<std::int8_t>(&MetricKernels::i8, [](std::size_t r, std::size_t e) {
    return static_cast<std::int8_t>(test::hash(r, e, 7) % 256);
  });
}

// Bytes to bytes, by integers, at the largest sums and on both sides of every vector width.
template <class Byte>
void expect_integers_like_floats(RowKernels MetricKernels::*kernels_for_bytes) {
  std::vector<std::size_t> dimensions(kMaxByteStride);
  std::iota(dimensions.begin(), dimensions.end(), 1);
  constexpr int kLeast = std::numeric_limits<Byte>::min();
  for (const std::size_t dimension : dimensions) {
    Problem p(dimension, dimension % 13, 1.0f);
    std::vector<Byte> bytes((kRows + 1) * p.stride + 16);
    Byte* const query = bytes.data() + dimension % 11;
    for (std::size_t r = 0; r <= kRows; ++r) {
      for (std::size_t e = 0; e < dimension; ++e) {
        const std::uint64_t random = test::hash(r, e, 8);
        int value = kLeast + static_cast<int>(random % 256);
        if (r % 3 == 0) value = r == 3 ? kLeast + 255 : kLeast;  // as far apart as can be
        if (r == 8) value = kLeast + static_cast<int>(random % 2) * 255;
        query[r * p.stride + e] = static_cast<Byte>(value);
        p.query[r * p.stride + e] = static_cast<float>(value);
      }
    }
    expect_like_floats(p, kernels_for_bytes, query, query + p.stride);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(Distance, BetweenUnsignedBytesHasTheBitsOfFloats) {
  expect_integers_like_floats<std::uint8_t>(&MetricKernels::both_u8);
}

TEST(Distance, BetweenSignedBytesHasTheBitsOfFloats) {
  expect_integers_like_floats<std::int8_t>(&MetricKernels::both_i8);
}

// A kernel that reads beyond the query or the last row ends this test by a signal.
TEST(Distance, ReadsNothingBeyondTheEndOfQueryAndRows) {
  struct Form {
    RowKernels MetricKernels::*kernels;
    std::size_t query_element;
    std::size_t row_element;
  };
  const Form forms[] = {{&MetricKernels::f32, 4, 4},
                        {&MetricKernels::u8, 4, 1},
                        {&MetricKernels::i8, 4, 1},
                        {&MetricKernels::both_u8, 1, 1},
                        {&MetricKernels::both_i8, 1, 1}};
  for (const Form& form : forms) {
    for (std::size_t stride = 8; stride <= 136; stride += 8) {
      const test::BytesBeforeAGuard query(stride * form.query_element);
      const test::BytesBeforeAGuard queries(4 * stride * form.query_element);
      for (std::size_t n = 1; n <= kRows; ++n) {
        const test::BytesBeforeAGuard rows(n * stride * form.row_element);
        const auto last = static_cast<std::uint32_t>(n - 1);
        for (const std::string& isa : test::supported_isas()) {
          const RowKernels& kernels = kernels_named(isa).l2sq.*form.kernels;
          std::vector<float> distances(n, -1.0f);
          kernels.range(query.data(), rows.data(), stride, n, distances.data());
          EXPECT_EQ(distances, std::vector<float>(n)) << isa << " stride " << stride;
          std::vector<float> block(4 * n, -1.0f);
          kernels.block(queries.data(), 4, rows.data(), stride, n, block.data(), n);
          EXPECT_EQ(block, std::vector<float>(4 * n)) << isa << " stride " << stride;
          distances[0] = -1;
          kernels.ids(query.data(), rows.data(), stride, &last, 1, distances.data());
          EXPECT_EQ(distances[0], 0) << isa << " stride " << stride;
        }
      }
    }
  }
}

// Far above kMaxByteStride floats round where integers would not: the reason why there is a limit.
TEST(Distance, OfLongBytesIsRoundedByFloats) {
  constexpr std::size_t kStride = 4096;
  const std::vector<float> zero(kStride);
  std::size_t rounded = 0;
  for (std::uint64_t r = 0; r < 50; ++r) {
    std::vector<float> row(kStride);
    std::int64_t sum = 0;
    for (std::size_t e = 0; e < kStride; ++e) {
      const auto value = static_cast<int>(128 + test::hash(r, e, 9) % 128);
      row[e] = static_cast<float>(value);
      sum += value * value;
    }
    float distance = 0;
    kScalarKernels.l2sq.f32.range(zero.data(), row.data(), kStride, 1, &distance);
    rounded += distance != static_cast<float>(sum) ? 1 : 0;
  }
  EXPECT_GT(rounded, 0u);
}

TEST(Distance, IsNearTheExactValue) {
  for (const float scale : {1e-12f, 1.0f, 1e15f}) {
    for (const std::size_t dimension : all_dimensions()) {
      const Problem p(dimension, 3, scale);
      float l2sq[kRows];
      float inner_product[kRows];
      kScalarKernels.l2sq.f32.range(p.query, p.base, p.stride, kRows, l2sq);
      kScalarKernels.inner_product.f32.range(p.query, p.base, p.stride, kRows, inner_product);
      // Each accumulator adds d/32 terms, five additions reduce them, the difference is rounded
      // twice.
      const double roundings = static_cast<double>(dimension) / 32 + 9;
      const double relative = roundings * 0x1p-24 * 1.001;
      for (std::size_t r = 0; r < kRows; ++r) {
        double squares = 0;
        double products = 0;
        double magnitudes = 0;
        for (std::size_t e = 0; e < dimension; ++e) {
          const double x = p.query[e];
          const double y = p.base[r * p.stride + e];
          squares += (x - y) * (x - y);
          products += x * y;
          magnitudes += std::abs(x * y);
        }
        ASSERT_NEAR(l2sq[r], squares, relative * squares) << "d " << dimension;
        ASSERT_NEAR(inner_product[r], 1 - products, relative * (magnitudes + 1))
            << "d " << dimension;
      }
    }
  }
}

TEST(Distance, OfAVectorToItselfIsZeroAndIsSymmetric) {
  for (const std::string& isa : test::supported_isas()) {
    const DistanceKernels& kernels = kernels_named(isa);
    for (const std::size_t dimension : {1u, 31u, 100u, 784u}) {
      const Problem p(dimension, 1, 5.0f);
      float there = -1;
      float back = -2;
      kernels.l2sq.f32.range(p.query, p.query, p.stride, 1, &there);
      EXPECT_EQ(there, 0);
      for (const RowKernels& metric : {kernels.l2sq.f32, kernels.inner_product.f32}) {
        metric.range(p.query, p.base, p.stride, 1, &there);
        metric.range(p.base, p.query, p.stride, 1, &back);
        EXPECT_EQ(there, back);
      }
    }
  }
}

// The canonical order, written a second time: accumulators, quads first, then the tree.
TEST(Distance, FollowsTheCanonicalOrder) {
  for (const std::size_t dimension : {1u, 8u, 33u, 95u, 960u}) {
    const Problem p(dimension, 2, 1.0f);
    float a[32] = {};
    for (std::size_t e = 0; e < dimension; ++e)
      a[e % 32] = std::fma(p.query[e], p.base[e], a[e % 32]);
    for (const int width : {1, 2}) {
      for (int i = 0; i < 32; i += 2 * width) a[i] += a[i + width];
    }
    for (const int distance : {16, 8, 4}) {
      for (int i = 0; i < distance; i += 4) a[i] += a[i + distance];
    }
    for (const std::string& isa : test::supported_isas()) {
      float got = 0;
      kernels_named(isa).inner_product.f32.range(p.query, p.base, p.stride, 1, &got);
      EXPECT_EQ(got, 1.0f - a[0]) << isa << " d " << dimension;
    }
  }
}

TEST(Distance, StaysFiniteAtTheLargestNormAllowed) {
  for (const std::size_t dimension : {1u, 3u, 64u, 1000u}) {
    const test::Matrix data = test::make_data(test::Shape::huge_norm, 2, dimension);
    const std::size_t stride = (dimension + 7) / 8 * 8;
    std::vector<float> rows(2 * stride);
    std::copy(data.row(0), data.row(0) + dimension, rows.begin());
    std::transform(data.row(0), data.row(0) + dimension, rows.begin() + static_cast<long>(stride),
                   [](float x) { return -x; });
    for (const std::string& isa : test::supported_isas()) {
      float distance = 0;
      kernels_named(isa).l2sq.f32.range(rows.data(), rows.data() + stride, stride, 1, &distance);
      EXPECT_TRUE(std::isfinite(distance));
      kernels_named(isa).inner_product.f32.range(rows.data(), rows.data() + stride, stride, 1,
                                                 &distance);
      EXPECT_TRUE(std::isfinite(distance));
    }
  }
}

}  // namespace
}  // namespace concord::cpu
