// Distance kernels for AVX-512 (F, BW, VL): four rows by one or three queries at a time; two
// 16-lane accumulators for each pair, or one of integers. Compiled with those flags; holds leaf
// code only (see distance.hpp).

#include <immintrin.h>

#include <utility>

#include "cpu/code_estimates.hpp"
#include "cpu/distance.hpp"
#include "cpu/rotated_estimates.hpp"

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

// The first n elements as floats, n = 0, 8 or 16; nothing beyond is read.
struct F32 {
  using type = float;
  static __m512 load(const float* p, std::size_t n) {
    if (n == 16) return _mm512_loadu_ps(p);
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
  static __m512 load(const type* p, std::size_t n) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(load_bytes(p, n)));
  }
  static __m512i widen(__m256i bytes) { return _mm512_cvtepu8_epi16(bytes); }
};
struct I8 {
  using type = std::int8_t;
  static __m512 load(const type* p, std::size_t n) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load_bytes(p, n)));
  }
  static __m512i widen(__m256i bytes) { return _mm512_cvtepi8_epi16(bytes); }
};

inline __m256i load_halves(const std::uint16_t* p, std::size_t n) {
  return _mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << n) - 1), p);
}
struct F16 {
  using type = std::uint16_t;
  static __m512 load(const type* p, std::size_t n) { return _mm512_cvtph_ps(load_halves(p, n)); }
};
struct BF16 {
  using type = std::uint16_t;
  static __m512 load(const type* p, std::size_t n) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load_halves(p, n)), 16));
  }
};

// Lane j of the result: quad j of rows 0, 1, 2, 3.
[[gnu::always_inline]] inline __m512 quads(const __m512 (&a)[4]) {
  const __m512 t01 =
      _mm512_add_ps(_mm512_shuffle_ps(a[0], a[1], 0x88), _mm512_shuffle_ps(a[0], a[1], 0xDD));
  const __m512 t23 =
      _mm512_add_ps(_mm512_shuffle_ps(a[2], a[3], 0x88), _mm512_shuffle_ps(a[2], a[3], 0xDD));
  return _mm512_add_ps(_mm512_shuffle_ps(t01, t23, 0x88), _mm512_shuffle_ps(t01, t23, 0xDD));
}

template <class Element>
concept Byte = sizeof(typename Element::type) == 1;

// body<0>(), body<1>(), …: with an index that is a constant the compiler keeps arrays in registers.
template <class Body, std::size_t... kI>
[[gnu::always_inline]] inline void unroll(std::index_sequence<kI...> /*numbers*/,
                                          const Body& body) {
  (body.template operator()<kI>(), ...);
}
template <std::size_t kCount, class Body>
[[gnu::always_inline]] inline void unroll(const Body& body) {
  unroll(std::make_index_sequence<kCount>{}, body);
}

// Adds elements [e, e + n) to the sums of each pair, n ≤ 16. Queries are `stride` elements apart.
template <class Metric, class Element, std::size_t kQueries>
[[gnu::always_inline]] inline void add_elements(__m512 (&sums)[kQueries][4], const float* queries,
                                                const typename Element::type* const (&rows)[4],
                                                std::size_t stride, std::size_t e, std::size_t n) {
  __m512 q[kQueries];
  unroll<kQueries>([&]<std::size_t kI>() { q[kI] = F32::load(queries + kI * stride + e, n); });
  unroll<4>([&]<std::size_t kR>() {
    __m512 x = Element::load(rows[kR] + e, n);
    if (kQueries > 1) asm("" : "+v"(x));  // or GCC loads it again for each query
    unroll<kQueries>(
        [&]<std::size_t kI>() { sums[kI][kR] = Metric::step(sums[kI][kR], q[kI], x); });
  });
}

// Sums of a query to four rows, as distances.
template <class Metric>
[[gnu::always_inline]] inline __m128 finish(const __m512 (&low)[4], const __m512 (&high)[4]) {
  const __m512 r = _mm512_add_ps(quads(low), quads(high));  // 128-bit lane j: R_j of the four rows
  const __m256 s = _mm256_add_ps(_mm512_castps512_ps256(r),
                                 _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(r), 1)));
  return Metric::finish(_mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1)));
}

// Distances of kQueries queries to four rows.
template <class Metric, class Element, std::size_t kQueries>
void score_tile(const float* queries, const typename Element::type* const (&rows)[4],
                std::size_t stride, __m128 (&distances)[kQueries]) {
  __m512 low[kQueries][4] = {};  // accumulators 0 … 15 of each pair
  __m512 high[kQueries][4] = {};
  std::size_t e = 0;
  for (; e + 32 <= stride; e += 32) {
    add_elements<Metric, Element>(low, queries, rows, stride, e, 16);
    add_elements<Metric, Element>(high, queries, rows, stride, e + 16, 16);
  }
  if (e < stride) {  // 8, 16 or 24 elements are left
    const std::size_t left = stride - e < 16 ? 8 : 16;
    add_elements<Metric, Element>(low, queries, rows, stride, e, left);
    add_elements<Metric, Element>(high, queries, rows, stride, e + 16, stride - e - left);
  }
  unroll<kQueries>([&]<std::size_t kI>() { distances[kI] = finish<Metric>(low[kI], high[kI]); });
}

