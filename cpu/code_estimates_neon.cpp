// Estimates of code_estimates.hpp for every 64-bit Arm processor. Compiled without ISA flags; holds
// leaf code only (see distance.hpp).

#include "cpu/code_estimates_neon.hpp"

namespace concord::cpu {
namespace {

// Two products fit 16 bits, because none is above 128 · 63.
int32x4_t add_products(int32x4_t sums, int8x16_t x, int8x16_t y) {
  const int16x8_t first = vmull_s8(vget_low_s8(x), vget_low_s8(y));
  return vpadalq_s16(sums, vmlal_high_s8(first, x, y));
}

}  // namespace

void neon_estimates(const void* query, const void* base, std::size_t stride,
                    const std::uint32_t* ids, std::size_t n, float* out) {
  Estimates<add_products>::estimate(query, base, stride, ids, n, out);
}

}  // namespace concord::cpu
