// Estimates from codes: the same bits from every instruction set, and near the distance.

#include "cpu/code_estimates.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "common/store/scalar_code.hpp"
#include "cpu/isa.hpp"
#include "tests/cpu/estimates_of_kernels.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/deviation.hpp"
#include "tests/support/support.hpp"

namespace concord::cpu {
namespace {

using estimates::kRows;
using test::make_data;
using test::Matrix;
using test::Shape;

struct Problem {
  Problem(const Matrix& rows, const float* query, Metric metric)
      : stride(core::code_bytes(static_cast<std::uint32_t>(rows.cols))),
        codes(kRows * stride + 1),
        of_query(core::query_code_bytes(static_cast<std::uint32_t>(rows.cols)) + 3) {
    const auto dimension = static_cast<std::uint32_t>(rows.cols);
    for (std::size_t r = 0; r < kRows; ++r) {
      core::encode(core::Element::f32, rows.row(r), dimension, metric,
                   codes.data() + 1 + r * stride);
    }
    core::encode_query(query, dimension, metric, of_query.data() + 3);
  }
  void score(const std::string& isa, const std::uint32_t* ids, std::size_t n, float* out) const {
    const MetricKernels& kernels = for_metric(kernels_named(isa), Metric::l2sq);
    kernels.codes.ids(of_query.data() + 3, codes.data() + 1, stride, ids, n, out);
  }

  std::size_t stride;
  std::vector<std::byte> codes;        ///< from the second byte on, so that nothing is aligned
  std::vector<std::uint8_t> of_query;  ///< from the fourth byte on
};

// What the product of the deviations of a row and a query from their means may be off by.
double error_of(const float* x, const float* q, std::uint32_t dimension) {
  const test::Deviation of_query(q, dimension);
  const auto [least, greatest] = std::minmax_element(x, x + dimension);
  const double range = double{*greatest} - double{*least};
  const double half_steps = std::sqrt(static_cast<double>(dimension)) / 2;
  // No element is farther from the middle code than 128 steps.
  return half_steps * range / 255 * std::sqrt(of_query.square) +
         half_steps * range * half_steps * 2.1 * of_query.most / 63;
}

TEST(CodeEstimates, HaveTheSameBitsFromEveryKernel) {
  estimates::expect_same_bits_in_any_dimension<Problem>();
}

TEST(CodeEstimates, HaveTheSameBitsAtTheLimits) {
  estimates::expect_same_bits_at_the_limits<Problem>();
}

// |⟨x', q'⟩ − ⟨x̂, q̂⟩| ≤ |x' − x̂| |q'| + |x̂| |q' − q̂|, where x̂ has 256 steps between the least and
// the greatest element. An offset that all share takes no part in it.
TEST(CodeEstimates, AreAsNearAsTheCodesAllow) {
  for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
    for (const Shape shape : {Shape::random, Shape::clustered, Shape::u8, Shape::zero}) {
      for (const std::uint32_t dimension : {1u, 7u, 100u, 384u}) {
        for (const float offset : {0.0f, -3.0f, 512.0f}) {
          Matrix rows = make_data(shape, kRows, dimension, 5);
          Matrix query = make_data(shape, 1, dimension, 6);
          for (float& x : rows.values) x += offset;
          for (float& x : query.values) x += offset;
          const Problem problem(rows, query.row(0), metric);
          float estimates[kRows];
          std::uint32_t ids[kRows];
          std::iota(std::begin(ids), std::end(ids), 0u);
          problem.score("scalar", ids, kRows, estimates);
          for (std::size_t r = 0; r < kRows; ++r) {
            const double error = error_of(rows.row(r), query.row(0), dimension);
            double distance = metric == Metric::l2sq ? 0 : 1;
            double squares = 0;
            for (std::uint32_t e = 0; e < dimension; ++e) {
              const double x = rows.row(r)[e];
              const double q = query.row(0)[e];
              distance += metric == Metric::l2sq ? (x - q) * (x - q) : -x * q;
              squares += metric == Metric::l2sq ? (x - q) * (x - q) : x * x + q * q;
            }
            const double factor = metric == Metric::l2sq ? 2 : 1;
            ASSERT_NEAR(estimates[r], distance, factor * error + 1e-5 * (squares + 1))
                << to_string(metric) << ' ' << to_string(shape) << " dimension " << dimension
                << " offset " << offset;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace concord::cpu
