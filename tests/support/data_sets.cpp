#include "tests/support/data_sets.hpp"

#include <bit>
#include <cmath>

#include "common/base/mix64.hpp"

namespace concord::test {

std::string to_string(Shape shape) {
  switch (shape) {
    case Shape::random:
      return "random";
    case Shape::sorted:
      return "sorted";
    case Shape::clustered:
      return "clustered";
    case Shape::constant:
      return "constant";
    case Shape::duplicate:
      return "duplicate";
    case Shape::huge_norm:
      return "huge_norm";
    case Shape::zero:
      return "zero";
    case Shape::u8:
      return "u8";
    case Shape::i8:
      return "i8";
  }
  return "unknown";
}

std::uint64_t hash(std::uint64_t seed, std::uint64_t a, std::uint64_t b) {
  return core::mix64(core::mix64(core::mix64(seed + 0x9E3779B97F4A7C15u) + a) +
                     b * 0xD1342543DE82EF95u + 1);
}

float hashed_float(std::uint64_t seed, std::uint64_t a, std::uint64_t b) {
  const auto eleven_bits = static_cast<int>(hash(seed, a, b) >> 53);
  return static_cast<float>(eleven_bits - 1024) / 128.0f;
}

Matrix make_data(Shape shape, std::size_t rows, std::size_t cols, std::uint64_t seed) {
  Matrix matrix(rows, cols);
  const std::size_t centres = rows / 50 + 1;
  // |x|² ≤ cols · 2^(2e) stays at or below 2^124 < FLT_MAX / 8 ≈ 2^125.
  const int exponent = (124 - static_cast<int>(std::bit_width(cols))) / 2;
  for (std::size_t r = 0; r < rows; ++r) {
    float* row = matrix.row(r);
    for (std::size_t c = 0; c < cols; ++c) {
      switch (shape) {
        case Shape::random:
          row[c] = hashed_float(seed, r, c);
          break;
        case Shape::sorted:
          row[c] = c == 0 ? static_cast<float>(r) : hashed_float(seed, r, c) / 8;
          break;
        case Shape::clustered:
          row[c] = hashed_float(seed, hash(seed, r) % centres, c + 7 * cols) +
                   hashed_float(seed, r, c) / 16;
          break;
        case Shape::constant:
          row[c] = hashed_float(seed, 0, c) + 16;
          break;
        case Shape::duplicate: {
          const bool repeats = hash(seed, r, 1u << 20) % 10 < 7;
          row[c] = hashed_float(seed, repeats ? hash(seed, r, 2u << 20) % 5 : r, c);
          break;
        }
        case Shape::huge_norm:
          row[c] = std::ldexp(hashed_float(seed, r, c) / 8, exponent);
          break;
        case Shape::zero:
          row[c] = 0;
          break;
        case Shape::u8:
          row[c] = static_cast<float>(hash(seed, r, c) % 256);
          break;
        case Shape::i8:
          row[c] = static_cast<float>(hash(seed, r, c) % 256) - 128;
          break;
      }
    }
  }
  return matrix;
}

}  // namespace concord::test
