// Estimates of code_estimates.hpp for AVX-512 (F, BW, VL): four rows at a time, 64 codes at once.
// Compiled with those flags; holds leaf code only (see distance.hpp).

#include "cpu/estimates_of_four.hpp"

namespace concord::cpu {
namespace {

// Sums of the products of codes; two of them fit 16 bits with a sign.
__m512i multiply(__m512i codes, __m512i query) {
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
      sums[r] = _mm512_add_epi32(sums[r], multiply(_mm512_loadu_si512(rows[r] + e), q));
    }
  }
  if (e < stride) {
    const __mmask64 some = (__mmask64{1} << (stride - e)) - 1;
    const __m512i q = _mm512_maskz_loadu_epi8(some, query + e);
    for (int r = 0; r < 4; ++r) {
      const __m512i codes = _mm512_maskz_loadu_epi8(some, rows[r] + e);
      sums[r] = _mm512_add_epi32(sums[r], multiply(codes, q));
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
  estimate<OfEightBits, products>(query, base, stride, ids, n, out);
}

}  // namespace concord::cpu
