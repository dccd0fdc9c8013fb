// Bounds of code_bounds.hpp for AVX-512 with VNNI: a register holds the sums of a group's sixteen
// rows, so that nothing is added across lanes. Compiled with those flags; holds leaf code only.

#include <immintrin.h>

#include <cstring>

#include "cpu/code_bounds.hpp"

namespace concord::cpu {
namespace {

// The bounds of a query to a group, from the sums of the products of codes.
__m512 bounds(const CodeQuery& query, const CodeRows& rows, std::size_t j, __m512i sums,
              float slope) {
  const __m512 products =
      _mm512_cvtepi32_ps(_mm512_sub_epi32(sums, _mm512_set1_epi32(query.offset)));
  const __m512 both = _mm512_add_ps(_mm512_loadu_ps(rows.square + j), _mm512_set1_ps(query.square));
  const __m512 scaled = _mm512_mul_ps(_mm512_set1_ps(query.scale), products);
  const __m512 less = _mm512_sub_ps(both, _mm512_mul_ps(_mm512_set1_ps(kMargin), both));
  const __m512 minus_two = _mm512_mul_ps(_mm512_set1_ps(-2.0f), _mm512_loadu_ps(rows.scale + j));
  const __m512 squared = _mm512_fmadd_ps(minus_two, scaled, less);
  const __m512 errors = _mm512_add_ps(_mm512_loadu_ps(rows.error + j), _mm512_set1_ps(query.error));
  const __m512 zero = _mm512_setzero_ps();
  const __m512 apart = _mm512_sub_ps(_mm512_sqrt_ps(_mm512_max_ps(squared, zero)), errors);
  const __m512 least = _mm512_max_ps(apart, zero);
  const __m512 base = _mm512_add_ps(_mm512_loadu_ps(rows.base + j), _mm512_set1_ps(query.base));
  return _mm512_fmadd_ps(_mm512_mul_ps(least, least), _mm512_set1_ps(slope), base);
}

// kQueries queries by kGroups groups of rows, from row j on.
template <std::size_t kQueries, std::size_t kGroups>
void bound_tile(const CodeQuery* queries, const CodeRows& rows, std::size_t j, float slope,
                float* out, std::size_t out_stride) {
  const std::size_t group_bytes = kCodeGroup * 4 * rows.steps;
  const std::uint8_t* const groups = rows.codes + j / kCodeGroup * group_bytes;
  __m512i sums[kQueries][kGroups] = {};
  for (std::size_t step = 0; step < rows.steps; ++step) {
    __m512i codes[kGroups];
    for (std::size_t g = 0; g < kGroups; ++g) {
      codes[g] = _mm512_loadu_si512(groups + g * group_bytes + step * kCodeGroup * 4);
    }
    for (std::size_t i = 0; i < kQueries; ++i) {
      std::int32_t four;
      std::memcpy(&four, queries[i].codes + 4 * step, sizeof four);
      const __m512i of_query = _mm512_set1_epi32(four);
      for (std::size_t g = 0; g < kGroups; ++g) {
        sums[i][g] = _mm512_dpbusd_epi32(sums[i][g], codes[g], of_query);
      }
    }
  }
  for (std::size_t i = 0; i < kQueries; ++i) {
    for (std::size_t g = 0; g < kGroups; ++g) {
      const std::size_t row = j + g * kCodeGroup;
      _mm512_storeu_ps(out + i * out_stride + row,
                       bounds(queries[i], rows, row, sums[i][g], slope));
    }
  }
}

template <std::size_t kQueries>
void bound_rows(const CodeQuery* queries, const CodeRows& rows, std::size_t n, float slope,
                float* out, std::size_t out_stride) {
  constexpr std::size_t kGroups = 4;
  std::size_t j = 0;
  for (; j + (kGroups - 1) * kCodeGroup < n; j += kGroups * kCodeGroup) {
    bound_tile<kQueries, kGroups>(queries, rows, j, slope, out, out_stride);
  }
  for (; j < n; j += kCodeGroup) {
    bound_tile<kQueries, 1>(queries, rows, j, slope, out, out_stride);
  }
}

}  // namespace

void vnni_bounds(const CodeQuery* queries, std::size_t count, const CodeRows& rows, std::size_t n,
                 float slope, float* out, std::size_t out_stride) {
  constexpr std::size_t kQueries = 3;
  std::size_t i = 0;
  for (; i + kQueries <= count; i += kQueries) {
    bound_rows<kQueries>(queries + i, rows, n, slope, out + i * out_stride, out_stride);
  }
  for (; i < count; ++i) {
    bound_rows<1>(queries + i, rows, n, slope, out + i * out_stride, out_stride);
  }
}

}  // namespace concord::cpu
