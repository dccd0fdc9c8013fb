// Distance kernels for AVX2 and FMA: two rows at a time, four 8-lane accumulators each, or one of
// integers; or four rows by three queries.
// Compiled with -mavx2 -mfma; holds leaf code only (see distance.hpp).

#include <immintrin.h>

#include <type_traits>

#include "cpu/code_estimates.hpp"
#include "cpu/distance.hpp"
#include "cpu/rotated_estimates.hpp"

namespace concord::cpu {
namespace {

struct L2sq {
  static __m256i pairs(__m256i x, __m256i y) {
    const __m256i difference = _mm256_sub_epi16(x, y);
    return _mm256_madd_epi16(difference, difference);
  }
  static __m256 step(__m256 sum, __m256 x, __m256 y) {
    const __m256 difference = _mm256_sub_ps(x, y);
    return _mm256_fmadd_ps(difference, difference, sum);
  }
  static __m128 finish(__m128 sum) { return sum; }
};

struct InnerProduct {
  static __m256i pairs(__m256i x, __m256i y) { return _mm256_madd_epi16(x, y); }
  static __m256 step(__m256 sum, __m256 x, __m256 y) { return _mm256_fmadd_ps(x, y, sum); }
  static __m128 finish(__m128 sum) { return _mm_sub_ps(_mm_set1_ps(1.0f), sum); }
};

// Eight elements of a row as floats.
struct F32 {
  using type = float;
  static __m256 load(const float* p) { return _mm256_loadu_ps(p); }
};
struct U8 {
  using type = std::uint8_t;
  static __m256 load(const std::uint8_t* p) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
  }
  static __m256i widen(__m128i bytes) { return _mm256_cvtepu8_epi16(bytes); }
};
struct I8 {
  using type = std::int8_t;
  static __m256 load(const std::int8_t* p) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
  }
  static __m256i widen(__m128i bytes) { return _mm256_cvtepi8_epi16(bytes); }
};

// 16-bit floats are below their infinity. A float with the bits of a magnitude, 13 places higher,
// is 2^-112 times the number, also where that is denormal. So no F16C is needed.
struct F16 {
  using type = std::uint16_t;
  static __m256 load(const std::uint16_t* p) {
    const __m128i words = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m256i wide = _mm256_cvtepu16_epi32(words);
    const __m256i magnitude = _mm256_and_si256(wide, _mm256_set1_epi32(0x7FFF));
    const __m256i sign = _mm256_slli_epi32(_mm256_xor_si256(wide, magnitude), 16);
    const __m256 scaled = _mm256_mul_ps(_mm256_castsi256_ps(_mm256_slli_epi32(magnitude, 13)),
                                        _mm256_set1_ps(0x1p112f));
    return _mm256_or_ps(scaled, _mm256_castsi256_ps(sign));
  }
};
struct BF16 {
  using type = std::uint16_t;
  static __m256 load(const std::uint16_t* p) {
    const __m128i words = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(words), 16));
  }
};

template <class Element>
concept Byte = sizeof(typename Element::type) == 1;

// Sums of a query to rows x and y, as distances in the low two lanes.
template <class Metric>
__m128 finish(const __m256 (&a)[4], const __m256 (&b)[4]) {
  // Accumulator c holds quads 2c and 2c + 1. Per 128-bit lane: [x Q, y Q, x Q, y Q] of quads
  // (0, 2 | 1, 3) and (4, 6 | 5, 7).
  const __m256 q03 = _mm256_hadd_ps(_mm256_hadd_ps(a[0], b[0]), _mm256_hadd_ps(a[1], b[1]));
  const __m256 q47 = _mm256_hadd_ps(_mm256_hadd_ps(a[2], b[2]), _mm256_hadd_ps(a[3], b[3]));
  const __m256 r = _mm256_add_ps(q03, q47);  // [R_0 x, R_0 y, R_2 x, R_2 y | R_1, R_1, R_3, R_3]
  const __m256 s = _mm256_add_ps(r, _mm256_permute_ps(r, 0x4E));
  return Metric::finish(_mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1)));
}

// Distances of the query to rows x and y in the low two lanes.
template <class Metric, class Element>
__m128 score_two(const float* query, const typename Element::type* x,
                 const typename Element::type* y, std::size_t stride) {
  __m256 a[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                 _mm256_setzero_ps()};
  __m256 b[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                 _mm256_setzero_ps()};
  std::size_t e = 0;
  for (; e + 32 <= stride; e += 32) {
    for (std::size_t c = 0; c < 4; ++c) {
      const __m256 q = _mm256_loadu_ps(query + e + 8 * c);
      a[c] = Metric::step(a[c], q, Element::load(x + e + 8 * c));
      b[c] = Metric::step(b[c], q, Element::load(y + e + 8 * c));
    }
  }
  for (std::size_t c = 0; c < 3; ++c) {
    if (e + 8 * c >= stride) break;
    const __m256 q = _mm256_loadu_ps(query + e + 8 * c);
    a[c] = Metric::step(a[c], q, Element::load(x + e + 8 * c));
    b[c] = Metric::step(b[c], q, Element::load(y + e + 8 * c));
  }
  return finish<Metric>(a, b);
}

