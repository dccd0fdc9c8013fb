// The code of a vector in four bits an element and two numbers, from which distances to the vector
// are estimated (Codes::sq4).
//
// Vectors are taken about a centre, the mean of the first kCentreVectors that an index ever had:
// z = x − centre. A rotation that the seed gives mixes all elements of z, so that no element is
// much larger than the others: twice, signs of a hash, then Hadamard butterflies over the first and
// over the last 2^j elements, 2^j ≤ dimension < 2^(j+1), each times 2^(−j/2). It keeps lengths and
// angles. The code of z has c_e = 0 … 15 for v_e = 2 c_e − 15 = −15 … 15, on that of twelve fixed
// scales where the cosine between v and z is greatest. With the factor f = |z|² / ⟨z, v⟩ of
// RaBitQ, ⟨z, q⟩ is about f ⟨v, q⟩ without bias. Of a query z_q = q − centre is kept in 8 bits an
// element, step · c_q,e, c_q,e = −127 … 127. Hence
//
//   |x − q|²   is about |z|² + |z_q|² − 2 f step ⟨v, c_q⟩
//   1 − ⟨x, q⟩ is about −⟨centre, z⟩ + (1 − ⟨centre, q⟩) − f step ⟨v, c_q⟩
//
// The centre is fixed for ever once it is known. By a bad one estimates are worse, and walks by
// them may lose their way (docs/compact.md). The sum ⟨v, c_q⟩ is of integers, and all else is
// spelled out in one order of operations (here, and in cpu/rotated_estimates.hpp), so that an
// estimate has the same bits on every processor. It belongs to the two vectors, the seed and the
// centre. Source: Gao et al., "Practical and asymptotically optimal quantization of
// high-dimensional vectors" (RaBitQ, arXiv 2409.09913).
//
// Thread-safety: const members from any number of threads; count_in() and the two of files while
// nobody calls another.
#pragma once

#include <concord/params.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/store/element.hpp"

namespace concord::core {

/// Insertions whose vectors make the centre, a power of two.
inline constexpr std::uint32_t kCentreVectors = 1024;

/// What an estimate needs of a vector besides its codes.
struct RotatedNumbers {
  float factor;
  float rest;  ///< |z|² for l2sq, else −⟨centre, z⟩
};

/// Bytes of a code. Byte e has element e in its low half, and element (dimension + 1) / 2 + e in
/// its high one. Zeros follow, and the numbers as the last eight.
constexpr std::size_t rotated_code_bytes(std::uint32_t dimension) noexcept {
  return ((dimension + 1) / 2 + sizeof(RotatedNumbers) + 15) / 16 * 16;
}

/// The code of a query begins with these numbers. A byte for each of a row's bytes follows, to be
/// multiplied with its low half, then one for its high half; those of no element are 0.
struct RotatedQuery {
  float scale;          ///< −2 step for l2sq, else −step
  float rest;           ///< |z_q|² for l2sq, else 1 − ⟨centre, q⟩
  std::int32_t offset;  ///< 15 · Σ c_q,e
  std::int32_t zero;
};

class RotatedCoder {
 public:
  RotatedCoder(std::uint32_t dimension, Metric metric, std::uint64_t seed);

  /// Insertions that are counted in, at most kCentreVectors; then there is a centre.
  [[nodiscard]] std::uint32_t counted() const noexcept { return counted_; }
  [[nodiscard]] bool has_centre() const noexcept { return counted_ == kCentreVectors; }
  /// The sum of the vectors that are counted in, in order and in double ([dimension]). The centre
  /// is their mean, rounded once.
  [[nodiscard]] std::span<const double> sums() const noexcept { return sums_; }
  /// Counts the next insertion's vector in. REQUIRES that there is no centre yet.
  void count_in(Element element, const void* x) noexcept;
  /// Takes over what another coder had counted in. REQUIRES counted ≤ kCentreVectors.
  void restore(std::span<const double> sums, std::uint32_t counted) noexcept;

  // REQUIRES a centre from here on.
  /// Writes the code of `x` to `code` ([rotated_code_bytes()]). `scratch` is of [dimension]. Takes
  /// numbers that no vector has as well, as an unchecked file may have them.
  void encode(Element element, const void* x, float* scratch, std::byte* code) const noexcept;
  [[nodiscard]] std::size_t query_bytes() const noexcept;
  /// Writes the code of a query in its stored form to `code` ([query_bytes()], aligned as floats).
  void encode_query(const float* query, std::uint8_t* code) const noexcept;

 private:
  void fix_centre() noexcept;
  void rotate(float* z) const noexcept;

  std::uint32_t dimension_;
  Metric metric_;
  std::uint32_t block_;  ///< 2^j
  std::vector<float> signs_;
  std::vector<double> sums_;
  std::uint32_t counted_ = 0;
  std::vector<float> centre_;  ///< before there is one, room for a vector
};

}  // namespace concord::core
