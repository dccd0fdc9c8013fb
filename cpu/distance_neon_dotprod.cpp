// Distance kernels for Arm processors with the dot product instructions, which multiply bytes and
// add four neighbors at once. Compiled with that flag; holds leaf code only (see distance.hpp).

#include "cpu/code_estimates.hpp"
#include "cpu/distance_neon.hpp"

namespace concord::cpu {
namespace {

// Lane i has elements 4i to 4i + 3, modulo 16.
struct Sum {
  int32x4_t all{};
  void add_products(uint8x16_t x, uint8x16_t y) {
    all = vreinterpretq_s32_u32(vdotq_u32(vreinterpretq_u32_s32(all), x, y));
  }
  void add_products(int8x16_t x, int8x16_t y) { all = vdotq_s32(all, x, y); }
  [[nodiscard]] int32x4_t sums() const { return all; }
};

}  // namespace

const DistanceKernels kNeonDotprodKernels = {
    "neon-dotprod", kMetricKernels<L2sq, Sum, neon_dotprod_estimates>,
    kMetricKernels<InnerProduct, Sum, neon_dotprod_estimates>};

}  // namespace concord::cpu
