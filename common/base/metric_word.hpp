// Metric, codes and storage as the one word that headers of files and digests have for them. Where
// the last two are not asked for, it is the number of the metric, as it was before they existed.
// Thread-safety: pure functions.
#pragma once

#include <concord/params.hpp>
#include <cstdint>

namespace concord::core {

constexpr std::uint32_t metric_word(const IndexParams& params) noexcept {
  return static_cast<std::uint32_t>(params.metric) |
         static_cast<std::uint32_t>(params.codes) << 16 |
         static_cast<std::uint32_t>(params.storage) << 24;
}
/// For a digest, in which f32 is automatic, because both keep the same numbers.
constexpr std::uint32_t metric_word_of_digest(IndexParams params) noexcept {
  if (params.storage == Storage::f32) params.storage = Storage::automatic;
  return metric_word(params);
}

/// The opposite; they may be any numbers.
constexpr Metric metric_of(std::uint32_t word) noexcept {
  return static_cast<Metric>(word & 0xFFFF);
}
constexpr Codes codes_of(std::uint32_t word) noexcept {
  return static_cast<Codes>(word >> 16 & 0xFF);
}
constexpr Storage storage_of(std::uint32_t word) noexcept {
  return static_cast<Storage>(word >> 24);
}

}  // namespace concord::core
