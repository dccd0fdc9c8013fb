// A neighbor list above max_degree at a seal, as host and device name it.
//
// Thread-safety: a value. Compiles without CUDA headers.
#pragma once

#include <cstdint>

#include "common/base/key.hpp"

namespace concord::core {

/// Capacity of the longest neighbor list there is: layer 0 at M = 64.
inline constexpr std::uint32_t kMaxListCapacity = 256;

struct OverfullList {
  NodeId node;
  std::uint32_t layer;
  std::uint32_t first;  ///< place of its first id in the batch's ids
  std::uint32_t count;  ///< ids, at most kMaxListCapacity
};

}  // namespace concord::core
