// Estimates of rotated_estimates.hpp for processors with AVX2 and FMA, four rows at a time, around
// the products of codes, which are each instruction set's own. For the leaf files alone: all of it
// has internal linkage, so that the linker cannot take one file's code for another's.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "cpu/rotated_estimates.hpp"

namespace concord::cpu {
namespace {

inline __m128i load_sixteen(const std::uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}

/// The products of a query's codes, `stride` bytes for low halves and as many for high ones, and
/// those of four rows, summed up: lane r for row r.
using RotatedProducts = __m128i (*)(const std::uint8_t* query, const std::uint8_t* const (&rows)[4],
                                    std::size_t stride);

/// As avx2_rotated_estimates().
template <RotatedProducts kProducts>
void estimate_rotated(const void* query, const void* base, std::size_t stride,
                      const std::uint32_t* ids, std::size_t n, float* out) {
  const auto* const code = static_cast<const std::uint8_t*>(query);
  float of_query[2];
  std::memcpy(of_query, query, sizeof of_query);
  std::int32_t offset_of_query;
  std::memcpy(&offset_of_query, code + sizeof of_query, sizeof offset_of_query);
  const __m128 scale = _mm_set1_ps(of_query[0]);
  const __m128 rest_of_query = _mm_set1_ps(of_query[1]);
  const __m128i offset = _mm_set1_epi32(offset_of_query);
  const auto* const first = static_cast<const std::uint8_t*>(base);
  for (std::size_t j = 0; j < n; j += 4) {
    const std::size_t count = n - j < 4 ? n - j : 4;
    const std::uint8_t* rows[4];
    for (std::size_t r = 0; r < 4; ++r) rows[r] = first + ids[j + (r < count ? r : 0)] * stride;
    __m128 numbers[4];  // eight codes and the two numbers of each row, to be transposed
    for (int r = 0; r < 4; ++r) {
      numbers[r] = _mm_castsi128_ps(load_sixteen(rows[r] + stride - 16));
    }
    _MM_TRANSPOSE4_PS(numbers[0], numbers[1], numbers[2], numbers[3]);
    const __m128i sums = kProducts(code + kRotatedHeader, rows, stride);
    const __m128 product = _mm_cvtepi32_ps(_mm_sub_epi32(_mm_add_epi32(sums, sums), offset));
    const __m128 estimates =
        _mm_fmadd_ps(_mm_mul_ps(scale, numbers[2]), product, _mm_add_ps(numbers[3], rest_of_query));
    if (count == 4) {
      _mm_storeu_ps(out + j, estimates);
    } else {
      float last[4];
      _mm_storeu_ps(last, estimates);
      std::memcpy(out + j, last, count * sizeof(float));
    }
  }
}

}  // namespace
}  // namespace concord::cpu
