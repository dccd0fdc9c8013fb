// The vectors, one zero-padded row each, validated and (for cosine) normalised when they enter.
//
// Every stored vector is finite and has a squared norm of at most kMaxSquaredNorm, so no distance
// between two of them overflows and none is NaN: (distance, id) is a total order.
// Thread-safety: one writer; rows never move.
#pragma once

#include <concord/matrix_view.hpp>
#include <concord/params.hpp>
#include <cstdint>
#include <limits>

#include "common/thread_pool.hpp"
#include "common/virtual_array.hpp"

namespace concord::core {

/// |x − y|² ≤ 4 · max(|x|², |y|²) and |x·y| ≤ max(|x|², |y|²) stay finite below this.
inline constexpr double kMaxSquaredNorm = double{std::numeric_limits<float>::max()} / 8;

class VectorStore {
 public:
  explicit VectorStore(const IndexParams& params);

  [[nodiscard]] std::uint32_t dimension() const noexcept { return dimension_; }
  /// Floats from one row to the next: the dimension rounded up to a multiple of 8.
  [[nodiscard]] std::uint32_t stride() const noexcept { return stride_; }
  [[nodiscard]] const float* data() const noexcept { return data_.data(); }
  [[nodiscard]] const float* row(std::size_t i) const noexcept {
    return data_.data() + i * stride_;
  }
  [[nodiscard]] float* mutable_row(std::size_t i) noexcept { return data_.data() + i * stride_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return data_.bytes(); }

  /// Room for `rows` rows in all. Throws Error(out_of_memory, capacity).
  void reserve(std::size_t rows) { data_.reserve(rows * stride_); }
  void resize(std::size_t rows) { data_.resize(rows * stride_); }

  /// Validates `vectors` and writes them to rows first, first + 1, …, in parallel.
  /// REQUIRES resize(first + vectors.rows) before. Throws Error(invalid_vector) naming the first
  /// bad row, counted from `number`; rows from `first` on are then unspecified.
  void write(std::size_t first, MatrixView<const float> vectors, ThreadPool& pool,
             std::size_t number = 0);

  /// Writes one vector as it would be stored to `out` ([stride]). Throws Error(invalid_vector)
  /// that calls the vector "`what` `number`".
  void prepare(const float* vector, float* out, const char* what, std::size_t number) const;
  /// Throws Error(dimension_mismatch) unless the matrix has this store's dimension.
  void check_shape(const MatrixView<const float>& matrix, const char* what) const;

 private:
  /// False if the vector must be refused.
  [[nodiscard]] bool try_prepare(const float* vector, float* out) const noexcept;
  [[noreturn]] void refuse(const float* vector, const char* what, std::size_t number) const;

  std::uint32_t dimension_;
  std::uint32_t stride_;
  Metric metric_;
  VirtualArray<float> data_;
};

}  // namespace concord::core
