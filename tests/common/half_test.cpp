// Numbers of 16 bits: widening and rounding, compared with their definition for all of them.

#include "common/base/half.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "tests/support/support.hpp"

namespace concord::core {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// The value of a number with so many exponent bits, by the definition of IEEE 754.
double value_of(std::uint16_t bits, int exponent_bits) {
  const int fraction_bits = 15 - exponent_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits & 0x7FFF) >> fraction_bits;
  const int fraction = bits & ((1 << fraction_bits) - 1);
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) {
    return fraction != 0 ? std::numeric_limits<double>::quiet_NaN() : sign * double{kInfinity};
  }
  const double significand = exponent == 0 ? fraction : fraction + (1 << fraction_bits);
  return sign * std::ldexp(significand, std::max(exponent, 1) - bias - fraction_bits);
}

template <class Small>
void expect_the_definition(int exponent_bits) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Small number{static_cast<std::uint16_t>(bits)};
    const double value = value_of(number.bits, exponent_bits);
    const float wide = number;
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(wide));
      ASSERT_TRUE(std::isnan(static_cast<float>(Small::nearest(wide))));
      continue;
    }
    ASSERT_EQ(double{wide}, value) << bits;
    ASSERT_EQ(std::signbit(wide), (bits & 0x8000) != 0);
    ASSERT_EQ(Small::nearest(wide).bits, bits);
  }
}

// Between each number and the next: just below the middle, there, and just above it.
template <class Small>
void expect_the_nearest(std::uint16_t infinity) {
  for (std::uint16_t bits = 0; bits < infinity; ++bits) {
    const Small low{bits};
    const Small high{static_cast<std::uint16_t>(bits + 1)};
    // In place of infinity what the next exponent would begin with.
    const double below = static_cast<float>(low);
    const double step = below - static_cast<float>(Small{static_cast<std::uint16_t>(bits - 1)});
    const double above = high.bits == infinity ? below + step : double{static_cast<float>(high)};
    const auto middle = static_cast<float>(below / 2 + above / 2);
    const std::uint16_t even = (bits & 1) == 0 ? low.bits : high.bits;
    for (const float sign : {1.0f, -1.0f}) {
      const std::uint16_t top = sign < 0 ? 0x8000 : 0;
      ASSERT_EQ(Small::nearest(sign * middle).bits, top | even) << bits;
      ASSERT_EQ(Small::nearest(sign * std::nextafter(middle, 0.0f)).bits, top | low.bits) << bits;
      ASSERT_EQ(Small::nearest(sign * std::nextafter(middle, kInfinity)).bits, top | high.bits)
          << bits;
    }
  }
}

TEST(Half, IsWhatItsBitsSay) { expect_the_definition<Half>(5); }
TEST(Half, OfBfloatIsWhatItsBitsSay) { expect_the_definition<BFloat16>(8); }
TEST(Half, IsTheNearest) { expect_the_nearest<Half>(0x7C00); }
TEST(Half, OfBfloatIsTheNearest) { expect_the_nearest<BFloat16>(0x7F80); }

TEST(Half, BeyondTheLargestIsAnInfinity) {
  EXPECT_EQ(static_cast<float>(Half::nearest(65504.0f)), 65504.0f);
  EXPECT_EQ(static_cast<float>(Half::nearest(65519.99f)), 65504.0f);
  EXPECT_EQ(static_cast<float>(Half::nearest(65520.0f)), kInfinity);
  EXPECT_EQ(static_cast<float>(Half::nearest(-1e30f)), -kInfinity);
  EXPECT_EQ(static_cast<float>(BFloat16::nearest(std::numeric_limits<float>::max())), kInfinity);
  EXPECT_EQ(static_cast<float>(Half::nearest(kInfinity)), kInfinity);
}

}  // namespace
}  // namespace concord::core
