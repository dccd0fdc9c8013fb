// Codes of four bits: what an oracle spells out of their definition, that they are the same however
// a vector is kept, and that no bit pattern breaks them.

#include "common/store/rotated_code.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "common/base/mix64.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord::core {
namespace {

using test::make_data;
using test::Matrix;
using test::Shape;

constexpr std::uint32_t kDimensions[] = {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 32, 33, 100, 128, 385};
constexpr std::uint64_t kSeed = 42;

/// A coder whose centre is that of rows of `data`, again and again.
RotatedCoder coder_of(const Matrix& data, Metric metric) {
  RotatedCoder coder(static_cast<std::uint32_t>(data.cols), metric, kSeed);
  for (std::size_t i = 0; i < kCentreVectors; ++i) {
    EXPECT_FALSE(coder.has_centre());
    coder.count_in(Element::f32, data.row(i % data.rows));
  }
  EXPECT_TRUE(coder.has_centre());
  return coder;
}

std::vector<float> centre_of(const RotatedCoder& coder) {
  std::vector<float> centre;
  for (const double sum : coder.sums()) centre.push_back(static_cast<float>(sum / 1024));
  return centre;
}

std::vector<std::byte> code_of(const RotatedCoder& coder, const float* x, std::uint32_t dimension) {
  std::vector<std::byte> code(rotated_code_bytes(dimension), std::byte{0xEE});
  std::vector<float> scratch(dimension);
  coder.encode(Element::f32, x, scratch.data(), code.data());
  return code;
}
RotatedNumbers numbers_of(const std::vector<std::byte>& code) {
  RotatedNumbers numbers;
  std::memcpy(&numbers, code.data() + code.size() - sizeof numbers, sizeof numbers);
  return numbers;
}
int level_in(const std::vector<std::byte>& code, std::uint32_t dimension, std::size_t e) {
  const std::size_t half = (dimension + 1) / 2;
  return e < half ? std::to_integer<int>(code[e] & std::byte{15})
                  : std::to_integer<int>(code[e - half] >> 4);
}

// The rotation as it is defined, a stride at a time.
void rotate(std::vector<float>& z) {
  const std::size_t d = z.size();
  std::size_t block = 1;
  while (2 * block <= d) block *= 2;
  for (std::size_t turn = 0; turn < 2; ++turn) {
    for (std::size_t e = 0; e < d; ++e) {
      const std::size_t i = turn * d + e;
      if ((mix64(mix64(kSeed ^ 0x726F746174696F6E) + i / 64) >> i % 64 & 1) != 0) z[e] = -z[e];
    }
    for (const std::size_t first : {std::size_t{0}, d - block}) {
      for (std::size_t h = 1; h < block; h *= 2) {
        for (std::size_t j = 0; j < block; ++j) {
          if ((j & h) != 0) continue;
          float& a = z[first + j];
          float& b = z[first + j + h];
          const float sum = a + b;
          b = a - b;
          a = sum;
        }
      }
      for (std::size_t j = 0; j < block; ++j) {
        z[first + j] *= static_cast<float>(1 / std::sqrt(static_cast<double>(block)));
      }
      if (block == d) break;
    }
  }
}

double length_of(const std::vector<float>& z) {
  double square = 0;
  for (const float x : z) square += double{x} * x;
  return std::sqrt(square);
}

struct Fit {
  double cosine;  ///< times |z|
  double product;
};
template <class LevelOf>
Fit fit_of(const std::vector<float>& z, const LevelOf& level_of) {
  double product = 0;
  double square = 0;
  for (std::size_t e = 0; e < z.size(); ++e) {
    const double v = 2.0 * level_of(e) - 15;
    product += v * z[e];
    square += v * v;
  }
  return {product / std::sqrt(square), product};
}

// Of the twelve scales none has a greater cosine than the code, which is that of one of them.
void expect_best_scale(const std::vector<float>& z, const std::vector<std::byte>& code,
                       double length) {
  const auto dimension = static_cast<std::uint32_t>(z.size());
  const Fit fit = fit_of(z, [&](std::size_t e) { return level_in(code, dimension, e); });
  float most = 0;
  for (const float x : z) most = std::max(most, std::abs(x));
  bool is_one_of_them = length == 0;
  for (int s = 0; s < 12; ++s) {
    const double step = most / 7.5 * (0.4 + 0.055 * s);
    const auto place = [&](std::size_t e) { return std::clamp(z[e] / step + 7.5, 0.0, 15.0); };
    const auto nearest = [&](std::size_t e) { return std::nearbyint(place(e)); };
    EXPECT_LE(length == 0 ? 0 : fit_of(z, nearest).cosine, fit.cosine + 1e-4 * length);
    bool is_it = true;
    for (std::size_t e = 0; e < dimension; ++e) {
      is_it &= std::abs(place(e) - level_in(code, dimension, e)) < 0.501;
    }
    is_one_of_them |= is_it;
  }
  EXPECT_TRUE(is_one_of_them);
  const double factor = numbers_of(code).factor;
  EXPECT_NEAR(factor, length == 0 ? 0 : length * length / fit.product, 1e-4 * factor);
}

void expect_oracles_code(const RotatedCoder& coder, const float* x, Metric metric) {
  const std::vector<float> centre = centre_of(coder);
  const auto dimension = static_cast<std::uint32_t>(centre.size());
  std::vector<float> z(dimension);
  double across = 0;
  for (std::uint32_t e = 0; e < dimension; ++e) {
    z[e] = x[e] - centre[e];
    across += double{centre[e]} * z[e];
  }
  const double length = length_of(z);
  rotate(z);
  EXPECT_NEAR(length_of(z), length, 1e-5 * length + 1e-9);
  const auto code = code_of(coder, x, dimension);
  const double rest = metric == Metric::l2sq ? length * length : -across;
  EXPECT_NEAR(numbers_of(code).rest, rest, 1e-5 * (length * length + std::abs(across)) + 1e-4);
  expect_best_scale(z, code, length);
  const std::size_t half = (dimension + 1) / 2;
  EXPECT_TRUE(std::all_of(code.begin() + static_cast<std::ptrdiff_t>(half),
                          code.end() - sizeof(RotatedNumbers),
                          [](std::byte byte) { return byte == std::byte{0}; }));
  EXPECT_TRUE(dimension % 2 == 0 || code[half - 1] >> 4 == std::byte{0});
}

TEST(RotatedCode, IsThatOfTheOracle) {
  for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
    for (const Shape shape : {Shape::random, Shape::clustered, Shape::sorted, Shape::u8}) {
      for (const std::uint32_t dimension : kDimensions) {
        const Matrix data = make_data(shape, 20, dimension);
        const RotatedCoder coder = coder_of(data, metric);
        for (std::size_t r = 0; r < data.rows; ++r) {
          expect_oracles_code(coder, data.row(r), metric);
          ASSERT_FALSE(HasFailure()) << to_string(shape) << " dimension " << dimension;
        }
      }
    }
  }
}