// Elements as 16-bit integers.
template <Byte Element>
__m256i load_sixteen(const typename Element::type* p) {
  return Element::widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
template <Byte Element>
__m256i load_eight(const typename Element::type* p) {
  return Element::widen(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}

// As above; lane i of the sums has elements 2i and 2i + 1, modulo 16.
template <class Metric>
__m128 finish(__m256i a, __m256i b) {
  // [R_0 x, R_1 x, R_0 y, R_1 y | R_2, R_3, R_2, R_3]
  const __m256 r = _mm256_cvtepi32_ps(_mm256_hadd_epi32(a, b));
  const __m128 s = _mm_add_ps(_mm256_castps256_ps128(r), _mm256_extractf128_ps(r, 1));
  return Metric::finish(_mm_hadd_ps(s, s));
}

// The same of bytes to a query of bytes.
template <class Metric, Byte Element>
__m128 score_two(const typename Element::type* query, const typename Element::type* x,
                 const typename Element::type* y, std::size_t stride) {
  __m256i a = _mm256_setzero_si256();
  __m256i b = _mm256_setzero_si256();
  std::size_t e = 0;
  for (; e + 16 <= stride; e += 16) {
    const __m256i q = load_sixteen<Element>(query + e);
    a = _mm256_add_epi32(a, Metric::pairs(q, load_sixteen<Element>(x + e)));
    b = _mm256_add_epi32(b, Metric::pairs(q, load_sixteen<Element>(y + e)));
  }
  if (e < stride) {  // 8 elements are left
    const __m256i q = load_eight<Element>(query + e);
    a = _mm256_add_epi32(a, Metric::pairs(q, load_eight<Element>(x + e)));
    b = _mm256_add_epi32(b, Metric::pairs(q, load_eight<Element>(y + e)));
  }
  return finish<Metric>(a, b);
}

constexpr std::size_t kTileQueries = 3;
constexpr std::size_t kTileRows = 4;

// Distances of kTileQueries queries to kTileRows rows. One of the four accumulators of all pairs is
// summed at a time, because 12 fit in the 16 registers and 48 do not.
template <class Metric, class Element>
void score_tile(const float* queries, const typename Element::type* rows, std::size_t stride,
                float* out, std::size_t out_stride) {
  __m256 sums[kTileQueries][kTileRows][4];
  for (std::size_t c = 0; c < 4; ++c) {
    __m256 a[kTileQueries][kTileRows] = {};
    for (std::size_t e = 8 * c; e < stride; e += 32) {
      for (std::size_t r = 0; r < kTileRows; ++r) {
        const __m256 x = Element::load(rows + r * stride + e);
        for (std::size_t i = 0; i < kTileQueries; ++i)
          a[i][r] = Metric::step(a[i][r], _mm256_loadu_ps(queries + i * stride + e), x);
      }
    }
    for (std::size_t i = 0; i < kTileQueries; ++i) {
      for (std::size_t r = 0; r < kTileRows; ++r) sums[i][r][c] = a[i][r];
    }
  }
  for (std::size_t i = 0; i < kTileQueries; ++i) {
    for (std::size_t r = 0; r < kTileRows; r += 2) {
      _mm_storel_pi(reinterpret_cast<__m64*>(out + i * out_stride + r),
                    finish<Metric>(sums[i][r], sums[i][r + 1]));
    }
  }
}

template <class Metric, class Element, class Query, class Row>
void score(const Query* query, Row row, std::size_t stride, std::size_t n, float* out) {
  std::size_t j = 0;
  for (; j + 2 <= n; j += 2) {
    _mm_storel_pi(reinterpret_cast<__m64*>(out + j),
                  score_two<Metric, Element>(query, row(j), row(j + 1), stride));
  }
  if (j < n) _mm_store_ss(out + j, score_two<Metric, Element>(query, row(j), row(j), stride));
}

template <class Metric, class Query, class Element>
void score_ids(const void* query, const void* base, std::size_t stride, const std::uint32_t* ids,
               std::size_t n, float* out) {
  const auto* first = static_cast<const typename Element::type*>(base);
  score<Metric, Element>(
      static_cast<const Query*>(query), [=](std::size_t j) { return first + ids[j] * stride; },
      stride, n, out);
}

template <class Metric, class Query, class Element>
void score_block(const void* queries, std::size_t count, const void* base, std::size_t stride,
                 std::size_t n, float* out, std::size_t out_stride) {
  const auto* query = static_cast<const Query*>(queries);
  const auto* first = static_cast<const typename Element::type*>(base);
  // Bytes gain nothing from tiles, because widening them is little of the work.
  constexpr bool kTiles = std::is_same_v<Query, float>;
  const std::size_t tiled_queries = kTiles ? count / kTileQueries * kTileQueries : 0;
  const std::size_t tiled_rows = n / kTileRows * kTileRows;
  for (std::size_t i = 0; i < tiled_queries; i += kTileQueries) {
    for (std::size_t j = 0; j < tiled_rows; j += kTileRows) {
      if constexpr (kTiles) {
        score_tile<Metric, Element>(query + i * stride, first + j * stride, stride,
                                    out + i * out_stride + j, out_stride);
      }
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t done = i < tiled_queries ? tiled_rows : 0;
    score<Metric, Element>(
        query + i * stride, [=](std::size_t j) { return first + (done + j) * stride; }, stride,
        n - done, out + i * out_stride + done);
  }
}

template <class Metric, class Query, class Element>
constexpr RowKernels kRowKernels = {score_ids<Metric, Query, Element>,
                                    score_block<Metric, Query, Element>};
template <class Metric>
constexpr MetricKernels kMetricKernels = {
    kRowKernels<Metric, float, F32>,      kRowKernels<Metric, float, U8>,
    kRowKernels<Metric, float, I8>,       kRowKernels<Metric, float, F16>,
    kRowKernels<Metric, float, BF16>,     kRowKernels<Metric, std::uint8_t, U8>,
    kRowKernels<Metric, std::int8_t, I8>, {avx2_estimates, nullptr},
    {avx2_rotated_estimates, nullptr}};

}  // namespace

const DistanceKernels kAvx2Kernels = {"avx2", kMetricKernels<L2sq>, kMetricKernels<InnerProduct>};

}  // namespace concord::cpu
