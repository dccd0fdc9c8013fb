// Distance kernels for every 64-bit Arm processor. Bytes are multiplied to 16 bits, and neighbors
// added to 32. Compiled without ISA flags; holds leaf code only (see distance.hpp).

#include "cpu/distance_neon.hpp"

#include "cpu/code_estimates.hpp"

namespace concord::cpu {
namespace {

// Lane i of `low` has elements 2i and 2i + 1, modulo 16, of the first eight; `high` of the others.
struct Sum {
  int32x4_t low{};
  int32x4_t high{};
  void add_products(uint8x16_t x, uint8x16_t y) {
    const uint16x8_t first = vmull_u8(vget_low_u8(x), vget_low_u8(y));
    low = vreinterpretq_s32_u32(vpadalq_u16(vreinterpretq_u32_s32(low), first));
    high = vreinterpretq_s32_u32(vpadalq_u16(vreinterpretq_u32_s32(high), vmull_high_u8(x, y)));
  }
  void add_products(int8x16_t x, int8x16_t y) {
    low = vpadalq_s16(low, vmull_s8(vget_low_s8(x), vget_low_s8(y)));
    high = vpadalq_s16(high, vmull_high_s8(x, y));
  }
  [[nodiscard]] int32x4_t sums() const { return vpaddq_s32(low, high); }
};

}  // namespace

const DistanceKernels kNeonKernels = {"neon", kMetricKernels<L2sq, Sum, neon_estimates>,
                                      kMetricKernels<InnerProduct, Sum, neon_estimates>};

}  // namespace concord::cpu
