// How many candidates of a walk by codes get exact distances. Thread-safety: pure functions.
#pragma once

#include <algorithm>
#include <concord/params.hpp>
#include <cstdint>

namespace concord::core {

/// With SearchParams::rescore = 0, the greater of 2k and k + 10, which loses no recall to the
/// errors of 8-bit codes (docs/compact.md); never fewer than k nor more than the list holds.
constexpr std::uint32_t rescored(const SearchParams& params) noexcept {
  const std::uint32_t width = std::max(params.ef, params.k);
  const std::uint32_t asked =
      params.rescore > 0 ? params.rescore : std::max(2 * params.k, params.k + 10);
  return std::clamp(asked, params.k, width);
}

}  // namespace concord::core
