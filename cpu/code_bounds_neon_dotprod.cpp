// Bounds of code_bounds.hpp for Arm processors with the dot product instructions: four registers
// hold the sums of a group's sixteen rows, so that nothing is added across lanes. Compiled with
// that flag; holds leaf code only.

#include <arm_neon.h>

#include <cstring>

#include "cpu/code_bounds.hpp"

namespace concord::cpu {
namespace {

constexpr std::size_t kRegisters = kCodeGroup / 4;

// The bounds of a query to four rows, from the sums of the products of codes.
float32x4_t bounds(const CodeQuery& query, const CodeRows& rows, std::size_t j, int32x4_t sums,
                   float slope) {
  const float32x4_t both = vaddq_f32(vld1q_f32(rows.square + j), vdupq_n_f32(query.square));
  const float32x4_t scaled = vmulq_f32(vdupq_n_f32(query.scale), vcvtq_f32_s32(sums));
  const float32x4_t less = vsubq_f32(both, vmulq_f32(vdupq_n_f32(kMargin), both));
  const float32x4_t minus_two = vmulq_f32(vdupq_n_f32(-2.0f), vld1q_f32(rows.scale + j));
  const float32x4_t squared = vfmaq_f32(less, minus_two, scaled);
  const float32x4_t errors = vaddq_f32(vld1q_f32(rows.error + j), vdupq_n_f32(query.error));
  const float32x4_t zero = vdupq_n_f32(0.0f);
  const float32x4_t apart = vsubq_f32(vsqrtq_f32(vmaxq_f32(squared, zero)), errors);
  const float32x4_t least = vmaxq_f32(apart, zero);
  const float32x4_t base = vaddq_f32(vld1q_f32(rows.base + j), vdupq_n_f32(query.base));
  return vfmaq_f32(base, vmulq_f32(least, least), vdupq_n_f32(slope));
}

// kQueries queries to a group of rows, from row j on. Codes lose the 128 that was added to them, so
// that the query's offset is not needed.
template <std::size_t kQueries>
void bound_group(const CodeQuery* queries, const CodeRows& rows, std::size_t j, float slope,
                 float* out, std::size_t out_stride) {
  const std::uint8_t* group = rows.codes + j / kCodeGroup * kCodeGroup * 4 * rows.steps;
  int32x4_t sums[kQueries][kRegisters] = {};
  for (std::size_t step = 0; step < rows.steps; ++step) {
    int8x16_t codes[kRegisters];
    for (std::size_t r = 0; r < kRegisters; ++r) {
      codes[r] = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(group + 16 * r), vdupq_n_u8(128)));
    }
    group += kCodeGroup * 4;
    for (std::size_t i = 0; i < kQueries; ++i) {
      std::int32_t four;
      std::memcpy(&four, queries[i].codes + 4 * step, sizeof four);
      const int8x16_t of_query = vreinterpretq_s8_s32(vdupq_n_s32(four));
      for (std::size_t r = 0; r < kRegisters; ++r) {
        sums[i][r] = vdotq_s32(sums[i][r], codes[r], of_query);
      }
    }
  }
  for (std::size_t i = 0; i < kQueries; ++i) {
    for (std::size_t r = 0; r < kRegisters; ++r) {
      vst1q_f32(out + i * out_stride + j + 4 * r,
                bounds(queries[i], rows, j + 4 * r, sums[i][r], slope));
    }
  }
}

}  // namespace

void neon_dotprod_bounds(const CodeQuery* queries, std::size_t count, const CodeRows& rows,
                         std::size_t n, float slope, float* out, std::size_t out_stride) {
  constexpr std::size_t kQueries = 3;
  for (std::size_t j = 0; j < n; j += kCodeGroup) {
    std::size_t i = 0;
    for (; i + kQueries <= count; i += kQueries) {
      bound_group<kQueries>(queries + i, rows, j, slope, out + i * out_stride, out_stride);
    }
    for (; i < count; ++i) {
      bound_group<1>(queries + i, rows, j, slope, out + i * out_stride, out_stride);
    }
  }
}

}  // namespace concord::cpu
