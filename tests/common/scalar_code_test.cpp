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
#include "tests/support/deviation.hpp"
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
        ASSERT_NEAR(double{numbers.step} * 255, double{*most} - double{*least}, 1e-5);
        const test::Deviation about(x, dimension);
        for (std::uint32_t e = 0; e < dimension; ++e) {
          const double near = *least + double{numbers.step} * std::to_integer<int>(code[e]);
          ASSERT_LE(std::abs(near - x[e]), double{numbers.step} * 0.5001 + 1e-6);
        }
        ASSERT_NEAR(numbers.square, about.square, about.square * 1e-6 + 1e-9);
        ASSERT_NEAR(numbers.mean, about.mean * std::sqrt(static_cast<double>(dimension)),
                    std::abs(about.mean) * 1e-5);
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
  EXPECT_EQ(numbers_of(code).step, 6.25f / 255);
  EXPECT_EQ(numbers_of(code).mean, 0x1.3557d00000000p-1f);
  EXPECT_EQ(numbers_of(code).square, 0x1.3f51c20000000p+4f);
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
        const bool is_l2 = metric == Metric::l2sq;
        const double step = numbers.scale / (is_l2 ? -2.0 : -1.0);
        const test::Deviation about(x, dimension);
        int sum = 0;
        for (std::uint32_t e = 0; e < dimension; ++e) {
          const auto c = std::bit_cast<std::int8_t>(code[sizeof numbers + e]);
          ASSERT_LE(std::abs(c), 63);
          ASSERT_LE(std::abs(step * c - (x[e] - about.mean)), step * 0.5001 + 1e-5);
          sum += c;
        }
        ASSERT_EQ(numbers.offset, 128 * sum);
        ASSERT_NEAR(numbers.square, is_l2 ? about.square : 1.0, about.square * 1e-5 + 1e-9);
        const double scaled = about.mean * std::sqrt(static_cast<double>(dimension));
        ASSERT_NEAR(numbers.more, -scaled, std::abs(scaled) * 1e-4 + 1e-9);
        ASSERT_EQ(numbers.less, is_l2 ? -numbers.more : 0.0f);
        ASSERT_EQ(numbers.factor, is_l2 ? 1.0f : 0.0f);
        ASSERT_TRUE(std::all_of(code.begin() + sizeof numbers + dimension, code.end(),
                                [](std::uint8_t byte) { return byte == 0; }));
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
