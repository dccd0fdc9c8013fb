// The canonical arithmetic spelled out: the oracle that every other kernel must equal to the bit.

#include <cmath>

#include "common/base/half.hpp"
#include "cpu/code_estimates.hpp"
#include "cpu/distance.hpp"
#include "cpu/rotated_estimates.hpp"

namespace concord::cpu {
namespace {

constexpr std::size_t kLanes = 32;

struct L2sq {
  static std::int32_t term(std::int32_t x, std::int32_t y) { return (x - y) * (x - y); }
  static float step(float sum, float x, float y) {
    const float difference = x - y;
    return std::fma(difference, difference, sum);
  }
  static float finish(float sum) { return sum; }
};

struct InnerProduct {
  static std::int32_t term(std::int32_t x, std::int32_t y) { return x * y; }
  static float step(float sum, float x, float y) { return std::fma(x, y, sum); }
  static float finish(float sum) { return 1.0f - sum; }
};

// Of a row of any elements to a query of floats.
template <class Metric, class Row>
float distance(const float* x, const Row* y, std::size_t stride) {
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

template <class Row>
concept Byte = sizeof(Row) == 1;

// Of bytes to bytes, by integers.
template <class Metric, Byte Row>
float distance(const Row* x, const Row* y, std::size_t stride) {
  std::int32_t r[4] = {};
  for (std::size_t e = 0; e < stride; ++e) r[e / 4 % 4] += Metric::term(x[e], y[e]);
  const auto s = [&](std::size_t j) {
    return static_cast<float>(r[j]) + static_cast<float>(r[j + 2]);
  };
  return Metric::finish(s(0) + s(1));
}

template <class Metric, class Query, class Row>
void score(const Query* query, Row row, std::size_t stride, std::size_t n, float* out) {
  for (std::size_t j = 0; j < n; ++j) out[j] = distance<Metric>(query, row(j), stride);
}

template <class Metric, class Query, class Element>
void score_ids(const void* query, const void* base, std::size_t stride, const std::uint32_t* ids,
               std::size_t n, float* out) {
  const auto* first = static_cast<const Element*>(base);
  score<Metric>(
      static_cast<const Query*>(query), [=](std::size_t j) { return first + ids[j] * stride; },
      stride, n, out);
}

template <class Metric, class Query, class Element>
void score_block(const void* queries, std::size_t count, const void* base, std::size_t stride,
                 std::size_t n, float* out, std::size_t out_stride) {
  const auto* first = static_cast<const Element*>(base);
  for (std::size_t i = 0; i < count; ++i) {
    score<Metric>(
        static_cast<const Query*>(queries) + i * stride,
        [=](std::size_t j) { return first + j * stride; }, stride, n, out + i * out_stride);
  }
}

template <class Metric, class Query, class Element>
constexpr RowKernels kRowKernels = {score_ids<Metric, Query, Element>,
                                    score_block<Metric, Query, Element>};
template <class Metric>
constexpr MetricKernels kMetricKernels = {kRowKernels<Metric, float, float>,
                                          kRowKernels<Metric, float, std::uint8_t>,
                                          kRowKernels<Metric, float, std::int8_t>,
                                          kRowKernels<Metric, float, core::Half>,
                                          kRowKernels<Metric, float, core::BFloat16>,
                                          kRowKernels<Metric, std::uint8_t, std::uint8_t>,
                                          kRowKernels<Metric, std::int8_t, std::int8_t>,
                                          {scalar_estimates, nullptr},
                                          {scalar_rotated_estimates, nullptr}};

}  // namespace

const DistanceKernels kScalarKernels = {"scalar", kMetricKernels<L2sq>,
                                        kMetricKernels<InnerProduct>};

}  // namespace concord::cpu
