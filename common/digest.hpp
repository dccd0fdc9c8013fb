// The digest of an index: a hash of everything that defines its answers.
// Thread-safety: beside the writer as the members say.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "common/graph.hpp"
#include "common/label_map.hpp"
#include "common/vector_store.hpp"

namespace concord::core {

using Digest = std::array<std::uint8_t, 16>;

/// XXH3-128 (canonical byte order) over parameters, size, entry point, levels, the ids of every
/// row of every layer in order, the vectors without padding, and the labels. O(bytes).
class Digester {
 public:
  /// Takes in the graph, which must stand still meanwhile and may change afterwards.
  explicit Digester(const Graph& graph);
  ~Digester();
  Digester(const Digester&) = delete;
  Digester& operator=(const Digester&) = delete;

  /// Takes in the vectors and labels of the nodes that the graph had; may run beside the writer by
  /// one who has entered the ReaderGate. Called once.
  [[nodiscard]] Digest finish(const VectorStore& vectors, const LabelMap& labels);

 private:
  class Hasher;
  std::unique_ptr<Hasher> hasher_;
  NodeId n_;
};

std::string to_hex(const Digest& digest);

}  // namespace concord::core
