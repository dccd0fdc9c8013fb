// The estimates of rotated_estimates.hpp spelled out: the oracle for the vector instructions, and
// what NEON takes.

#include <cmath>
#include <cstring>

#include "common/store/rotated_code.hpp"
#include "cpu/rotated_estimates.hpp"

namespace concord::cpu {

static_assert(sizeof(core::RotatedQuery) == kRotatedHeader);

void scalar_rotated_estimates(const void* query, const void* base, std::size_t stride,
                              const std::uint32_t* ids, std::size_t n, float* out) {
  core::RotatedQuery of_query;
  std::memcpy(&of_query, query, sizeof of_query);
  const auto* const low = static_cast<const std::int8_t*>(query) + sizeof of_query;
  const auto* const high = low + stride;
  for (std::size_t j = 0; j < n; ++j) {
    const auto* const row = static_cast<const std::uint8_t*>(base) + ids[j] * stride;
    core::RotatedNumbers of_row;
    const std::size_t codes = stride - sizeof of_row;
    std::memcpy(&of_row, row + codes, sizeof of_row);
    std::int32_t sum = 0;
    for (std::size_t b = 0; b < codes; ++b) sum += (row[b] & 15) * low[b] + (row[b] >> 4) * high[b];
    const auto product = static_cast<float>(2 * sum - of_query.offset);
    out[j] = std::fma(of_query.scale * of_row.factor, product, of_row.rest + of_query.rest);
  }
}

}  // namespace concord::cpu
