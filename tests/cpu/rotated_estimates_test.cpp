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
#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord::cpu {
namespace {

using test::make_data;
using test::Matrix;
using test::Shape;

constexpr std::size_t kRows = 9;

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

void expect_same_bits(const Problem& problem, const char* what, std::size_t dimension) {
  const std::uint32_t ids[kRows] = {8, 0, 7, 1, 6, 2, 2, 5, 3};
  for (const std::string& isa : test::supported_isas()) {
    for (std::size_t n = 0; n <= kRows; ++n) {
      float expected[kRows + 1];
      float got[kRows + 1];
      std::fill(std::begin(got), std::end(got), -77.0f);
      problem.score("scalar", ids, n, expected);
      problem.score(isa, ids, n, got);
      for (std::size_t j = 0; j < n; ++j) {
        ASSERT_EQ(std::bit_cast<std::uint32_t>(got[j]), std::bit_cast<std::uint32_t>(expected[j]))
            << isa << ' ' << what << " dimension " << dimension << " n " << n;
        ASSERT_TRUE(std::isfinite(got[j])) << what << " dimension " << dimension;
      }
      ASSERT_EQ(got[n], -77.0f) << isa << " wrote beyond n";
    }
  }
}

TEST(RotatedEstimates, HaveTheSameBitsFromEveryKernel) {
  std::vector<std::uint32_t> dimensions(260);
  std::iota(dimensions.begin(), dimensions.end(), 1);
  dimensions.insert(dimensions.end(), {384, 768, 784, 1536, 4099, 65536});
  for (const std::uint32_t dimension : dimensions) {
    const Matrix rows = make_data(Shape::random, kRows, dimension, dimension);
    const Matrix query = make_data(Shape::random, 1, dimension, 99);
    for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
      expect_same_bits(Problem(rows, query.row(0), metric), "random", dimension);
      if (HasFatalFailure()) return;
    }
  }
}

// Norms are the largest that are taken.
TEST(RotatedEstimates, HaveTheSameBitsAtTheLimits) {
  for (const std::uint32_t dimension : {1u, 2u, 31u, 64u, 100u, 65536u}) {
    const auto most = static_cast<float>(std::sqrt(core::kMaxCodedSquaredNorm / dimension));
    Matrix rows(kRows, dimension);
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t e = 0; e < dimension; ++e) {
        rows.row(r)[e] = (e + r) % 5 == 0 && r > 0 ? -most : most;
      }
    }
    std::vector<float> query(dimension);
    for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
      for (const float sign : {1.0f, -1.0f}) {
        std::fill(query.begin(), query.end(), sign * most);
        expect_same_bits(Problem(rows, query.data(), metric), "limit", dimension);
        if (HasFatalFailure()) return;
      }
    }
  }
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
