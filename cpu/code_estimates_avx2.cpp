// Estimates of code_estimates.hpp for AVX2 and FMA: four rows at a time, 32 codes at once. Compiled
// with those flags; holds leaf code only (see distance.hpp).

#include "cpu/estimates_of_four.hpp"

namespace concord::cpu {
namespace {

// Sums of the products of codes; two of them fit 16 bits with a sign.
__m256i multiply(__m256i codes, __m256i query) {
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
      sums[r] = _mm256_add_epi32(sums[r], multiply(codes, q));
    }
  }
  if (e < stride) {  // 16 are left
    const __m256i q = _mm256_zextsi128_si256(load_sixteen(query + e));
    for (int r = 0; r < 4; ++r) {
      const __m256i codes = _mm256_zextsi128_si256(load_sixteen(rows[r] + e));
      sums[r] = _mm256_add_epi32(sums[r], multiply(codes, q));
    }
  }
  const __m256i halves =
      _mm256_hadd_epi32(_mm256_hadd_epi32(sums[0], sums[1]), _mm256_hadd_epi32(sums[2], sums[3]));
  return _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}

}  // namespace

void avx2_estimates(const void* query, const void* base, std::size_t stride,
                    const std::uint32_t* ids, std::size_t n, float* out) {
  estimate<OfEightBits, products>(query, base, stride, ids, n, out);
}

}  // namespace concord::cpu