TEST(RotatedCode, OfTheCentreIsWithoutAFactor) {
  const Matrix data = make_data(Shape::constant, 3, 9);
  const RotatedCoder coder = coder_of(data, Metric::l2sq);
  const RotatedNumbers numbers = numbers_of(code_of(coder, data.row(0), 9));
  EXPECT_EQ(numbers.factor, 0.0f);
  EXPECT_EQ(numbers.rest, 0.0f);
}

TEST(RotatedCode, TakesAsManyBytesAsItSays) {
  for (std::uint32_t dimension = 1; dimension < 300; ++dimension) {
    EXPECT_EQ(rotated_code_bytes(dimension) % 16, 0u);
    EXPECT_GE(rotated_code_bytes(dimension), dimension / 2.0 + 8);
    EXPECT_LT(rotated_code_bytes(dimension), (dimension + 1) / 2 + 8 + 16);
  }
  EXPECT_EQ(rotated_code_bytes(100), 64u);
  EXPECT_EQ(rotated_code_bytes(128), 80u);
  EXPECT_EQ(rotated_code_bytes(384), 208u);
}

TEST(RotatedCode, IsTheSameHoweverTheVectorIsKept) {
  for (const auto& [shape, element] :
       {std::pair(Shape::u8, Element::u8), std::pair(Shape::i8, Element::i8)}) {
    for (const std::uint32_t dimension : kDimensions) {
      const Matrix data = make_data(shape, 30, dimension);
      const RotatedCoder coder = coder_of(data, Metric::l2sq);
      RotatedCoder of_bytes(dimension, Metric::l2sq, kSeed);
      std::vector<std::byte> bytes(dimension);
      std::vector<float> scratch(dimension);
      for (std::size_t i = 0; i < kCentreVectors; ++i) {
        ASSERT_TRUE(narrow(data.row(i % data.rows), dimension, element, bytes.data()));
        of_bytes.count_in(element, bytes.data());
      }
      ASSERT_TRUE(std::ranges::equal(of_bytes.sums(), coder.sums()));
      for (std::size_t r = 0; r < data.rows; ++r) {
        ASSERT_TRUE(narrow(data.row(r), dimension, element, bytes.data()));
        std::vector<std::byte> code(rotated_code_bytes(dimension));
        of_bytes.encode(element, bytes.data(), scratch.data(), code.data());
        ASSERT_EQ(code, code_of(coder, data.row(r), dimension));
      }
    }
  }
}

