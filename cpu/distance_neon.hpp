// Distance kernels for Arm's NEON, around the sums of bytes, which the leaf files bring: two rows
// at a time, eight accumulators of a quad each, or one of integers; or four rows by three queries.
//
// A quad of the canonical arithmetic is a register, so pairwise additions are its tree. For the
// leaf files distance_neon*.cpp alone: all of it has internal linkage, so that the linker cannot
// take one file's code for another's (see distance.hpp).
#pragma once

#include <arm_neon.h>

#include <type_traits>

#include "cpu/distance.hpp"
#include "cpu/rotated_estimates.hpp"

namespace concord::cpu {
namespace {

struct L2sq {
  static float32x4_t step(float32x4_t sum, float32x4_t x, float32x4_t y) {
    const float32x4_t difference = vsubq_f32(x, y);
    return vfmaq_f32(sum, difference, difference);
  }
  static float finish(float sum) { return sum; }
};

struct InnerProduct {
  static float32x4_t step(float32x4_t sum, float32x4_t x, float32x4_t y) {
    return vfmaq_f32(sum, x, y);
  }
  static float finish(float sum) { return 1.0f - sum; }
};

// Eight elements of a row as floats.
struct Eight {
  float32x4_t low;
  float32x4_t high;
};
struct F32 {
  using type = float;
  static Eight load(const float* p) { return {vld1q_f32(p), vld1q_f32(p + 4)}; }
};
struct U8 {
  using type = std::uint8_t;
  static Eight load(const std::uint8_t* p) {
    const uint16x8_t wide = vmovl_u8(vld1_u8(p));
    return {vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide))), vcvtq_f32_u32(vmovl_high_u16(wide))};
  }
};
struct I8 {
  using type = std::int8_t;
  static Eight load(const std::int8_t* p) {
    const int16x8_t wide = vmovl_s8(vld1_s8(p));
    return {vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide))), vcvtq_f32_s32(vmovl_high_s16(wide))};
  }
};
struct F16 {
  using type = std::uint16_t;
  static Eight load(const std::uint16_t* p) {
    const float16x8_t halves = vreinterpretq_f16_u16(vld1q_u16(p));
    return {vcvt_f32_f16(vget_low_f16(halves)), vcvt_high_f32_f16(halves)};
  }
};
struct BF16 {
  using type = std::uint16_t;
  static Eight load(const std::uint16_t* p) {
    const uint16x8_t upper = vld1q_u16(p);
    return {vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(vget_low_u16(upper)), 16)),
            vreinterpretq_f32_u32(vshlq_n_u32(vmovl_high_u16(upper), 16))};
  }
};

template <class Element>
concept Byte = sizeof(typename Element::type) == 1;

// S_0 and S_1 are the two lanes.
template <class Metric>
float finish(float32x2_t s) {
  return Metric::finish(vget_lane_f32(s, 0) + vget_lane_f32(s, 1));
}

// The distance from the 32 accumulators.
template <class Metric>
float finish(const float32x4_t (&a)[8]) {
  const float32x4_t q03 = vpaddq_f32(vpaddq_f32(a[0], a[1]), vpaddq_f32(a[2], a[3]));
  const float32x4_t q47 = vpaddq_f32(vpaddq_f32(a[4], a[5]), vpaddq_f32(a[6], a[7]));
  const float32x4_t r = vaddq_f32(q03, q47);
  return finish<Metric>(vadd_f32(vget_low_f32(r), vget_high_f32(r)));
}

// The same from R_0 … R_3, which are integers.
template <class Metric>
float finish(int32x4_t sums) {
  const float32x4_t r = vcvtq_f32_s32(sums);
  return finish<Metric>(vadd_f32(vget_low_f32(r), vget_high_f32(r)));
}

// Adds the eight elements at p of rows x and y to accumulators 8c to 8c + 7.
template <class Metric, class Element>
void add_eight(float32x4_t (&a)[8], float32x4_t (&b)[8], std::size_t c, const float* query,
               const typename Element::type* x, const typename Element::type* y) {
  const Eight q = F32::load(query);
  const Eight of_x = Element::load(x);
  const Eight of_y = Element::load(y);
  a[2 * c] = Metric::step(a[2 * c], q.low, of_x.low);
  b[2 * c] = Metric::step(b[2 * c], q.low, of_y.low);
  a[2 * c + 1] = Metric::step(a[2 * c + 1], q.high, of_x.high);
  b[2 * c + 1] = Metric::step(b[2 * c + 1], q.high, of_y.high);
}

