// Codes of vectors and queries: how near they are, that they are the same however a vector is kept,
// and that no bit pattern breaks them.

#include "common/store/scalar_code.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord::core {
namespace {

using test::make_data;
using test::Matrix;
using test::Shape;

constexpr std::uint32_t kDimensions[] = {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 100, 128, 385};

std::vector<std::byte> code_of(const float* x, std::uint32_t dimension, Metric metric) {
  std::vector<std::byte> code(code_bytes(dimension), std::byte{0xEE});
  encode(Element::f32, x, dimension, metric, code.data());
  return code;
}
CodeNumbers numbers_of(const std::vector<std::byte>& code) {
  CodeNumbers numbers;
  std::memcpy(&numbers, code.data() + code.size() - sizeof numbers, sizeof numbers);
  return numbers;
}

TEST(ScalarCode, IsWithinHalfAStepOfEachElement) {
  for (const Shape shape : test::kAllShapes) {
    if (shape == Shape::huge_norm) continue;  // refused
    for (const std::uint32_t dimension : kDimensions) {
      const Matrix data = make_data(shape, 20, dimension);
      for (std::size_t r = 0; r < data.rows; ++r) {
        const float* const x = data.row(r);
        const auto code = code_of(x, dimension, Metric::l2sq);
        const CodeNumbers numbers = numbers_of(code);
        const auto [least, most] = std::minmax_element(x, x + dimension);
        ASSERT_EQ(numbers.low, *least);
        ASSERT_NEAR(double{numbers.step} * 255, double{*most} - double{*least}, 1e-5);
        double square = 0;
        for (std::uint32_t e = 0; e < dimension; ++e) {
          const double near = numbers.low + double{numbers.step} * std::to_integer<int>(code[e]);
          ASSERT_LE(std::abs(near - x[e]), double{numbers.step} * 0.5001 + 1e-6);
          square += double{x[e]} * double{x[e]};
        }
        ASSERT_NEAR(numbers.square, square, square * 1e-6);
        for (std::size_t b = dimension; b < code.size() - sizeof numbers; ++b) {
          ASSERT_EQ(code[b], std::byte{0}) << "beyond the dimension";
        }
      }
    }
  }
}

TEST(ScalarCode, TakesAsManyBytesAsItSays) {
  for (std::uint32_t dimension = 1; dimension < 300; ++dimension) {
    EXPECT_EQ(code_bytes(dimension) % 16, 0u);
    EXPECT_GE(code_bytes(dimension), dimension + 12);
    EXPECT_LT(code_bytes(dimension), dimension + 12 + 16);
  }
  EXPECT_EQ(code_bytes(100), 112u);
  EXPECT_EQ(code_bytes(128), 144u);
  EXPECT_EQ(code_bytes(384), 400u);
}

TEST(ScalarCode, IsTheSameHoweverTheVectorIsKept) {
  for (const auto& [shape, element] :
       {std::pair(Shape::u8, Element::u8), std::pair(Shape::i8, Element::i8)}) {
    for (const std::uint32_t dimension : kDimensions) {
      const Matrix data = make_data(shape, 30, dimension);
      std::vector<std::byte> bytes(dimension);
      for (std::size_t r = 0; r < data.rows; ++r) {
        ASSERT_TRUE(narrow(data.row(r), dimension, element, bytes.data()));
        std::vector<std::byte> code(code_bytes(dimension));
        encode(element, bytes.data(), dimension, Metric::l2sq, code.data());
        ASSERT_EQ(code, code_of(data.row(r), dimension, Metric::l2sq));
      }
    }
  }
}

// Codes are part of the answers, so these never change.
TEST(ScalarCode, IsWhatItWas) {
  const std::array<float, 5> x = {0.1f, -2.5f, 3.75f, 0.0f, 1e-3f};
  const auto code = code_of(x.data(), 5, Metric::l2sq);
  const std::array<int, 5> expected = {106, 0, 255, 102, 102};
  for (std::size_t e = 0; e < 5; ++e) EXPECT_EQ(std::to_integer<int>(code[e]), expected[e]);
  EXPECT_EQ(numbers_of(code).low, -2.5f);
  EXPECT_EQ(numbers_of(code).step, 6.25f / 255);
  EXPECT_EQ(numbers_of(code).square, static_cast<float>(double{0.1f} * double{0.1f} + 6.25 +
                                                        14.0625 + double{1e-3f} * double{1e-3f}));
  EXPECT_EQ(numbers_of(code_of(x.data(), 5, Metric::cosine)).square, 0.0f);
  EXPECT_EQ(numbers_of(code_of(x.data(), 5, Metric::inner_product)).square, 0.0f);
}

TEST(ScalarCode, OfAQueryIsWithinHalfAStepOfEachElement) {
  for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
    for (const std::uint32_t dimension : kDimensions) {
      const Matrix data = make_data(Shape::random, 20, dimension);
      std::vector<std::uint8_t> code(query_code_bytes(dimension), 0xEE);
      for (std::size_t r = 0; r < data.rows; ++r) {
        const float* const x = data.row(r);
        encode_query(x, dimension, metric, code.data());
        QueryCode numbers;
        std::memcpy(&numbers, code.data(), sizeof numbers);
        const double factor = metric == Metric::l2sq ? -2 : -1;
        const double step = numbers.scale / factor;
        double sum = 0;
        for (std::uint32_t e = 0; e < dimension; ++e) {
          const auto c = std::bit_cast<std::int8_t>(code[sizeof numbers + e]);
          ASSERT_LE(std::abs(c), 63);
          ASSERT_LE(std::abs(step * c - x[e]), step * 0.5001 + 1e-9);
          sum += step * c;
        }
        ASSERT_NEAR(numbers.sum, factor * sum, 1e-4);
        ASSERT_TRUE(std::all_of(code.begin() + sizeof numbers + dimension, code.end(),
                                [](std::uint8_t byte) { return byte == 0; }));
        const double square = metric == Metric::l2sq ? numbers.square : 1.0;
        ASSERT_EQ(numbers.square, square);
      }
    }
  }
}

// Vectors of a mapped file are read before they are checked. UBSan looks on.
TEST(ScalarCode, TakesAnyBits) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {kInfinity, -kInfinity, nan, -nan, 3e38f, 1e-45f}) {
    for (std::size_t place = 0; place < 9; ++place) {
      std::array<float, 9> x{1, 2, 3};
      x[place] = bad;
      (void)code_of(x.data(), 9, Metric::l2sq);
      std::vector<std::uint8_t> code(query_code_bytes(9));
      encode_query(x.data(), 9, Metric::l2sq, code.data());
    }
  }
}

}  // namespace
}  // namespace concord::core
