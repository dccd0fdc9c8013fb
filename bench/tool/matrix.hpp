// Owned row-major matrices of the benchmark: vectors (float) and neighbor lists (row numbers).
#pragma once

#include <concord/matrix_view.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/tool/input_error.hpp"

namespace concord::bench {

/// rows × cols × element_bytes, or InputError naming `what` if that does not fit in 64 bits.
inline std::size_t checked_bytes(std::size_t rows, std::size_t cols, std::size_t element_bytes,
                                 const std::string& what) {
  std::size_t elements = 0;
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(rows, cols, &elements) ||
      __builtin_mul_overflow(elements, element_bytes, &bytes)) {
    throw InputError(what + ": " + std::to_string(rows) + " x " + std::to_string(cols) +
                     " elements do not fit in memory");
  }
  return bytes;
}

/// Invariant: values.size() == rows × cols.
template <class T>
struct Matrix {
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::vector<T> values;

  Matrix() = default;
  Matrix(std::size_t rows_, std::size_t cols_)
      : rows(rows_),
        cols(cols_),
        values(checked_bytes(rows_, cols_, sizeof(T), "matrix") / sizeof(T)) {}

  [[nodiscard]] bool empty() const noexcept { return rows == 0; }
  [[nodiscard]] const T* row(std::size_t r) const noexcept { return values.data() + r * cols; }
  [[nodiscard]] T* row(std::size_t r) noexcept { return values.data() + r * cols; }
  [[nodiscard]] MatrixView<const T> view() const noexcept { return {values.data(), rows, cols}; }

  /// Keeps the first `count` rows.
  void truncate(std::size_t count) {
    if (count >= rows) return;
    rows = count;
    values.resize(rows * cols);
    values.shrink_to_fit();
  }
};

using FloatMatrix = Matrix<float>;
using IdMatrix = Matrix<std::uint32_t>;

}  // namespace concord::bench
