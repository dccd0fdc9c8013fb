// The canonical arithmetic spelled out: the oracle that every other kernel must equal to the bit.

#include <cmath>

#include "cpu/distance.hpp"

namespace concord::cpu {
namespace {

constexpr std::size_t kLanes = 32;

struct L2sq {
  static float step(float sum, float x, float y) {
    const float difference = x - y;
    return std::fma(difference, difference, sum);
  }
  static float finish(float sum) { return sum; }
};

struct InnerProduct {
  static float step(float sum, float x, float y) { return std::fma(x, y, sum); }
  static float finish(float sum) { return 1.0f - sum; }
};

template <class Metric>
float distance(const float* x, const float* y, std::size_t stride) {
  float a[kLanes] = {};
  for (std::size_t e = 0; e < stride; ++e) a[e % kLanes] = Metric::step(a[e % kLanes], x[e], y[e]);
  float q[8];
  for (std::size_t j = 0; j < 8; ++j)
    q[j] = (a[4 * j] + a[4 * j + 1]) + (a[4 * j + 2] + a[4 * j + 3]);
  float r[4];
  for (std::size_t j = 0; j < 4; ++j) r[j] = q[j] + q[j + 4];
  return Metric::finish((r[0] + r[2]) + (r[1] + r[3]));
}

template <class Metric>
void score_ids(const float* query, const float* base, std::size_t stride, const std::uint32_t* ids,
               std::size_t n, float* out) {
  for (std::size_t j = 0; j < n; ++j)
    out[j] = distance<Metric>(query, base + ids[j] * stride, stride);
}

template <class Metric>
void score_range(const float* query, const float* base, std::size_t stride, std::size_t n,
                 float* out) {
  for (std::size_t j = 0; j < n; ++j) out[j] = distance<Metric>(query, base + j * stride, stride);
}

}  // namespace

const DistanceKernels kScalarKernels = {
    "scalar",
    {score_ids<L2sq>, score_range<L2sq>},
    {score_ids<InnerProduct>, score_range<InnerProduct>},
};

}  // namespace concord::cpu
