// Data sets for the tests, from an integer hash: the same bits on every machine and compiler.
//
// Elements are multiples of 2^-7 (or of a power of two for huge norms), so that building them
// rounds nothing.
#pragma once

#include <concord/matrix_view.hpp>
#include <concord/params.hpp>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace concord::test {

/// An owned row-major matrix.
struct Matrix {
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::vector<float> values;

  Matrix(std::size_t rows_, std::size_t cols_) : rows(rows_), cols(cols_), values(rows_ * cols_) {}
  [[nodiscard]] float* row(std::size_t r) { return values.data() + r * cols; }
  [[nodiscard]] const float* row(std::size_t r) const { return values.data() + r * cols; }
  [[nodiscard]] MatrixView<const float> view() const { return {values.data(), rows, cols}; }
  [[nodiscard]] MatrixView<const float> slice(std::size_t first, std::size_t count) const {
    return view().rows_from(first, count);
  }
};

enum class Shape {
  random,     ///< uniform in [-8, 8)
  sorted,     ///< element 0 grows with the row, the rest is small
  clustered,  ///< around rows / 50 + 1 centres
  constant,   ///< one vector again and again
  duplicate,  ///< seven in ten repeat one of a few vectors
  huge_norm,  ///< norms just below what is refused
  zero,
  u8,  ///< whole numbers from 0 to 255
  i8,  ///< whole numbers from -128 to 127
};

/// All whose elements are floats.
inline constexpr Shape kAllShapes[] = {Shape::random,   Shape::sorted,    Shape::clustered,
                                       Shape::constant, Shape::duplicate, Shape::huge_norm,
                                       Shape::zero};
inline constexpr Metric kAllMetrics[] = {Metric::l2sq, Metric::inner_product, Metric::cosine};

std::string to_string(Shape shape);
inline void PrintTo(Shape shape, std::ostream* out) { *out << to_string(shape); }

/// A hash of three numbers.
std::uint64_t hash(std::uint64_t seed, std::uint64_t a, std::uint64_t b = 0);
/// A multiple of 2^-7 in [-8, 8).
float hashed_float(std::uint64_t seed, std::uint64_t a, std::uint64_t b);

Matrix make_data(Shape shape, std::size_t rows, std::size_t cols, std::uint64_t seed = 1);

}  // namespace concord::test
