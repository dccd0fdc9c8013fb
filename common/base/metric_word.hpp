// Metric and codes as the one word that headers of files and digests have for them: without codes
// it is the number of the metric, as it was before there were codes.
// Thread-safety: pure functions.
#pragma once

#include <concord/params.hpp>
#include <cstdint>

namespace concord::core {

constexpr std::uint32_t metric_word(const IndexParams& params) noexcept {
  return static_cast<std::uint32_t>(params.metric) | static_cast<std::uint32_t>(params.codes) << 16;
}
/// The opposite; they may be any numbers.
constexpr Metric metric_of(std::uint32_t word) noexcept {
  return static_cast<Metric>(word & 0xFFFF);
}
constexpr Codes codes_of(std::uint32_t word) noexcept { return static_cast<Codes>(word >> 16); }

}  // namespace concord::core
