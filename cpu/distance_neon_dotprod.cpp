// Distance kernels for Arm processors with the dot product instructions, which multiply bytes and
// add four neighbors at once. Compiled with that flag; holds leaf code only (see distance.hpp).

#include "cpu/code_estimates.hpp"
#include "cpu/distance_neon.hpp"

namespace concord::cpu {
namespace {

struct Bytes {
  // Lane i has elements 4i to 4i + 3, modulo 16.
  template <class Metric>
  struct Sum {
    int32x4_t all{};
    void add(uint8x16_t x, uint8x16_t y) {
      if constexpr (std::is_same_v<Metric, L2sq>) {
        const uint8x16_t difference = vabdq_u8(x, y);
        add_products(difference, difference);
      } else {
        add_products(x, y);
      }
    }
    void add(int8x16_t x, int8x16_t y) {
      if constexpr (std::is_same_v<Metric, L2sq>) {  // its magnitude is below 256
        const uint8x16_t difference = vreinterpretq_u8_s8(vabdq_s8(x, y));
        add_products(difference, difference);
      } else {
        all = vdotq_s32(all, x, y);
      }
    }
    [[nodiscard]] int32x4_t sums() const { return all; }

   private:
    void add_products(uint8x16_t x, uint8x16_t y) {
      all = vreinterpretq_s32_u32(vdotq_u32(vreinterpretq_u32_s32(all), x, y));
    }
  };
};

}  // namespace

const DistanceKernels kNeonDotprodKernels = {
    "neon-dotprod", kMetricKernels<L2sq, Bytes, neon_dotprod_estimates>,
    kMetricKernels<InnerProduct, Bytes, neon_dotprod_estimates>};

}  // namespace concord::cpu
