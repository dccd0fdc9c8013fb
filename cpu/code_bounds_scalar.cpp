// The bounds of code_bounds.hpp spelled out: the oracle for the vector instructions.

#include <algorithm>
#include <cmath>

#include "cpu/code_bounds.hpp"

namespace concord::cpu {
namespace {

std::int32_t product(const CodeQuery& query, const CodeRows& rows, std::size_t j) {
  const std::uint8_t* const group = rows.codes + j / kCodeGroup * kCodeGroup * 4 * rows.steps;
  std::int32_t sum = 0;
  for (std::size_t e = 0; e < 4 * rows.steps; ++e) {
    const std::uint8_t code = group[(e / 4 * kCodeGroup + j % kCodeGroup) * 4 + e % 4];
    sum += std::int32_t{code} * query.codes[e];
  }
  return sum - query.offset;
}

float bound(const CodeQuery& query, const CodeRows& rows, std::size_t j, float slope) {
  const float both = rows.square[j] + query.square;
  const float scaled = query.scale * static_cast<float>(product(query, rows, j));
  const float squared = std::fma(-2 * rows.scale[j], scaled, both - kMargin * both);
  const float apart = std::sqrt(std::max(squared, 0.0f)) - (rows.error[j] + query.error);
  const float least = std::max(apart, 0.0f);
  return std::fma(least * least, slope, rows.base[j] + query.base);
}

}  // namespace

void scalar_bounds(const CodeQuery* queries, std::size_t count, const CodeRows& rows, std::size_t n,
                   float slope, float* out, std::size_t out_stride) {
  const std::size_t end = (n + kCodeGroup - 1) / kCodeGroup * kCodeGroup;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < end; ++j) {
      out[i * out_stride + j] = bound(queries[i], rows, j, slope);
    }
  }
}

}  // namespace concord::cpu