// Distances of the query to rows x and y.
template <class Metric, class Element, class Sum>
float32x2_t score_two(const float* query, const typename Element::type* x,
                      const typename Element::type* y, std::size_t stride) {
  float32x4_t a[8] = {};
  float32x4_t b[8] = {};
  std::size_t e = 0;
  for (; e + 32 <= stride; e += 32) {
    for (std::size_t c = 0; c < 4; ++c) {
      const std::size_t at = e + 8 * c;
      add_eight<Metric, Element>(a, b, c, query + at, x + at, y + at);
    }
  }
  for (std::size_t c = 0; c < 3; ++c) {
    const std::size_t at = e + 8 * c;
    if (at >= stride) break;
    add_eight<Metric, Element>(a, b, c, query + at, x + at, y + at);
  }
  return float32x2_t{finish<Metric>(a), finish<Metric>(b)};
}

inline uint8x16_t load_sixteen(const std::uint8_t* p) { return vld1q_u8(p); }
inline int8x16_t load_sixteen(const std::int8_t* p) { return vld1q_s8(p); }
// Behind the eight bytes are zeros.
inline uint8x16_t load_eight(const std::uint8_t* p) {
  return vcombine_u8(vld1_u8(p), vdup_n_u8(0));
}
inline int8x16_t load_eight(const std::int8_t* p) { return vcombine_s8(vld1_s8(p), vdup_n_s8(0)); }

// Adds what sixteen bytes of two rows are to their distance. The magnitude of a difference of
// signed bytes is below 256.
template <class Metric, class Sum>
void add_sixteen(Sum& sum, uint8x16_t x, uint8x16_t y) {
  if constexpr (std::is_same_v<Metric, L2sq>) {
    const uint8x16_t difference = vabdq_u8(x, y);
    sum.add_products(difference, difference);
  } else {
    sum.add_products(x, y);
  }
}
template <class Metric, class Sum>
void add_sixteen(Sum& sum, int8x16_t x, int8x16_t y) {
  if constexpr (std::is_same_v<Metric, L2sq>) {
    const uint8x16_t difference = vreinterpretq_u8_s8(vabdq_s8(x, y));
    sum.add_products(difference, difference);
  } else {
    sum.add_products(x, y);
  }
}

// The same of bytes to a query of bytes. Lane i of the sums is R_i.
template <class Metric, Byte Element, class Sum>
float32x2_t score_two(const typename Element::type* query, const typename Element::type* x,
                      const typename Element::type* y, std::size_t stride) {
  Sum a;
  Sum b;
  std::size_t e = 0;
  for (; e + 16 <= stride; e += 16) {
    const auto q = load_sixteen(query + e);
    add_sixteen<Metric>(a, q, load_sixteen(x + e));
    add_sixteen<Metric>(b, q, load_sixteen(y + e));
  }
  if (e < stride) {  // 8 elements are left
    const auto q = load_eight(query + e);
    add_sixteen<Metric>(a, q, load_eight(x + e));
    add_sixteen<Metric>(b, q, load_eight(y + e));
  }
  return float32x2_t{finish<Metric>(a.sums()), finish<Metric>(b.sums())};
}

inline constexpr std::size_t kTileQueries = 3;
inline constexpr std::size_t kTileRows = 4;

