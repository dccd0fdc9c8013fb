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

struct F32 {
  using type = float;
};
struct U8 {
  using type = std::uint8_t;
};
struct I8 {
  using type = std::int8_t;
};

template <class Metric, class Element>
float distance(const float* x, const typename Element::type* y, std::size_t stride) {
  float a[kLanes] = {};
  for (std::size_t e = 0; e < stride; ++e) {
    a[e % kLanes] = Metric::step(a[e % kLanes], x[e], static_cast<float>(y[e]));
  }
  float q[8];
  for (std::size_t j = 0; j < 8; ++j)
    q[j] = (a[4 * j] + a[4 * j + 1]) + (a[4 * j + 2] + a[4 * j + 3]);
  float r[4];
  for (std::size_t j = 0; j < 4; ++j) r[j] = q[j] + q[j + 4];
  return Metric::finish((r[0] + r[2]) + (r[1] + r[3]));
}

template <class Metric, class Element, class Row>
void score(const float* query, Row row, std::size_t stride, std::size_t n, float* out) {
  for (std::size_t j = 0; j < n; ++j) out[j] = distance<Metric, Element>(query, row(j), stride);
}

template <class Metric, class Element>
void score_ids(const float* query, const void* base, std::size_t stride, const std::uint32_t* ids,
               std::size_t n, float* out) {
  const auto* first = static_cast<const typename Element::type*>(base);
  score<Metric, Element>(
      query, [=](std::size_t j) { return first + ids[j] * stride; }, stride, n, out);
}

template <class Metric, class Element>
void score_range(const float* query, const void* base, std::size_t stride, std::size_t n,
                 float* out) {
  const auto* first = static_cast<const typename Element::type*>(base);
  score<Metric, Element>(
      query, [=](std::size_t j) { return first + j * stride; }, stride, n, out);
}

template <class Metric, class Element>
constexpr RowKernels kRowKernels = {score_ids<Metric, Element>, score_range<Metric, Element>};
template <class Metric>
constexpr MetricKernels kMetricKernels = {kRowKernels<Metric, F32>, kRowKernels<Metric, U8>,
                                          kRowKernels<Metric, I8>};

}  // namespace

const DistanceKernels kScalarKernels = {"scalar", kMetricKernels<L2sq>,
                                        kMetricKernels<InnerProduct>};

}  // namespace concord::cpu
