// Estimates from codes of four bits: the same bits from every instruction set, and near the
// distance.

#include "cpu/rotated_estimates.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <vector>

#include "common/store/rotated_code.hpp"
#include "common/store/scalar_code.hpp"
#include "cpu/isa.hpp"
#include "tests/cpu/estimates_of_kernels.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord::cpu {
namespace {

using estimates::kRows;
using test::make_data;
using test::Matrix;
using test::Shape;

/// Codes about the mean of the rows.
struct Problem {
  Problem(const Matrix& rows, const float* query, Metric metric)
      : stride(core::rotated_code_bytes(static_cast<std::uint32_t>(rows.cols))),
        codes(kRows * stride + 1) {
    core::RotatedCoder coder(static_cast<std::uint32_t>(rows.cols), metric, 42);
    for (std::size_t i = 0; i < core::kCentreVectors; ++i) {
      coder.count_in(core::Element::f32, rows.row(i % kRows));
    }
    std::vector<float> scratch(rows.cols);
    for (std::size_t r = 0; r < kRows; ++r) {
      coder.encode(core::Element::f32, rows.row(r), scratch.data(), codes.data() + 1 + r * stride);
    }
    of_query.resize(coder.query_bytes() + 4);
    coder.encode_query(query, of_query.data() + 4);
  }
  void score(const std::string& isa, const std::uint32_t* ids, std::size_t n, float* out) const {
    const MetricKernels& kernels = for_metric(kernels_named(isa), Metric::l2sq);
    kernels.rotated_codes.ids(of_query.data() + 4, codes.data() + 1, stride, ids, n, out);
  }

  std::size_t stride;
  std::vector<std::byte> codes;        ///< from the second byte on, so that nothing is aligned
  std::vector<std::uint8_t> of_query;  ///< from the fifth byte on, where floats are
};

TEST(RotatedEstimates, HaveTheSameBitsFromEveryKernel) {
  estimates::expect_same_bits_in_any_dimension<Problem>();
}

TEST(RotatedEstimates, HaveTheSameBitsAtTheLimits) {
  estimates::expect_same_bits_at_the_limits<Problem>();
}

// The codes are off by at most half a step of the widest scale in each element.
TEST(RotatedEstimates, AreNearTheDistances) {
  for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
    for (const Shape shape : {Shape::random, Shape::clustered, Shape::u8, Shape::zero}) {
      for (const std::uint32_t dimension : {1u, 3u, 7u, 32u, 100u, 384u}) {
        const Matrix rows = make_data(shape, kRows, dimension, 5);
        const Matrix query = make_data(shape, 1, dimension, 6);
        float estimates[kRows];
        std::uint32_t ids[kRows];
        std::iota(std::begin(ids), std::end(ids), 0u);
        Problem(rows, query.row(0), metric).score("scalar", ids, kRows, estimates);
        for (std::size_t r = 0; r < kRows; ++r) {
          double distance = metric == Metric::l2sq ? 0 : 1;
          double of_row = 0;  // squares of what differs from the centre
          double of_query = 0;
          double squares = 0;
          for (std::uint32_t e = 0; e < dimension; ++e) {
            const double x = rows.row(r)[e];
            const double q = query.row(0)[e];
            double centre = 0;
            for (std::size_t i = 0; i < core::kCentreVectors; ++i) centre += rows.row(i % kRows)[e];
            centre /= core::kCentreVectors;
            distance += metric == Metric::l2sq ? (x - q) * (x - q) : -x * q;
            of_row += (x - centre) * (x - centre);
            of_query += (q - centre) * (q - centre);
            squares += x * x + q * q;
          }
          const double factor = metric == Metric::l2sq ? 2 : 1;
          const double error = 0.25 * std::sqrt(of_row * of_query);
          ASSERT_NEAR(estimates[r], distance, factor * error + 1e-4 * (squares + 1))
              << to_string(metric) << ' ' << to_string(shape) << " dimension " << dimension;
        }
      }
    }
  }
}

}  // namespace
}  // namespace concord::cpu
