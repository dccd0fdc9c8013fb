#include "common/store/ingest.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <concord/error.hpp>
#include <string>

#include "common/base/number_text.hpp"

namespace concord::core {
namespace {

// The sum is in double and in order, so that it is the same everywhere and cannot overflow.
double squared_norm(const float* vector, std::uint32_t dimension) noexcept {
  double sum = 0;
  for (std::uint32_t e = 0; e < dimension; ++e) sum += double{vector[e]} * double{vector[e]};
  return sum;
}

// True only where squared_norm is below the largest allowed, and quick to tell of nearly all
// vectors: the squares of 65,536 such elements, as many as a vector may have, sum up to less than
// 1e32.
bool is_small(const float* vector, std::uint32_t dimension) noexcept {
  constexpr float kSmall = 3e13F;
  static_assert(double{kSmall} * double{kSmall} * 65536 < kMaxCodedSquaredNorm);
  std::uint32_t large = 0;  // no branch, so that several elements are compared at once
  for (std::uint32_t e = 0; e < dimension; ++e) large |= std::abs(vector[e]) <= kSmall ? 0 : 1;
  return large == 0;
}

bool is_allowed_norm(double squared_norm, const VectorForm& form) noexcept {
  return std::isfinite(squared_norm) &&
         (form.metric == Metric::cosine || squared_norm <= form.most_squared);
}

// Of a vector that is allowed until it is rounded.
[[noreturn]] void refuse_rounded(const VectorForm& form, const float* vector,
                                 const std::string& name) {
  const char* const storage = to_string(form.storage);
  const auto overflows = [&form](float x) {
    round(&x, 1, form.element);
    return !std::isfinite(x);
  };
  const float* const end = vector + form.dimension;
  const float* const found = std::find_if(vector, end, overflows);
  if (found != end) {
    throw Error(ErrorCode::invalid_vector,
                name + " has " + text_of(*found) + " at element " + std::to_string(found - vector) +
                    ", which is beyond the largest number of storage " + storage +
                    "; scale the data down, or use storage f32");
  }
  throw Error(ErrorCode::invalid_vector,
              name + ", rounded to storage " + storage +
                  ", is zero or has a squared norm that is too large or too small; scale the data, "
                  "or use storage f32");
}

}  // namespace

void check_shape(const VectorForm& form, const MatrixView<const float>& matrix, const char* what) {
  if (matrix.rows == 0) return;
  if (matrix.cols != form.dimension) {
    throw Error(ErrorCode::dimension_mismatch,
                std::string(what) + " have " + std::to_string(matrix.cols) +
                    " columns, the index has dimension " + std::to_string(form.dimension) +
                    (matrix.rows == form.dimension ? "; are they transposed?" : ""));
  }
  if (matrix.data == nullptr || matrix.stride < matrix.cols) {
    throw Error(ErrorCode::dimension_mismatch,
                std::string(what) + " need data and a stride of at least the number of columns");
  }
}

bool is_allowed(const VectorForm& form, const float* vector) noexcept {
  return is_allowed_norm(squared_norm(vector, form.dimension), form);
}

bool is_large_enough(const VectorForm& form, const float* vector) noexcept {
  constexpr float kLarge = 2e-15F;  // nearly always the first element is larger
  static_assert(double{kLarge} * double{kLarge} > kMinSquaredNorm);
  if (form.metric != Metric::l2sq) return true;
  for (std::uint32_t e = 0; e < form.dimension; ++e) {
    if (std::abs(vector[e]) > kLarge) return true;
  }
  const double norm = squared_norm(vector, form.dimension);
  return norm == 0 || norm >= kMinSquaredNorm;
}

bool try_prepare(const VectorForm& form, const float* vector, float* out) noexcept {
  // Nearly all vectors are small, and the sum of the squares waits for each addition in turn.
  const bool needs_norm = form.metric == Metric::cosine || !is_small(vector, form.dimension);
  const double norm = needs_norm ? squared_norm(vector, form.dimension) : 0;
  if (!is_allowed_norm(norm, form)) return false;
  if (form.metric == Metric::cosine) {
    const double scale = norm > 0 ? 1 / std::sqrt(norm) : 0;
    for (std::uint32_t e = 0; e < form.dimension; ++e) {
      out[e] = static_cast<float>(vector[e] * scale);
    }
  } else {
    std::copy(vector, vector + form.dimension, out);
  }
  std::fill(out + form.dimension, out + form.stride, 0.0f);
  return true;
}

bool try_prepare_to_store(const VectorForm& form, const float* vector, float* out) noexcept {
  if (!try_prepare(form, vector, out) || !is_large_enough(form, vector)) return false;
  if (form.element == Element::f32) return true;
  const auto is_zero = [](float x) { return x == 0; };
  const bool was_zero = std::all_of(out, out + form.dimension, is_zero);
  round(out, form.dimension, form.element);
  return std::all_of(out, out + form.dimension, [](float x) { return std::isfinite(x); }) &&
         is_allowed(form, out) && is_large_enough(form, out) &&
         (was_zero || !std::all_of(out, out + form.dimension, is_zero));
}

void refuse_vector(const VectorForm& form, const float* vector, const char* what,
                   std::size_t number) {
  const std::string name = std::string(what) + " " + std::to_string(number);
  for (std::uint32_t e = 0; e < form.dimension; ++e) {
    if (!std::isfinite(vector[e])) {
      throw Error(ErrorCode::invalid_vector,
                  name + " has " + (std::isnan(vector[e]) ? "NaN" : "an infinity") +
                      " at element " + std::to_string(e) + "; every element must be finite");
    }
  }
  if (form.element != Element::f32 && is_allowed(form, vector) && is_large_enough(form, vector)) {
    refuse_rounded(form, vector, name);
  }
  if (!is_large_enough(form, vector)) {
    throw Error(ErrorCode::invalid_vector,
                name + " has a squared norm below " + text_of(static_cast<float>(kMinSquaredNorm)) +
                    " and is not zero, so that distances underflow float; scale the data up");
  }
  throw Error(ErrorCode::invalid_vector,
              name + " has a squared norm above " + text_of(static_cast<float>(form.most_squared)) +
                  ", beyond which distances" +
                  (form.most_squared < kMaxSquaredNorm ? ", estimated from codes," : "") +
                  " overflow float; scale the data down");
}

bool is_stored_form(const VectorForm& form, const float* row) noexcept {
  const auto is_rounded = [&form](float x) {
    float rounded = x;
    round(&rounded, 1, form.element);
    return std::bit_cast<std::uint32_t>(rounded) == std::bit_cast<std::uint32_t>(x);
  };
  return (is_small(row, form.dimension) ||
          squared_norm(row, form.dimension) <= form.most_squared) &&
         (form.element == Element::f32 || std::all_of(row, row + form.dimension, is_rounded)) &&
         std::all_of(row + form.dimension, row + form.stride,
                     [](float x) { return std::bit_cast<std::uint32_t>(x) == 0; });
}

}  // namespace concord::core
