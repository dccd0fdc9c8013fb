// The code of a vector: a byte for each element and three numbers, from which distances to the
// vector are estimated (Codes::sq8).
//
// Vectors are taken apart into their mean and what deviates from it: x_e = x̄ + x'_e, Σ x'_e = 0.
// For d elements
//
//   |x − q|² = |x'|² + |q'|² − 2 ⟨x', q'⟩ + d (x̄ − q̄)²
//   ⟨x, q⟩   = ⟨x', q'⟩ + d x̄ q̄
//
// so that an offset that all elements share takes no part of the few steps that codes have. The
// code of x is c_e = round((x_e − min x) / step) = 0 … 255, with step = (max x − min x) / 255, and
// that of q is c_e = round(q'_e / step_q) = −63 … 63, so few that two products of codes fit 16
// bits. A number that is added to all x'_e changes no ⟨x', q'⟩, because Σ q'_e = 0. Hence
//
//   ⟨x', q'⟩ is about step · step_q · Σ (c_x,e − 128) c_q,e
//
// No other vector has a part in a code, so nothing is trained and nothing drifts. The sum is of
// integers, hence exact, and the rest is spelled out once (cpu/code_estimates.hpp), so an estimate
// has the same bits on every processor. It belongs to the two vectors alone. Source: the per-vector
// scalar quantisation of Aguerrebere et al., "Similarity search in the blink of an eye with
// compressed indices" (LVQ, arXiv 2304.04759), with the mean of each vector's elements in the place
// of that of all vectors.
// Thread-safety: pure functions.
#pragma once

#include <concord/params.hpp>
#include <cstddef>
#include <cstdint>

#include "common/store/element.hpp"

namespace concord::core {

/// With codes no vector and no query has a larger squared norm, so that no part of an estimate
/// overflows: each is at most 4 · 65,536 times it.
inline constexpr double kMaxCodedSquaredNorm = 1e32;

/// What an estimate needs of a vector besides its codes.
struct CodeNumbers {
  float step;
  float square;  ///< |x'|² for l2sq, else 0
  float mean;    ///< √d · x̄
};

/// Bytes of a code: those of the elements, zeros, and the numbers as the last twelve.
constexpr std::size_t code_bytes(std::uint32_t dimension) noexcept {
  return (dimension + sizeof(CodeNumbers) + 15) / 16 * 16;
}

/// Writes the code of `x` ([dimension], kept as `element`) to `code` ([code_bytes(dimension)]).
/// Takes numbers that no vector has as well, as an unchecked file may have them.
void encode(Element element, const void* x, std::uint32_t dimension, Metric metric,
            std::byte* code) noexcept;

/// The code of a query begins with these numbers. A byte for each of a row's bytes follows; those
/// beyond the dimension are 0. What the means bring is (mean_x − less) · (factor · mean_x + more):
/// for l2sq (mean_x − mean_q)², else −mean_x · mean_q.
struct QueryCode {
  float scale;          ///< −2 step_q for l2sq, else −step_q
  float square;         ///< |q'|² for l2sq, else 1
  float less;           ///< mean_q for l2sq, else 0
  float factor;         ///< 1 for l2sq, else 0
  float more;           ///< −mean_q
  std::int32_t offset;  ///< 128 · Σ c_q,e
  std::int32_t zeros[2];
};

constexpr std::size_t query_code_bytes(std::uint32_t dimension) noexcept {
  return sizeof(QueryCode) + code_bytes(dimension);
}

/// Writes the code of a query in its stored form ([dimension]) to `code`
/// ([query_code_bytes(dimension)]).
void encode_query(const float* query, std::uint32_t dimension, Metric metric,
                  std::uint8_t* code) noexcept;

}  // namespace concord::core
