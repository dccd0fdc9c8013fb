// Estimates of rotated_estimates.hpp for AVX-512 (F, BW, VL): four rows at a time, 128 codes at
// once. Compiled with those flags; holds leaf code only (see distance.hpp).

#include "cpu/estimates_of_four.hpp"

namespace concord::cpu {
namespace {

// Sums of the products of codes; four of them fit 16 bits with a sign.
__m512i multiply(__m512i codes, __m512i low, __m512i high) {
  const __m512i half = _mm512_set1_epi8(15);
  const __m512i of_low = _mm512_maddubs_epi16(_mm512_and_si512(codes, half), low);
  const __m512i of_high =
      _mm512_maddubs_epi16(_mm512_and_si512(_mm512_srli_epi16(codes, 4), half), high);
  return _mm512_madd_epi16(_mm512_add_epi16(of_low, of_high), _mm512_set1_epi16(1));
}

__m128i products(const std::uint8_t* query, const std::uint8_t* const (&rows)[4],
                 std::size_t stride) {
  __m512i sums[4] = {};
  std::size_t b = 0;
  for (; b + 64 <= stride; b += 64) {
    const __m512i low = _mm512_loadu_si512(query + b);
    const __m512i high = _mm512_loadu_si512(query + stride + b);
    for (int r = 0; r < 4; ++r) {
      sums[r] = _mm512_add_epi32(sums[r], multiply(_mm512_loadu_si512(rows[r] + b), low, high));
    }
  }
  if (b < stride) {
    const __mmask64 some = (__mmask64{1} << (stride - b)) - 1;
    const __m512i low = _mm512_maskz_loadu_epi8(some, query + b);
    const __m512i high = _mm512_maskz_loadu_epi8(some, query + stride + b);
    for (int r = 0; r < 4; ++r) {
      const __m512i codes = _mm512_maskz_loadu_epi8(some, rows[r] + b);
      sums[r] = _mm512_add_epi32(sums[r], multiply(codes, low, high));
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

void avx512_rotated_estimates(const void* query, const void* base, std::size_t stride,
                              const std::uint32_t* ids, std::size_t n, float* out) {
  estimate<OfFourBits, products>(query, base, stride, ids, n, out);
}

}  // namespace concord::cpu
