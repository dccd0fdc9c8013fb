// Estimates of distances from the codes of common/store/rotated_code.hpp, one function per
// instruction set, all with the same bits.
//
// With S = Σ c_x,e · c_q,e, in integers, an estimate is
//   fma(scale_q · factor_x, float(2 S − offset_q), rest_x + rest_q)
// in which every operation is rounded once, to nearest. |S| ≤ 15 · 127 · 65,536, and 2 S − offset_q
// is below 2³¹ too. A row's last eight bytes are no codes; the query's are 0 there, so that kernels
// may multiply whole rows. Thread-safety: pure functions. The rule of distance.hpp holds for the
// leaf files.
#pragma once

#include <cstddef>
#include <cstdint>

namespace concord::cpu {

/// Bytes before the codes of a query, sizeof(core::RotatedQuery): two floats and two integers.
inline constexpr std::size_t kRotatedHeader = 16;

// Each is a ScoreIds (distance.hpp) of a query's code; rows are codes, `stride` bytes apart.
void scalar_rotated_estimates(const void* query, const void* base, std::size_t stride,
                              const std::uint32_t* ids, std::size_t n, float* out);
void avx2_rotated_estimates(const void* query, const void* base, std::size_t stride,
                            const std::uint32_t* ids, std::size_t n, float* out);
void avx512_rotated_estimates(const void* query, const void* base, std::size_t stride,
                              const std::uint32_t* ids, std::size_t n, float* out);

}  // namespace concord::cpu
