// Distance kernels for AVX-512 (F, BW, VL): four rows at a time; two 16-lane accumulators each, or
// one of integers. Compiled with those flags; holds leaf code only (see distance.hpp).

#include <immintrin.h>

#include "cpu/distance.hpp"

namespace concord::cpu {
namespace {

struct L2sq {
  static __m512i pairs(__m512i x, __m512i y) {
    const __m512i difference = _mm512_sub_epi16(x, y);
    return _mm512_madd_epi16(difference, difference);
  }
  static __m512 step(__m512 sum, __m512 x, __m512 y) {
    const __m512 difference = _mm512_sub_ps(x, y);
    return _mm512_fmadd_ps(difference, difference, sum);
  }
  static __m128 finish(__m128 sum) { return sum; }
};

struct InnerProduct {
  static __m512i pairs(__m512i x, __m512i y) { return _mm512_madd_epi16(x, y); }
  static __m512 step(__m512 sum, __m512 x, __m512 y) { return _mm512_fmadd_ps(x, y, sum); }
  static __m128 finish(__m128 sum) { return _mm_sub_ps(_mm_set1_ps(1.0f), sum); }
};

// Sixteen elements of a row as floats; load_part loads 0, 8 or 16 and nothing beyond.
struct F32 {
  using type = float;
  static __m512 load(const float* p) { return _mm512_loadu_ps(p); }
  static __m512 load_part(const float* p, std::size_t n) {
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
  }
};

template <class Type>
__m128i load_bytes(const Type* p, std::size_t n) {
  if (n == 0) return _mm_setzero_si128();
  const auto* bytes = reinterpret_cast<const __m128i*>(p);
  return n == 8 ? _mm_loadl_epi64(bytes) : _mm_loadu_si128(bytes);
}
struct U8 {
  using type = std::uint8_t;
  static __m512 load(const type* p) { return load_part(p, 16); }
  static __m512 load_part(const type* p, std::size_t n) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(load_bytes(p, n)));
  }
  static __m512i widen(__m256i bytes) { return _mm512_cvtepu8_epi16(bytes); }
};
struct I8 {
  using type = std::int8_t;
  static __m512 load(const type* p) { return load_part(p, 16); }
  static __m512 load_part(const type* p, std::size_t n) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load_bytes(p, n)));
  }
  static __m512i widen(__m256i bytes) { return _mm512_cvtepi8_epi16(bytes); }
};

// Lane j of the result: quad j of rows 0, 1, 2, 3.
__m512 quads(const __m512* a) {
  const __m512 t01 =
      _mm512_add_ps(_mm512_shuffle_ps(a[0], a[1], 0x88), _mm512_shuffle_ps(a[0], a[1], 0xDD));
  const __m512 t23 =
      _mm512_add_ps(_mm512_shuffle_ps(a[2], a[3], 0x88), _mm512_shuffle_ps(a[2], a[3], 0xDD));
  return _mm512_add_ps(_mm512_shuffle_ps(t01, t23, 0x88), _mm512_shuffle_ps(t01, t23, 0xDD));
}

template <class Element>
concept Byte = sizeof(typename Element::type) == 1;

// Distances of the query to four rows.
template <class Metric, class Element>
__m128 score_four(const float* query, const typename Element::type* const (&rows)[4],
                  std::size_t stride) {
  __m512 low[4], high[4];
  for (int r = 0; r < 4; ++r) low[r] = high[r] = _mm512_setzero_ps();
  std::size_t e = 0;
  for (; e + 32 <= stride; e += 32) {
    const __m512 q0 = _mm512_loadu_ps(query + e);
    const __m512 q1 = _mm512_loadu_ps(query + e + 16);
    for (int r = 0; r < 4; ++r) {
      low[r] = Metric::step(low[r], q0, Element::load(rows[r] + e));
      high[r] = Metric::step(high[r], q1, Element::load(rows[r] + e + 16));
    }
  }
  if (e < stride) {  // 8, 16 or 24 elements are left
    const std::size_t left0 = stride - e < 16 ? 8 : 16;
    const std::size_t left1 = stride - e - left0;
    const __m512 q0 = F32::load_part(query + e, left0);
    const __m512 q1 = F32::load_part(query + e + 16, left1);
    for (int r = 0; r < 4; ++r) {
      low[r] = Metric::step(low[r], q0, Element::load_part(rows[r] + e, left0));
      high[r] = Metric::step(high[r], q1, Element::load_part(rows[r] + e + 16, left1));
    }
  }
  const __m512 r = _mm512_add_ps(quads(low), quads(high));  // 128-bit lane j: R_j of the four rows
  const __m256 s = _mm256_add_ps(_mm512_castps512_ps256(r),
                                 _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(r), 1)));
  return Metric::finish(_mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1)));
}