// Distances of kTileQueries queries to kTileRows rows. Two of the eight accumulators of all pairs
// are summed at a time, because 24 fit in the 32 registers and 96 do not.
template <class Metric, class Element>
void score_tile(const float* queries, const typename Element::type* rows, std::size_t stride,
                float* out, std::size_t out_stride) {
  float32x4_t sums[kTileQueries][kTileRows][8];
  for (std::size_t c = 0; c < 4; ++c) {
    float32x4_t a[kTileQueries][kTileRows][2] = {};
    for (std::size_t e = 8 * c; e < stride; e += 32) {
      Eight q[kTileQueries];
      for (std::size_t i = 0; i < kTileQueries; ++i) q[i] = F32::load(queries + i * stride + e);
      for (std::size_t r = 0; r < kTileRows; ++r) {
        const Eight x = Element::load(rows + r * stride + e);
        for (std::size_t i = 0; i < kTileQueries; ++i) {
          a[i][r][0] = Metric::step(a[i][r][0], q[i].low, x.low);
          a[i][r][1] = Metric::step(a[i][r][1], q[i].high, x.high);
        }
      }
    }
    for (std::size_t i = 0; i < kTileQueries; ++i) {
      for (std::size_t r = 0; r < kTileRows; ++r) {
        sums[i][r][2 * c] = a[i][r][0];
        sums[i][r][2 * c + 1] = a[i][r][1];
      }
    }
  }
  for (std::size_t i = 0; i < kTileQueries; ++i) {
    for (std::size_t r = 0; r < kTileRows; ++r) {
      out[i * out_stride + r] = finish<Metric>(sums[i][r]);
    }
  }
}

template <class Metric, class Element, class Sum, class Query, class Row>
void score(const Query* query, Row row, std::size_t stride, std::size_t n, float* out) {
  std::size_t j = 0;
  for (; j + 2 <= n; j += 2) {
    const auto two = score_two<Metric, Element, Sum>(query, row(j), row(j + 1), stride);
    vst1_f32(out + j, two);
  }
  if (j < n) {
    const auto twice = score_two<Metric, Element, Sum>(query, row(j), row(j), stride);
    out[j] = vget_lane_f32(twice, 0);
  }
}

template <class Metric, class Query, class Element, class Sum>
void score_ids(const void* query, const void* base, std::size_t stride, const std::uint32_t* ids,
               std::size_t n, float* out) {
  const auto* first = static_cast<const typename Element::type*>(base);
  score<Metric, Element, Sum>(
      static_cast<const Query*>(query), [=](std::size_t j) { return first + ids[j] * stride; },
      stride, n, out);
}

template <class Metric, class Query, class Element, class Sum>
void score_block(const void* queries, std::size_t count, const void* base, std::size_t stride,
                 std::size_t n, float* out, std::size_t out_stride) {
  const auto* query = static_cast<const Query*>(queries);
  const auto* first = static_cast<const typename Element::type*>(base);
  constexpr bool kTiles = std::is_same_v<Query, float>;  // bytes need nothing widened
  const std::size_t tiled_queries = kTiles ? count / kTileQueries * kTileQueries : 0;
  const std::size_t tiled_rows = n / kTileRows * kTileRows;
  for (std::size_t i = 0; i < tiled_queries; i += kTileQueries) {
    for (std::size_t j = 0; j < tiled_rows; j += kTileRows) {
      if constexpr (kTiles) {
        score_tile<Metric, Element>(query + i * stride, first + j * stride, stride,
                                    out + i * out_stride + j, out_stride);
      }
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t done = i < tiled_queries ? tiled_rows : 0;
    score<Metric, Element, Sum>(
        query + i * stride, [=](std::size_t j) { return first + (done + j) * stride; }, stride,
        n - done, out + i * out_stride + done);
  }
}

template <class Metric, class Query, class Element, class Sum>
constexpr RowKernels kRowKernels = {score_ids<Metric, Query, Element, Sum>,
                                    score_block<Metric, Query, Element, Sum>};
/// A `Sum` adds products of sixteen bytes; `estimates` is a ScoreIds of codes.
template <class Metric, class Sum, ScoreIds estimates>
constexpr MetricKernels kMetricKernels = {
    kRowKernels<Metric, float, F32, Sum>,      kRowKernels<Metric, float, U8, Sum>,
    kRowKernels<Metric, float, I8, Sum>,       kRowKernels<Metric, float, F16, Sum>,
    kRowKernels<Metric, float, BF16, Sum>,     kRowKernels<Metric, std::uint8_t, U8, Sum>,
    kRowKernels<Metric, std::int8_t, I8, Sum>, {estimates, nullptr},
    {scalar_rotated_estimates, nullptr}};

}  // namespace
}  // namespace concord::cpu
