// Estimates from codes for processors with AVX2 and FMA, four rows at a time. The products of codes
// are each instruction set's own. What they and the numbers of a row give is the rule of a kind of
// code. For the leaf files alone: all of it has internal linkage, so that the linker cannot take
// one file's code for another's.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "cpu/code_estimates.hpp"
#include "cpu/rotated_estimates.hpp"

namespace concord::cpu {
namespace {

inline __m128i load_sixteen(const std::uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}

/// Of what a query begins with, sizeof(T) bytes from byte `at` on.
template <class T>
T number_at(const void* query, std::size_t at) {
  T number;
  std::memcpy(&number, static_cast<const std::uint8_t*>(query) + at, sizeof number);
  return number;
}

/// The last sixteen bytes of four rows, transposed: numbers[i] has the i-th four bytes of each.
using RowNumbers = __m128[4];

/// The rule of code_estimates.hpp.
struct OfEightBits {
  static constexpr std::size_t kHeader = kQueryHeader;
  explicit OfEightBits(const void* query)
      : scale(_mm_set1_ps(number_at<float>(query, 0))),
        square(_mm_set1_ps(number_at<float>(query, 4))),
        less(_mm_set1_ps(number_at<float>(query, 8))),
        factor(_mm_set1_ps(number_at<float>(query, 12))),
        more(_mm_set1_ps(number_at<float>(query, 16))),
        offset(_mm_set1_epi32(number_at<std::int32_t>(query, 20))) {}
  [[nodiscard]] __m128 estimates(const RowNumbers& numbers, __m128i sums) const {
    const __m128 product = _mm_cvtepi32_ps(_mm_sub_epi32(sums, offset));
    const __m128 slope = _mm_fmadd_ps(factor, numbers[3], more);
    const __m128 rest =
        _mm_fmadd_ps(_mm_sub_ps(numbers[3], less), slope, _mm_add_ps(numbers[2], square));
    return _mm_fmadd_ps(_mm_mul_ps(scale, numbers[1]), product, rest);
  }
  __m128 scale, square, less, factor, more;
  __m128i offset;
};

/// The rule of rotated_estimates.hpp.
struct OfFourBits {
  static constexpr std::size_t kHeader = kRotatedHeader;
  explicit OfFourBits(const void* query)
      : scale(_mm_set1_ps(number_at<float>(query, 0))),
        rest(_mm_set1_ps(number_at<float>(query, 4))),
        offset(_mm_set1_epi32(number_at<std::int32_t>(query, 8))) {}
  [[nodiscard]] __m128 estimates(const RowNumbers& numbers, __m128i sums) const {
    const __m128 product = _mm_cvtepi32_ps(_mm_sub_epi32(_mm_add_epi32(sums, sums), offset));
    return _mm_fmadd_ps(_mm_mul_ps(scale, numbers[2]), product, _mm_add_ps(numbers[3], rest));
  }
  __m128 scale, rest;
  __m128i offset;
};

/// The products of a query's codes and those of four rows, summed up: lane r for row r. A query
/// with codes of four bits has `stride` bytes for low halves, and then as many for high ones.
using Products = __m128i (*)(const std::uint8_t* query, const std::uint8_t* const (&rows)[4],
                             std::size_t stride);

/// A ScoreIds (distance.hpp).
template <class Rule, Products kProducts>
void estimate(const void* query, const void* base, std::size_t stride, const std::uint32_t* ids,
              std::size_t n, float* out) {
  const Rule rule(query);
  const auto* const codes = static_cast<const std::uint8_t*>(query) + Rule::kHeader;
  const auto* const first = static_cast<const std::uint8_t*>(base);
  for (std::size_t j = 0; j < n; j += 4) {
    const std::size_t count = n - j < 4 ? n - j : 4;
    const std::uint8_t* rows[4];
    for (std::size_t r = 0; r < 4; ++r) rows[r] = first + ids[j + (r < count ? r : 0)] * stride;
    RowNumbers numbers;
    for (int r = 0; r < 4; ++r) {
      numbers[r] = _mm_castsi128_ps(load_sixteen(rows[r] + stride - 16));
    }
    _MM_TRANSPOSE4_PS(numbers[0], numbers[1], numbers[2], numbers[3]);
    const __m128 estimates = rule.estimates(numbers, kProducts(codes, rows, stride));
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
