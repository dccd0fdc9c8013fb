// The code of a vector: a byte for each element and three numbers, from which distances to the
// vector are estimated (Codes::sq8).
//
// A vector x has the code x̂_e = low + step · c_e with c_e = 0 … 255, which spans its own least and
// greatest element. No other vector has a part in it, so nothing is trained and nothing drifts. A
// query q has q̂_e = step · c_e with c_e = −63 … 63, so few that two products of codes fit 16 bits.
//
//   estimate = square_x + square_q + factor · (low_x · Σ q̂_e + step_x · step_q · Σ c_x,e c_q,e)
//
// For l2sq, factor is −2 and the squares are |x|² and |q|². For inner product and cosine, factor is
// −1 and the squares are 0 and 1. The sum of products is of integers, hence exact, and the rest is
// spelled out once, so an estimate has the same bits on every processor. It belongs to the two
// vectors alone. Source: the per-vector scalar quantisation of Aguerrebere et al., "Similarity
// search in the blink of an eye with compressed indices" (LVQ, arXiv 2304.04759), without its mean.
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
  float low;
  float step;
  float square;
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
/// beyond the dimension are 0.
struct QueryCode {
  float scale;   ///< factor · step_q
  float sum;     ///< factor · Σ q̂_e
  float square;  ///< as above
  float zero;
};

constexpr std::size_t query_code_bytes(std::uint32_t dimension) noexcept {
  return sizeof(QueryCode) + code_bytes(dimension);
}

/// Writes the code of a query in its stored form ([dimension]) to `code`
/// ([query_code_bytes(dimension)]).
void encode_query(const float* query, std::uint32_t dimension, Metric metric,
                  std::uint8_t* code) noexcept;

}  // namespace concord::core