TEST(RotatedCode, IsThatOfTheSumsAndTheSeed) {
  const Matrix data = make_data(Shape::random, 20, 33);
  const RotatedCoder coder = coder_of(data, Metric::l2sq);
  RotatedCoder restored(33, Metric::l2sq, kSeed);
  restored.restore(coder.sums(), kCentreVectors);
  EXPECT_EQ(code_of(restored, data.row(3), 33), code_of(coder, data.row(3), 33));
  RotatedCoder of_another_seed(33, Metric::l2sq, kSeed + 1);
  of_another_seed.restore(coder.sums(), kCentreVectors);
  EXPECT_NE(code_of(of_another_seed, data.row(3), 33), code_of(coder, data.row(3), 33));
}

// Codes are part of the answers, so these never change.
TEST(RotatedCode, IsWhatItWas) {
  const std::array<float, 5> x = {0.1f, -2.5f, 3.75f, 0.0f, 1e-3f};
  const std::array<float, 5> y = {1, 2, -3, 4, -5};
  Matrix data(1, 5);
  std::copy(y.begin(), y.end(), data.row(0));
  const RotatedCoder coder = coder_of(data, Metric::l2sq);
  const auto code = code_of(coder, x.data(), 5);
  std::array<int, 5> levels{};
  for (std::size_t e = 0; e < 5; ++e) levels[e] = level_in(code, 5, e);
  EXPECT_EQ(levels, (std::array<int, 5>{7, 4, 15, 13, 4}));
  EXPECT_EQ(numbers_of(code).factor, 0x1.f8264cp-2f);
  EXPECT_EQ(numbers_of(code).rest, 0x1.ae87aep+6f);
  const RotatedCoder of_products = coder_of(data, Metric::inner_product);
  EXPECT_EQ(numbers_of(code_of(of_products, x.data(), 5)).rest, 0x1.1c9eb8p+6f);
}

// Vectors of a mapped file are read before they are checked. UBSan looks on.
TEST(RotatedCode, TakesAnyBits) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const RotatedCoder coder = coder_of(make_data(Shape::random, 5, 9), Metric::l2sq);
  for (const float bad : {kInfinity, -kInfinity, nan, -nan, 3e38f, 1e-45f}) {
    for (std::size_t place = 0; place < 9; ++place) {
      std::array<float, 9> x{1, 2, 3};
      x[place] = bad;
      (void)code_of(coder, x.data(), 9);
      std::vector<std::uint8_t> code(coder.query_bytes());
      coder.encode_query(x.data(), code.data());
    }
  }
}

}  // namespace
}  // namespace concord::core
