// Estimates of code_estimates.hpp for AVX2 and FMA: four rows at a time, 32 codes at once. Compiled
// with those flags; holds leaf code only (see distance.hpp).

#include <immintrin.h>

#include "cpu/code_estimates.hpp"

namespace concord::cpu {
namespace {

constexpr std::size_t kQueryHeader = 16;  // bytes of core::QueryCode

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
  const __m128 of_query = _mm_loadu_ps(static_cast<const float*>(query));
  const __m128 scale = _mm_permute_ps(of_query, 0x00);
  const __m128 sum = _mm_permute_ps(of_query, 0x55);
  const __m128 square = _mm_permute_ps(of_query, 0xAA);
  const auto* const first = static_cast<const std::uint8_t*>(base);
  for (std::size_t j = 0; j < n; j += 4) {
    const std::size_t count = n - j < 4 ? n - j : 4;
    const std::uint8_t* rows[4];
    for (std::size_t r = 0; r < 4; ++r) rows[r] = first + ids[j + (r < count ? r : 0)] * stride;
    __m128 numbers[4];  // four codes and the numbers of each row, to be transposed
    for (int r = 0; r < 4; ++r) numbers[r] = _mm_castsi128_ps(load(rows[r] + stride - 16));
    _MM_TRANSPOSE4_PS(numbers[0], numbers[1], numbers[2], numbers[3]);
    const __m128 product = _mm_cvtepi32_ps(products(code + kQueryHeader, rows, stride));
    const __m128 rest = _mm_fmadd_ps(numbers[1], sum, _mm_add_ps(numbers[3], square));
    const __m128 estimates = _mm_fmadd_ps(_mm_mul_ps(scale, numbers[2]), product, rest);
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
