// The estimates of code_estimates.hpp spelled out: the oracle for the vector instructions.

#include <cmath>
#include <cstring>

#include "common/store/scalar_code.hpp"
#include "cpu/code_estimates.hpp"

namespace concord::cpu {

static_assert(sizeof(core::QueryCode) == kQueryHeader);

void scalar_estimates(const void* query, const void* base, std::size_t stride,
                      const std::uint32_t* ids, std::size_t n, float* out) {
  core::QueryCode of_query;
  std::memcpy(&of_query, query, sizeof of_query);
  const auto* const query_codes = static_cast<const std::int8_t*>(query) + sizeof of_query;
  for (std::size_t j = 0; j < n; ++j) {
    const auto* const row = static_cast<const std::uint8_t*>(base) + ids[j] * stride;
    core::CodeNumbers of_row;
    const std::size_t codes = stride - sizeof of_row;
    std::memcpy(&of_row, row + codes, sizeof of_row);
    std::int32_t sum = 0;
    for (std::size_t e = 0; e < codes; ++e) sum += std::int32_t{row[e]} * query_codes[e];
    const float slope = std::fma(of_query.factor, of_row.mean, of_query.more);
    const float rest =
        std::fma(of_row.mean - of_query.less, slope, of_row.square + of_query.square);
    const auto product = static_cast<float>(sum - of_query.offset);
    out[j] = std::fma(of_query.scale * of_row.step, product, rest);
  }
}

}  // namespace concord::cpu