// The first 32 bytes, or as many as `some` says, as 16-bit integers.
template <Byte Element>
__m512i load_words(const typename Element::type* p, __mmask32 some) {
  return Element::widen(_mm256_maskz_loadu_epi8(some, p));
}
template <Byte Element>
__m512i load_words(const typename Element::type* p) {
  return Element::widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

// As above; lane i of the sums has elements 2i and 2i + 1, modulo 32.
template <class Metric>
[[gnu::always_inline]] inline __m128 finish(const __m512i (&sums)[4]) {
  __m256i halves[4];  // lane i: half of R_(i / 2)
  unroll<4>([&]<std::size_t kR>() {
    halves[kR] =
        _mm256_add_epi32(_mm512_castsi512_si256(sums[kR]), _mm512_extracti64x4_epi64(sums[kR], 1));
  });
  // R_0, R_1 of two rows in the low lanes, R_2, R_3 in the high ones.
  const __m256 r01 = _mm256_cvtepi32_ps(_mm256_hadd_epi32(halves[0], halves[1]));
  const __m256 r23 = _mm256_cvtepi32_ps(_mm256_hadd_epi32(halves[2], halves[3]));
  const __m128 s01 = _mm_add_ps(_mm256_castps256_ps128(r01), _mm256_extractf128_ps(r01, 1));
  const __m128 s23 = _mm_add_ps(_mm256_castps256_ps128(r23), _mm256_extractf128_ps(r23, 1));
  return Metric::finish(_mm_hadd_ps(s01, s23));
}

// The same of bytes to queries of bytes.
template <class Metric, Byte Element, std::size_t kQueries>
void score_tile(const typename Element::type* queries,
                const typename Element::type* const (&rows)[4], std::size_t stride,
                __m128 (&distances)[kQueries]) {
  __m512i sums[kQueries][4] = {};
  const auto add = [&](const auto& load) __attribute__((always_inline)) {
    __m512i q[kQueries];
    unroll<kQueries>([&]<std::size_t kI>() { q[kI] = load(queries + kI * stride); });
    unroll<4>([&]<std::size_t kR>() {
      const __m512i x = load(rows[kR]);
      unroll<kQueries>([&]<std::size_t kI>() {
        sums[kI][kR] = _mm512_add_epi32(sums[kI][kR], Metric::pairs(q[kI], x));
      });
    });
  };
  std::size_t e = 0;
  for (; e + 32 <= stride; e += 32) {
    add([e](const typename Element::type* p) { return load_words<Element>(p + e); });
  }
  if (e < stride) {
    const auto some = static_cast<__mmask32>((1u << (stride - e)) - 1);
    add([=](const typename Element::type* p) { return load_words<Element>(p + e, some); });
  }
  unroll<kQueries>([&]<std::size_t kI>() { distances[kI] = finish<Metric>(sums[kI]); });
}

// Of kQueries queries to rows row(0), … row(n − 1).
template <class Metric, class Element, std::size_t kQueries, class Query, class Row>
void score(const Query* queries, Row row, std::size_t stride, std::size_t n, float* out,
           std::size_t out_stride) {
  __m128 distances[kQueries];
  std::size_t j = 0;
  for (; j + 4 <= n; j += 4) {
    const typename Element::type* const rows[4] = {row(j), row(j + 1), row(j + 2), row(j + 3)};
    score_tile<Metric, Element>(queries, rows, stride, distances);
    for (std::size_t i = 0; i < kQueries; ++i)
      _mm_storeu_ps(out + i * out_stride + j, distances[i]);
  }
  if (j == n) return;
  const typename Element::type* const rows[4] = {row(j), row(j + 1 < n ? j + 1 : j),
                                                 row(j + 2 < n ? j + 2 : j), row(j)};
  score_tile<Metric, Element>(queries, rows, stride, distances);
  for (std::size_t i = 0; i < kQueries; ++i) {
    float last[4];
    _mm_storeu_ps(last, distances[i]);
    for (std::size_t r = 0; j + r < n; ++r) out[i * out_stride + j + r] = last[r];
  }
}

template <class Metric, class Query, class Element>
void score_ids(const void* query, const void* base, std::size_t stride, const std::uint32_t* ids,
               std::size_t n, float* out) {
  const auto* first = static_cast<const typename Element::type*>(base);
  score<Metric, Element, 1>(
      static_cast<const Query*>(query), [=](std::size_t j) { return first + ids[j] * stride; },
      stride, n, out, n);
}

template <class Metric, class Query, class Element>
void score_block(const void* queries, std::size_t count, const void* base, std::size_t stride,
                 std::size_t n, float* out, std::size_t out_stride) {
  constexpr std::size_t kQueries = 3;  // 24 accumulators of the 32 registers
  const auto* query = static_cast<const Query*>(queries);
  const auto* first = static_cast<const typename Element::type*>(base);
  const auto row = [=](std::size_t j) { return first + j * stride; };
  std::size_t i = 0;
  for (; i + kQueries <= count; i += kQueries) {
    score<Metric, Element, kQueries>(query + i * stride, row, stride, n, out + i * out_stride,
                                     out_stride);
  }
  for (; i < count; ++i) {
    score<Metric, Element, 1>(query + i * stride, row, stride, n, out + i * out_stride, out_stride);
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
    kRowKernels<Metric, std::int8_t, I8>, {avx512_estimates, nullptr},
    {avx512_rotated_estimates, nullptr}};

}  // namespace

const DistanceKernels kAvx512Kernels = {"avx512", kMetricKernels<L2sq>,
                                        kMetricKernels<InnerProduct>};

}  // namespace concord::cpu