// The same of bytes to a query of bytes.
template <class Metric, Byte Element>
__m128 score_four(const typename Element::type* query,
                  const typename Element::type* const (&rows)[4], std::size_t stride) {
  __m512i sums[4];  // lane i: elements 2i and 2i + 1, modulo 32
  for (int r = 0; r < 4; ++r) sums[r] = _mm512_setzero_si512();
  std::size_t e = 0;
  for (; e + 32 <= stride; e += 32) {
    const auto load = [e](const typename Element::type* p) {
      return Element::widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + e)));
    };
    const __m512i q = load(query);
    for (int r = 0; r < 4; ++r)
      sums[r] = _mm512_add_epi32(sums[r], Metric::pairs(q, load(rows[r])));
  }
  if (e < stride) {
    const auto some = static_cast<__mmask32>((1u << (stride - e)) - 1);
    const auto load = [e, some](const typename Element::type* p) {
      return Element::widen(_mm256_maskz_loadu_epi8(some, p + e));
    };
    const __m512i q = load(query);
    for (int r = 0; r < 4; ++r)
      sums[r] = _mm512_add_epi32(sums[r], Metric::pairs(q, load(rows[r])));
  }
  __m256i halves[4];  // lane i: half of R_(i / 2)
  for (int r = 0; r < 4; ++r) {
    halves[r] =
        _mm256_add_epi32(_mm512_castsi512_si256(sums[r]), _mm512_extracti64x4_epi64(sums[r], 1));
  }
  // R_0, R_1 of two rows in the low lanes, R_2, R_3 in the high ones.
  const __m256 r01 = _mm256_cvtepi32_ps(_mm256_hadd_epi32(halves[0], halves[1]));
  const __m256 r23 = _mm256_cvtepi32_ps(_mm256_hadd_epi32(halves[2], halves[3]));
  const __m128 s01 = _mm_add_ps(_mm256_castps256_ps128(r01), _mm256_extractf128_ps(r01, 1));
  const __m128 s23 = _mm_add_ps(_mm256_castps256_ps128(r23), _mm256_extractf128_ps(r23, 1));
  return Metric::finish(_mm_hadd_ps(s01, s23));
}

template <class Metric, class Element, class Query, class Row>
void score(const Query* query, Row row, std::size_t stride, std::size_t n, float* out) {
  std::size_t j = 0;
  for (; j + 4 <= n; j += 4) {
    const typename Element::type* const rows[4] = {row(j), row(j + 1), row(j + 2), row(j + 3)};
    _mm_storeu_ps(out + j, score_four<Metric, Element>(query, rows, stride));
  }
  if (j == n) return;
  const typename Element::type* const rows[4] = {row(j), row(j + 1 < n ? j + 1 : j),
                                                 row(j + 2 < n ? j + 2 : j), row(j)};
  float last[4];
  _mm_storeu_ps(last, score_four<Metric, Element>(query, rows, stride));
  for (std::size_t r = 0; j + r < n; ++r) out[j + r] = last[r];
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
void score_range(const void* query, const void* base, std::size_t stride, std::size_t n,
                 float* out) {
  const auto* first = static_cast<const typename Element::type*>(base);
  score<Metric, Element>(
      static_cast<const Query*>(query), [=](std::size_t j) { return first + j * stride; }, stride,
      n, out);
}

template <class Metric, class Query, class Element>
constexpr RowKernels kRowKernels = {score_ids<Metric, Query, Element>,
                                    score_range<Metric, Query, Element>};
template <class Metric>
constexpr MetricKernels kMetricKernels = {
    kRowKernels<Metric, float, F32>, kRowKernels<Metric, float, U8>, kRowKernels<Metric, float, I8>,
    kRowKernels<Metric, std::uint8_t, U8>, kRowKernels<Metric, std::int8_t, I8>};

}  // namespace

const DistanceKernels kAvx512Kernels = {"avx512", kMetricKernels<L2sq>,
                                        kMetricKernels<InnerProduct>};

}  // namespace concord::cpu
