// Estimates of code_estimates.hpp for AVX-512 (F, BW, VL): four rows at a time, 64 codes at once.
// Compiled with those flags; holds leaf code only (see distance.hpp).

#include <immintrin.h>

#include <cstring>

#include "cpu/code_estimates.hpp"

namespace concord::cpu {
namespace {

// Sums of the products of codes; two of them fit 16 bits with a sign.
__m512i products(__m512i codes, __m512i query) {
  return _mm512_madd_epi16(_mm512_maddubs_epi16(codes, query), _mm512_set1_epi16(1));
}

// The products of a query's codes and those of four rows, summed up: lane r for row r.
__m128i products(const std::uint8_t* query, const std::uint8_t* const (&rows)[4],
                 std::size_t stride) {
  __m512i sums[4] = {};
  std::size_t e = 0;
  for (; e + 64 <= stride; e += 64) {
    const __m512i q = _mm512_loadu_si512(query + e);
    for (int r = 0; r < 4; ++r) {
      sums[r] = _mm512_add_epi32(sums[r], products(_mm512_loadu_si512(rows[r] + e), q));
    }
  }
  if (e < stride) {
    const __mmask64 some = (__mmask64{1} << (stride - e)) - 1;
    const __m512i q = _mm512_maskz_loadu_epi8(some, query + e);
    for (int r = 0; r < 4; ++r) {
      const __m512i codes = _mm512_maskz_loadu_epi8(some, rows[r] + e);
      sums[r] = _mm512_add_epi32(sums[r], products(codes, q));
    }
  }
  __m256i halves[4];
  for (int r = 0; r < 4; ++r) {
    halves[r] =
        _mm256_add_epi32(_mm512_castsi512_si256(sums[r]), _mm512_extracti64x4_epi64(sums[r], 1));
  }
  const __m256i quarters = _mm256_hadd_epi32(_mm256_hadd_epi32(halves[0], halves[1]),
                                             _mm256_hadd_epi32(halves[2], halves[3]));
  return _mm_add_epi32(_mm256_castsi256_si128(quarters), _mm256_extracti128_si256(quarters, 1));
}

}  // namespace

void avx512_estimates(const void* query, const void* base, std::size_t stride,
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
    for (int r = 0; r < 4; ++r) {
      const auto* const last = reinterpret_cast<const __m128i*>(rows[r] + stride - 16);
      numbers[r] = _mm_castsi128_ps(_mm_loadu_si128(last));
    }
    _MM_TRANSPOSE4_PS(numbers[0], numbers[1], numbers[2], numbers[3]);
    const __m128i sums = products(code + kQueryHeader, rows, stride);
    const __m128 product = _mm_cvtepi32_ps(_mm_sub_epi32(sums, offset));
    const __m128 slope = _mm_fmadd_ps(factor, numbers[3], more);
    const __m128 rest =
        _mm_fmadd_ps(_mm_sub_ps(numbers[3], less), slope, _mm_add_ps(numbers[2], square));
    const __m128 estimates = _mm_fmadd_ps(_mm_mul_ps(scale, numbers[1]), product, rest);
    _mm_mask_storeu_ps(out + j, static_cast<__mmask8>((1u << count) - 1), estimates);
  }
}

}  // namespace concord::cpu
