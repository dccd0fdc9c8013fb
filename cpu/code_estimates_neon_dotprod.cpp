// Estimates of code_estimates.hpp for Arm processors with the dot product instructions. Compiled
// with that flag; holds leaf code only (see distance.hpp).

#include "cpu/code_estimates_neon.hpp"

namespace concord::cpu {
namespace {

int32x4_t add_products(int32x4_t sums, int8x16_t x, int8x16_t y) { return vdotq_s32(sums, x, y); }

}  // namespace

void neon_dotprod_estimates(const void* query, const void* base, std::size_t stride,
                            const std::uint32_t* ids, std::size_t n, float* out) {
  Estimates<add_products>::estimate(query, base, stride, ids, n, out);
}

}  // namespace concord::cpu
