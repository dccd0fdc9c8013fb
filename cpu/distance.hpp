// Distance kernels, one table per instruction set, all with the same bits for the same vectors.
//
// Canonical arithmetic (ARCHITECTURE.md): 32 float accumulators a_0 … a_31; element e goes to
// accumulator e mod 32 by one fused multiply-add (for l2sq the difference is rounded first). Then
//   Q_j = (a_4j + a_4j+1) + (a_4j+2 + a_4j+3)  j < 8
//   R_j = Q_j + Q_j+4                          j < 4
//   S_j = R_j + R_j+2                          j < 2
//   sum = S_0 + S_1
// and the distance is sum (l2sq) or 1 − sum (inner product, cosine). Rows are padded with zeros,
// which change no accumulator, so a kernel may stop at the stride.
//
// The leaf files distance_<isa>.cpp alone are compiled with ISA flags. They include no functions
// but those of this header and the intrinsics, so that no inline function compiled for a newer
// machine can be chosen by the linker for code that runs on an older one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/exact_math.hpp"

namespace concord::cpu {

/// out[j] = distance of `query` ([stride], zero-padded) to row base + ids[j] × stride, j < n.
/// `stride` is a multiple of 8 elements; no alignment is needed.
using ScoreIds = void (*)(const void* query, const void* base, std::size_t stride,
                          const std::uint32_t* ids, std::size_t n, float* out);
/// out[i × out_stride + j] = distance of query queries + i × stride to row base + j × stride,
/// i < count, j < n. Several queries at once share what is loaded of a row.
using ScoreBlock = void (*)(const void* queries, std::size_t count, const void* base,
                            std::size_t stride, std::size_t n, float* out, std::size_t out_stride);

/// For rows and queries of given element types.
struct RowKernels {
  ScoreIds ids;
  ScoreBlock block;
  /// A block of one query.
  void range(const void* query, const void* base, std::size_t stride, std::size_t n,
             float* out) const {
    block(query, 1, base, stride, n, out, n);
  }
};

/// Rows of bytes and of 16-bit floats are widened as they are read, which is exact: the same bits
/// as from float rows.
struct MetricKernels {
  RowKernels f32;  ///< queries are floats in these five
  RowKernels u8;
  RowKernels i8;
  RowKernels f16;
  RowKernels bf16;
  /// Queries and rows are bytes, and the stride is at most kMaxByteStride. The sums are integers,
  /// with the same bits in the end: see there.
  RowKernels both_u8;
  RowKernels both_i8;
  /// Rows and queries are codes, and the results estimates; without a block.
  RowKernels codes;          ///< of 8 bits (code_estimates.hpp)
  RowKernels rotated_codes;  ///< of 4 bits (rotated_estimates.hpp)
};

/// Up to this stride the canonical arithmetic of bytes rounds nothing before S_j: R_j adds at most
/// kMaxByteStride / 4 squares or products of at most 255², and floats hold integers up to 2^24. So
/// integer sums, added in any order, are R_j.
inline constexpr std::size_t kMaxByteStride = 1024;
static_assert(kMaxByteStride / 4 * 255 * 255 <= std::size_t{1} << 24);

struct DistanceKernels {
  const char* isa;
  MetricKernels l2sq;
  MetricKernels inner_product;
};

extern const DistanceKernels kScalarKernels;
// Where the compiler targets x86-64:
extern const DistanceKernels kAvx2Kernels;
extern const DistanceKernels kAvx512Kernels;
// Where it targets 64-bit Arm:
extern const DistanceKernels kNeonKernels;
extern const DistanceKernels kNeonDotprodKernels;

}  // namespace concord::cpu
