// Rows of the C interface as floats: where they are, if they are floats, and otherwise in a copy.
// Thread-safety: an object belongs to one thread.
#pragma once

#include <concord/c/base.h>
#include <concord/c/search.h>

#include <concord/matrix_view.hpp>
#include <cstdint>
#include <span>
#include <vector>

#include "common/capi/guard.hpp"

namespace concord::capi {

/// A matrix of a caller, checked: rows and elements are what they claim to be.
class Rows {
 public:
  /// Borrows what the matrix leads to. Throws Error(invalid_parameter) for NULL, an unknown type of
  /// element, and a stride below cols.
  Rows(const concord_matrix* matrix, const char* name);

  [[nodiscard]] std::size_t count() const noexcept { return matrix_.rows; }
  [[nodiscard]] bool are_floats() const noexcept { return matrix_.element == CONCORD_ELEMENT_F32; }
  /// Rows [first, first + count) as floats; a copy of other elements replaces the last one. Throws
  /// std::bad_alloc or Error(out_of_memory).
  MatrixView<const float> floats(std::size_t first, std::size_t count);
  MatrixView<const float> floats() { return floats(0, matrix_.rows); }
  /// So many rows fill a piece of 1 MiB.
  [[nodiscard]] std::size_t rows_of_a_piece() const noexcept;

 private:
  concord_matrix matrix_;
  std::vector<float> copy_;
};

/// Labels of a caller for so many vectors. Throws Error(invalid_parameter) for NULL if there are
/// any.
std::span<const std::uint64_t> labels_of(const std::uint64_t* labels, std::size_t count);

/// An array of a caller. Throws Error(invalid_parameter) for NULL if it has elements.
template <class T>
std::span<T> array_of(T* data, std::size_t count, const char* name) {
  if (count > 0) expect(data, name);
  return {data, count};
}

/// The caller's arrays for results, as Index::search takes them.
struct Hits {
  MatrixView<std::uint64_t> labels;
  MatrixView<float> distances;
  std::span<std::uint32_t> counts;
  std::vector<std::uint32_t> own_counts;  ///< where the caller wants none

  /// Throws Error(invalid_parameter) for NULL, and Error(dimension_mismatch) unless there are so
  /// many queries.
  Hits(const concord_hits* hits, std::size_t queries);
};

}  // namespace concord::capi
