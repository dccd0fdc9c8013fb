// Estimates from codes: the same bits from every kernel, for any kind of code.
//
// A Problem is made of rows, a query and a metric, encodes them, and has score(isa, ids, n, out).
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <string>
#include <vector>

#include "common/store/scalar_code.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord::cpu::estimates {

inline constexpr std::size_t kRows = 9;

template <class Problem>
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

template <class Problem>
void expect_same_bits_in_any_dimension() {
  std::vector<std::uint32_t> dimensions(260);
  std::iota(dimensions.begin(), dimensions.end(), 1);
  dimensions.insert(dimensions.end(), {384, 768, 784, 960, 1536, 4099, 65536});
  for (const std::uint32_t dimension : dimensions) {
    const test::Matrix rows = make_data(test::Shape::random, kRows, dimension, dimension);
    const test::Matrix query = make_data(test::Shape::random, 1, dimension, 99);
    for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
      expect_same_bits(Problem(rows, query.row(0), metric), "random", dimension);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

/// Sums are as large as they can be, and norms are the largest that are taken.
template <class Problem>
void expect_same_bits_at_the_limits() {
  for (const std::uint32_t dimension : {1u, 2u, 31u, 64u, 100u, 65536u}) {
    const auto most = static_cast<float>(std::sqrt(core::kMaxCodedSquaredNorm / dimension));
    test::Matrix rows(kRows, dimension);
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
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

}  // namespace concord::cpu::estimates
