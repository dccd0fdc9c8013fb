// How many candidates of a walk by codes get exact distances. Thread-safety: pure functions.
#pragma once

#include <algorithm>
#include <concord/params.hpp>
#include <cstdint>

namespace concord::core {

/// With SearchParams::rescore = 0, the greater of 2k and k + 10, or with codes of 4 bits of 4k and
/// k + 30, which loses little recall to the errors of estimates (docs/compact.md); never fewer than
/// k nor more than the list holds.
constexpr std::uint32_t rescored(const SearchParams& params, Codes codes) noexcept {
  const std::uint32_t width = std::max(params.ef, params.k);
  const std::uint32_t enough = codes == Codes::sq4 ? std::max(4 * params.k, params.k + 30)
                                                   : std::max(2 * params.k, params.k + 10);
  return std::clamp(params.rescore > 0 ? params.rescore : enough, params.k, width);
}

}  // namespace concord::core
