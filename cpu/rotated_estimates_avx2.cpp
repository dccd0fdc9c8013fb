// Estimates of rotated_estimates.hpp for AVX2 and FMA: four rows at a time, 64 codes at once.
// Compiled with those flags; holds leaf code only (see distance.hpp).

#include "cpu/estimates_of_four.hpp"

namespace concord::cpu {
namespace {

// Sums of the products of codes; four of them fit 16 bits with a sign.
__m256i multiply(__m256i codes, __m256i low, __m256i high) {
  const __m256i half = _mm256_set1_epi8(15);
  const __m256i of_low = _mm256_maddubs_epi16(_mm256_and_si256(codes, half), low);
  const __m256i of_high =
      _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(codes, 4), half), high);
  return _mm256_madd_epi16(_mm256_add_epi16(of_low, of_high), _mm256_set1_epi16(1));
}

__m128i products(const std::uint8_t* query, const std::uint8_t* const (&rows)[4],
                 std::size_t stride) {
  const auto load = [](const std::uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  };
  const auto load_half = [](const std::uint8_t* p) {
    return _mm256_zextsi128_si256(load_sixteen(p));
  };
  __m256i sums[4] = {};
  std::size_t b = 0;
  for (; b + 32 <= stride; b += 32) {
    const __m256i low = load(query + b);
    const __m256i high = load(query + stride + b);
    for (int r = 0; r < 4; ++r) {
      sums[r] = _mm256_add_epi32(sums[r], multiply(load(rows[r] + b), low, high));
    }
  }
  if (b < stride) {  // 16 are left
    const __m256i low = load_half(query + b);
    const __m256i high = load_half(query + stride + b);
    for (int r = 0; r < 4; ++r) {
      sums[r] = _mm256_add_epi32(sums[r], multiply(load_half(rows[r] + b), low, high));
    }
  }
  const __m256i halves =
      _mm256_hadd_epi32(_mm256_hadd_epi32(sums[0], sums[1]), _mm256_hadd_epi32(sums[2], sums[3]));
  return _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}

}  // namespace

void avx2_rotated_estimates(const void* query, const void* base, std::size_t stride,
                            const std::uint32_t* ids, std::size_t n, float* out) {
  estimate<OfFourBits, products>(query, base, stride, ids, n, out);
}

}  // namespace concord::cpu
