// Estimates of code_estimates.hpp for AVX2 and FMA: four rows at a time, 32 codes at once. Compiled
// with those flags; holds leaf code only (see distance.hpp).

#include <immintrin.h>

#include <cstring>

#include "cpu/code_estimates.hpp"

namespace concord::cpu {
namespace {

__m128i load(const std::uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }

// Sums of the products of codes; two of them fit 16 bits with a sign.
__m256i products(__m256i codes, __m256i query) {
  return _mm256_madd_epi16(_mm256_maddubs_epi16(codes, query), _mm256_set1_epi16(1));
}

// The products of a query's codes and those of four rows, summed up: lane r for row r.
__m128i products(const std::uint8_t* query, const std::uint8_t* const (&rows)[4],
                 std::size_t stride) {
  __m256i sums[4] = {};
  std::size_t e = 0;
  for (; e + 32 <= stride; e += 32) {
    const __m256i q = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query + e));
    for (int r = 0; r < 4; ++r) {
      const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[r] + e));
      sums[r] = _mm256_add_epi32(sums[r], products(codes, q));
    }
  }
  if (e < stride) {  // 16 are left
    const __m256i q = _mm256_zextsi128_si256(load(query + e));
    for (int r = 0; r < 4; ++r) {
      const __m256i codes = _mm256_zextsi128_si256(load(rows[r] + e));
      sums[r] = _mm256_add_epi32(sums[r], products(codes, q));
    }
  }
  const __m256i halves =
      _mm256_hadd_epi32(_mm256_hadd_epi32(sums[0], sums[1]), _mm256_hadd_epi32(sums[2], sums[3]));
  return _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}

}  // namespace

void avx2_estimates(const void* query, const void* base, std::size_t stride,
                    const std::uint32_t* ids, std::size_t n, float* out) {
  const auto* const code = static_cast<const std::uint8_t*>(query);
  float numbers_of_query[5];
  std::memcpy(numbers_of_query, query, sizeof numbers_of_query);
  std::int32_t offset_of_query;
  std::memcpy(&offset_of_query, code + sizeof numbers_of_query, sizeof offset_of_query);
  const __m128 scale = _mm_set1_ps(numbers_of_query[0]);
  const __m128 square = _mm_set1_ps(numbers_of_query[1]);
  const __m128 less = _mm_set1_ps(numbers_of_query[2]);
  const __m128 factor = _mm_set1_ps(numbers_of_query[3]);
  const __m128 more = _mm_set1_ps(numbers_of_query[4]);
  const __m128i offset = _mm_set1_epi32(offset_of_query);
  const auto* const first = static_cast<const std::uint8_t*>(base);
  for (std::size_t j = 0; j < n; j += 4) {
    const std::size_t count = n - j < 4 ? n - j : 4;
    const std::uint8_t* rows[4];
    for (std::size_t r = 0; r < 4; ++r) rows[r] = first + ids[j + (r < count ? r : 0)] * stride;
    __m128 numbers[4];  // four codes and the numbers of each row, to be transposed
    for (int r = 0; r < 4; ++r) numbers[r] = _mm_castsi128_ps(load(rows[r] + stride - 16));
    _MM_TRANSPOSE4_PS(numbers[0], numbers[1], numbers[2], numbers[3]);
    const __m128i sums = products(code + kQueryHeader, rows, stride);
    const __m128 product = _mm_cvtepi32_ps(_mm_sub_epi32(sums, offset));
    const __m128 slope = _mm_fmadd_ps(factor, numbers[3], more);
    const __m128 rest =
        _mm_fmadd_ps(_mm_sub_ps(numbers[3], less), slope, _mm_add_ps(numbers[2], square));
    const __m128 estimates = _mm_fmadd_ps(_mm_mul_ps(scale, numbers[1]), product, rest);
    if (count == 4) {
      _mm_storeu_ps(out + j, estimates);
    } else {
      const __m128i lanes = _mm_set_epi32(3, 2, 1, 0);
      const __m128i some = _mm_cmpgt_epi32(_mm_set1_epi32(static_cast<int>(count)), lanes);
      _mm_maskstore_ps(out + j, some, estimates);
    }
  }
}

}  // namespace concord::cpu
