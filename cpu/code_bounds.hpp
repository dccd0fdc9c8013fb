// Certificates: lower bounds of canonical distances, from codes of 8 bits.
//
// A vector x has the code x̂ with x̂_e = s + scale · c_e, −127 ≤ c_e ≤ 127, for one s of all vectors,
// and error ≥ |x − x̂|. The triangle inequality gives, for whatever codes,
//
//   |x − y| ≥ L = max(0, |x̂ − ŷ| − error_x − error_y)
//   |x̂ − ŷ|² = square_x + square_y − 2 · scale_x · scale_y · Σ c_x c_y,   square = scale² · Σ c²,
//
// where the sum is of integers, hence exact: it is below 127² · 65,536 < 2³¹. With X = |x|² and
// Y = |y|² the distances are, before they are rounded,
//
//   l2sq            |x − y|² ≥ L²
//   inner product   1 − x·y = 1 − X/2 − Y/2 + |x − y|²/2 ≥ 1 − X/2 − Y/2 + L²/2
//
// What is computed in floats must be no larger than the canonical distance, which is rounded as
// well. Write u = 2⁻²⁴, k = stride / 32.
//
// 1. |x̂ − ŷ|². The squares and the sum of the two are rounded once each, the integer, its product
//    with scale_y and the last fused operation as well. As 2 |x̂·ŷ| ≤ square_x + square_y, all of it
//    is at most 6u (square_x + square_y). The square root is off by one more u of itself, which is
//    4u (square_x + square_y) of its square. kMargin = 16u of the sum is taken off before.
//    Products that underflow add less than 2⁻¹⁴⁶ to the square, and so to L².
// 2. error is rounded up and made larger by 16u of itself, which covers the rounding of the sum of
//    two and of the difference to |x̂ − ŷ| where that is not relative to the difference itself.
// 3. L² and its product with `slope` are rounded: 4u of the result.
// 4. The canonical distance. l2sq adds terms that are not negative: each is rounded when it is
//    subtracted (twice, squared), at most k + 1 times in its accumulator, five times in the tree.
//    So it is at least (1 − (k + 8) u) of the true one, less stride · 2⁻¹⁴⁹ for denormals. With 3,
//    slope = 1 − 2 (k + 16) u is enough, and 2⁻¹²⁶ is taken off in `base`, which covers 1 as well.
//    Inner product: the sum is off by at most (k + 7) u Σ |x_e y_e| ≤ (k + 7) u (X + Y) / 2, and
//    one minus it by another u of 1 + (X + Y) / 2. The operations that add base_x, base_y and L²/2
//    are rounded by u of numbers below 1 + 2 (X + Y). So base takes X/2 times 1 + 2 (k + 16) u, one
//    of the two bases 2⁻²⁰, and slope is (1 − 2⁻²⁰) / 2.
//
// Cosine is the inner product of normalised vectors. tests/cpu/code_bounds_test.cpp attacks all of
// it with pairs whose bound is as near to the distance as can be made.
// Thread-safety: pure functions. The leaf files code_bounds_<isa>.cpp are compiled with ISA flags;
// the rule of distance.hpp holds for them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace concord::cpu {

inline constexpr float kMargin = 0x1p-20f;
/// Vectors whose codes stand together: four codes of each in turn, then the next four.
inline constexpr std::size_t kCodeGroup = 16;

/// Codes of vectors in groups, 128 added to each, and the other numbers of each vector.
struct CodeRows {
  const std::uint8_t* codes;  ///< [groups × steps × kCodeGroup × 4]
  std::size_t steps;          ///< dimension / 4, rounded up; elements beyond it are 128
  const float* scale;
  const float* square;
  const float* error;
  const float* base;
};

/// A vector that bounds are computed from.
struct CodeQuery {
  const std::int8_t* codes;  ///< [4 × steps]; beyond the dimension 0
  std::int32_t offset;       ///< 128 times their sum
  float scale;
  float square;
  float error;
  float base;
};

/// out[i × out_stride + j] = lower bound of the distance of query i to row j, j < n rounded up to
/// whole groups.
using BoundBlock = void (*)(const CodeQuery* queries, std::size_t count, const CodeRows& rows,
                            std::size_t n, float slope, float* out, std::size_t out_stride);

void scalar_bounds(const CodeQuery* queries, std::size_t count, const CodeRows& rows, std::size_t n,
                   float slope, float* out, std::size_t out_stride);
/// For AVX-512 with VNNI.
void vnni_bounds(const CodeQuery* queries, std::size_t count, const CodeRows& rows, std::size_t n,
                 float slope, float* out, std::size_t out_stride);
/// For 64-bit Arm with the dot product instructions.
void neon_dotprod_bounds(const CodeQuery* queries, std::size_t count, const CodeRows& rows,
                         std::size_t n, float slope, float* out, std::size_t out_stride);

}  // namespace concord::cpu
