// Estimates of code_estimates.hpp for Arm's NEON, four rows at a time, around the products of
// codes, which the leaf files bring. For these alone: all of it has internal linkage, so that the
// linker cannot take one file's code for another's.
//
// Codes lose 128 before they are multiplied, since few such processors multiply unsigned by signed
// bytes. The sum is then S − offset_q.
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

#include "cpu/code_estimates.hpp"

namespace concord::cpu {
namespace {

/// As neon_estimates(). `Add` adds the products of sixteen pairs to four sums.
template <int32x4_t (*Add)(int32x4_t sums, int8x16_t x, int8x16_t y)>
struct Estimates {
  // S − offset_q of a query and four rows: lane r for row r.
  static int32x4_t products(const std::uint8_t* query, const std::uint8_t* const (&rows)[4],
                            std::size_t stride) {
    int32x4_t sums[4] = {};
    for (std::size_t e = 0; e < stride; e += 16) {
      const int8x16_t q = vreinterpretq_s8_u8(vld1q_u8(query + e));
      for (int r = 0; r < 4; ++r) {
        const uint8x16_t codes = veorq_u8(vld1q_u8(rows[r] + e), vdupq_n_u8(128));
        sums[r] = Add(sums[r], vreinterpretq_s8_u8(codes), q);
      }
    }
    return vpaddq_s32(vpaddq_s32(sums[0], sums[1]), vpaddq_s32(sums[2], sums[3]));
  }

  static void estimate(const void* query, const void* base, std::size_t stride,
                       const std::uint32_t* ids, std::size_t n, float* out) {
    const auto* const code = static_cast<const std::uint8_t*>(query);
    float of_query[5];
    std::memcpy(of_query, query, sizeof of_query);
    const float32x4_t scale = vdupq_n_f32(of_query[0]);
    const float32x4_t square = vdupq_n_f32(of_query[1]);
    const float32x4_t less = vdupq_n_f32(of_query[2]);
    const float32x4_t factor = vdupq_n_f32(of_query[3]);
    const float32x4_t more = vdupq_n_f32(of_query[4]);
    const auto* const first = static_cast<const std::uint8_t*>(base);
    for (std::size_t j = 0; j < n; j += 4) {
      const std::size_t count = n - j < 4 ? n - j : 4;
      const std::uint8_t* rows[4];
      for (std::size_t r = 0; r < 4; ++r) rows[r] = first + ids[j + (r < count ? r : 0)] * stride;
      float32x4_t numbers[4];  // four codes and the numbers of each row
      for (int r = 0; r < 4; ++r) {
        numbers[r] = vreinterpretq_f32_u8(vld1q_u8(rows[r] + stride - 16));
      }
      const float32x4x2_t two = vtrnq_f32(numbers[0], numbers[1]);
      const float32x4x2_t others = vtrnq_f32(numbers[2], numbers[3]);
      const float32x4_t steps = vcombine_f32(vget_low_f32(two.val[1]), vget_low_f32(others.val[1]));
      const float32x4_t squares =
          vcombine_f32(vget_high_f32(two.val[0]), vget_high_f32(others.val[0]));
      const float32x4_t means =
          vcombine_f32(vget_high_f32(two.val[1]), vget_high_f32(others.val[1]));
      const float32x4_t product = vcvtq_f32_s32(products(code + kQueryHeader, rows, stride));
      const float32x4_t slope = vfmaq_f32(more, factor, means);
      const float32x4_t rest = vfmaq_f32(vaddq_f32(squares, square), vsubq_f32(means, less), slope);
      const float32x4_t estimates = vfmaq_f32(rest, vmulq_f32(scale, steps), product);
      if (count == 4) {
        vst1q_f32(out + j, estimates);
      } else {
        float last[4];
        vst1q_f32(last, estimates);
        std::memcpy(out + j, last, count * sizeof(float));
      }
    }
  }
};

}  // namespace
}  // namespace concord::cpu
