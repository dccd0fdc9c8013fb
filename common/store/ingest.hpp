// The conditions on a vector that enters an index, and the form in which it is stored.
//
// The stored form is padded with zeros, and normalised for cosine. Every stored vector is finite
// and has a squared norm of at most kMaxSquaredNorm. So no distance between two of them overflows
// and none is NaN: (distance, id) is a total order. Thread-safety: pure functions.
#pragma once

#include <concord/matrix_view.hpp>
#include <concord/params.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "common/base/exact_math.hpp"
#include "common/store/element.hpp"
#include "common/store/scalar_code.hpp"

namespace concord::core {

/// |x − y|² ≤ 4 · max(|x|², |y|²) and |x·y| ≤ max(|x|², |y|²) stay finite below this.
inline constexpr double kMaxSquaredNorm = double{std::numeric_limits<float>::max()} / 8;

/// A vector to be stored, unless it is zero, has at least this under l2sq: the distances of others
/// like it are far from the least float. A query may be smaller, because a distance between it and
/// a stored vector other than zero is not.
inline constexpr double kMinSquaredNorm = 1e-30;

/// The properties that all vectors of an index share.
struct VectorForm {
  explicit VectorForm(const IndexParams& params)
      : dimension(params.dimension),
        stride(stride_of(params.dimension)),
        metric(params.metric),
        storage(params.storage),
        element(widest(params.storage)),
        most_squared(params.codes == Codes::none ? kMaxSquaredNorm : kMaxCodedSquaredNorm) {}

  std::uint32_t dimension;
  std::uint32_t stride;
  Metric metric;
  Storage storage;
  Element element;      ///< the widest that the vectors are kept as
  double most_squared;  ///< largest squared norm of a vector; without meaning for cosine
};

/// Throws Error(dimension_mismatch) unless the matrix has the index's dimension and its rows can be
/// read. The message calls the rows `what`.
void check_shape(const VectorForm& form, const MatrixView<const float>& matrix, const char* what);

/// False if an element is not finite or the norm is too large.
[[nodiscard]] bool is_allowed(const VectorForm& form, const float* vector) noexcept;
/// False if the vector is too small to be stored, though it is not zero.
[[nodiscard]] bool is_large_enough(const VectorForm& form, const float* vector) noexcept;
/// Writes a vector in its stored form to `out` ([stride]). False, with `out` unspecified, if
/// is_allowed() is false.
[[nodiscard]] bool try_prepare(const VectorForm& form, const float* vector, float* out) noexcept;
/// Writes a vector as it is kept to `out` ([stride]): in its stored form, rounded to the form's
/// element. False, with `out` unspecified, if it must be refused.
[[nodiscard]] bool try_prepare_to_store(const VectorForm& form, const float* vector,
                                        float* out) noexcept;
/// Throws Error(invalid_vector) with the reason. The message calls the vector "`what` `number`".
/// REQUIRES that is_allowed() or try_prepare_to_store() is false.
[[noreturn]] void refuse_vector(const VectorForm& form, const float* vector, const char* what,
                                std::size_t number);

/// True if the [stride] floats can be the stored form of a vector.
[[nodiscard]] bool is_stored_form(const VectorForm& form, const float* row) noexcept;

}  // namespace concord::core
