// A borrowed row-major matrix. Vectors enter and results leave through it, without a copy.
#pragma once

#include <concepts>
#include <concord/export.hpp>
#include <cstddef>
#include <span>
#include <type_traits>

namespace concord {

/// Row-major view of `rows` × `cols` elements; row r starts at data + r × stride.
/// Borrows: the memory must outlive the call that takes the view. Thread-safety: a plain value.
template <class T>
struct MatrixView {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t stride = 0;  ///< elements from one row to the next, at least `cols`

  MatrixView() = default;
  MatrixView(T* data_, std::size_t rows_, std::size_t cols_)
      : MatrixView(data_, rows_, cols_, cols_) {}
  MatrixView(T* data_, std::size_t rows_, std::size_t cols_, std::size_t stride_)
      : data(data_), rows(rows_), cols(cols_), stride(stride_) {}

  [[nodiscard]] T* row(std::size_t r) const noexcept { return data + r * stride; }
  [[nodiscard]] std::span<T> operator[](std::size_t r) const noexcept { return {row(r), cols}; }
  /// Rows [first, first + count). REQUIRES first + count ≤ rows.
  [[nodiscard]] MatrixView rows_from(std::size_t first, std::size_t count) const noexcept {
    return {row(first), count, cols, stride};
  }

  /// A view of mutable elements converts to one of constant elements.
  operator MatrixView<const T>() const noexcept requires(!std::is_const_v<T>) {
    return {data, rows, cols, stride};
  }
};

/// Arrays of floats: std::vector, std::array, std::span and their like.
template <class Array>
concept FloatArray = std::convertible_to<const Array&, std::span<const float>>;

/// Vectors of `dimension` elements that stand one behind the other, as rows. Throws
/// Error(dimension_mismatch) unless their number of elements is a multiple of `dimension`. O(1).
CONCORD_API MatrixView<const float> rows_of(std::span<const float> elements, std::size_t dimension);

}  // namespace concord
