// Distance kernels for AVX-512F: four rows at a time, two 16-lane accumulators each.
// Compiled with -mavx512f; holds leaf code only (see distance.hpp).

#include <immintrin.h>

#include "cpu/distance.hpp"

namespace concord::cpu {
namespace {

struct L2sq {
  static __m512 step(__m512 sum, __m512 x, __m512 y) {
    const __m512 difference = _mm512_sub_ps(x, y);
    return _mm512_fmadd_ps(difference, difference, sum);
  }
  static __m128 finish(__m128 sum) { return sum; }
};

struct InnerProduct {
  static __m512 step(__m512 sum, __m512 x, __m512 y) { return _mm512_fmadd_ps(x, y, sum); }
  static __m128 finish(__m128 sum) { return _mm_sub_ps(_mm_set1_ps(1.0f), sum); }
};

// Lane j of the result: quad j of rows 0, 1, 2, 3.
__m512 quads(const __m512* a) {
  const __m512 t01 =
      _mm512_add_ps(_mm512_shuffle_ps(a[0], a[1], 0x88), _mm512_shuffle_ps(a[0], a[1], 0xDD));
  const __m512 t23 =
      _mm512_add_ps(_mm512_shuffle_ps(a[2], a[3], 0x88), _mm512_shuffle_ps(a[2], a[3], 0xDD));
  return _mm512_add_ps(_mm512_shuffle_ps(t01, t23, 0x88), _mm512_shuffle_ps(t01, t23, 0xDD));
}

// Distances of the query to four rows.
template <class Metric>
__m128 score_four(const float* query, const float* const (&rows)[4], std::size_t stride) {
  __m512 low[4], high[4];
  for (int r = 0; r < 4; ++r) low[r] = high[r] = _mm512_setzero_ps();
  std::size_t e = 0;
  for (; e + 32 <= stride; e += 32) {
    const __m512 q0 = _mm512_loadu_ps(query + e);
    const __m512 q1 = _mm512_loadu_ps(query + e + 16);
    for (int r = 0; r < 4; ++r) {
      low[r] = Metric::step(low[r], q0, _mm512_loadu_ps(rows[r] + e));
      high[r] = Metric::step(high[r], q1, _mm512_loadu_ps(rows[r] + e + 16));
    }
  }
  if (e < stride) {  // 8, 16 or 24 elements are left
    const auto mask0 = static_cast<__mmask16>(stride - e >= 16 ? 0xFFFF : 0x00FF);
    const auto mask1 = static_cast<__mmask16>(stride - e == 24 ? 0x00FF : 0);
    const __m512 q0 = _mm512_maskz_loadu_ps(mask0, query + e);
    const __m512 q1 = _mm512_maskz_loadu_ps(mask1, query + e + 16);
    for (int r = 0; r < 4; ++r) {
      low[r] = Metric::step(low[r], q0, _mm512_maskz_loadu_ps(mask0, rows[r] + e));
      high[r] = Metric::step(high[r], q1, _mm512_maskz_loadu_ps(mask1, rows[r] + e + 16));
    }
  }
  const __m512 r = _mm512_add_ps(quads(low), quads(high));  // 128-bit lane j: R_j of the four rows
  const __m256 s = _mm256_add_ps(_mm512_castps512_ps256(r),
                                 _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(r), 1)));
  return Metric::finish(_mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1)));
}

template <class Metric, class Row>
void score(const float* query, Row row, std::size_t stride, std::size_t n, float* out) {
  std::size_t j = 0;
  for (; j + 4 <= n; j += 4) {
    const float* const rows[4] = {row(j), row(j + 1), row(j + 2), row(j + 3)};
    _mm_storeu_ps(out + j, score_four<Metric>(query, rows, stride));
  }
  if (j == n) return;
  const float* const rows[4] = {row(j), row(j + 1 < n ? j + 1 : j), row(j + 2 < n ? j + 2 : j),
                                row(j)};
  float last[4];
  _mm_storeu_ps(last, score_four<Metric>(query, rows, stride));
  for (std::size_t r = 0; j + r < n; ++r) out[j + r] = last[r];
}

template <class Metric>
void score_ids(const float* query, const float* base, std::size_t stride, const std::uint32_t* ids,
               std::size_t n, float* out) {
  score<Metric>(
      query, [=](std::size_t j) { return base + ids[j] * stride; }, stride, n, out);
}

template <class Metric>
void score_range(const float* query, const float* base, std::size_t stride, std::size_t n,
                 float* out) {
  score<Metric>(
      query, [=](std::size_t j) { return base + j * stride; }, stride, n, out);
}

}  // namespace

const DistanceKernels kAvx512Kernels = {
    "avx512",
    {score_ids<L2sq>, score_range<L2sq>},
    {score_ids<InnerProduct>, score_range<InnerProduct>},
};

}  // namespace concord::cpu
