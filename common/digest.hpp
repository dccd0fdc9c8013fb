// The digest of an index: a hash of everything that defines its answers.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "common/graph.hpp"
#include "common/label_map.hpp"
#include "common/vector_store.hpp"

namespace concord::core {

using Digest = std::array<std::uint8_t, 16>;

/// XXH3-128 (canonical byte order) over parameters, size, entry point, levels, the ids of every
/// row of every layer in order, the vectors without padding, and the labels. O(bytes).
Digest digest_of(const Graph& graph, const VectorStore& vectors, const LabelMap& labels);

std::string to_hex(const Digest& digest);

}  // namespace concord::core
