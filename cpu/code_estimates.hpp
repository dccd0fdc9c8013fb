// Estimates of distances from the codes of common/store/scalar_code.hpp, one function per
// instruction set, all with the same bits.
//
// With S = Σ c_x,e · c_q,e, in integers, an estimate is
//   fma(scale_q · step_x, float(S − offset_q),
//       fma(mean_x − less_q, fma(factor_q, mean_x, more_q), square_x + square_q))
// in which every operation is rounded once, to nearest. |S| ≤ 255 · 63 · 65,536, and with the
// offset still below 2³¹. A row's last twelve bytes are no codes; the query's are 0 there, so that
// kernels may multiply whole rows. Thread-safety: pure functions. The rule of distance.hpp holds
// for the leaf files.
#pragma once

#include <cstddef>
#include <cstdint>

namespace concord::cpu {

/// Bytes before the codes of a query, sizeof(core::QueryCode): five floats and an integer.
inline constexpr std::size_t kQueryHeader = 32;

// Each is a ScoreIds (distance.hpp) of a query's code; rows are codes, `stride` bytes apart.
void scalar_estimates(const void* query, const void* base, std::size_t stride,
                      const std::uint32_t* ids, std::size_t n, float* out);
void avx2_estimates(const void* query, const void* base, std::size_t stride,
                    const std::uint32_t* ids, std::size_t n, float* out);
void avx512_estimates(const void* query, const void* base, std::size_t stride,
                      const std::uint32_t* ids, std::size_t n, float* out);
void neon_estimates(const void* query, const void* base, std::size_t stride,
                    const std::uint32_t* ids, std::size_t n, float* out);
void neon_dotprod_estimates(const void* query, const void* base, std::size_t stride,
                            const std::uint32_t* ids, std::size_t n, float* out);

}  // namespace concord::cpu
