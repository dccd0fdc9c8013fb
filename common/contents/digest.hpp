// The digest of an index: a hash of everything that defines its answers.
// Thread-safety: one thread; each member says what the writer may do meanwhile.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "common/contents/contents.hpp"
#include "common/graph/ranks.hpp"

namespace concord::core {

using Digest = std::array<std::uint8_t, 16>;

/// XXH3-128 (canonical byte order) over parameters, size, entry point, levels, the ids of every
/// list of every layer in order, the vectors without padding, and the labels. O(bytes).
///
/// Once a node has died, all this is about the linked nodes, and each is named by its rank among
/// them, so that unlinked nodes leave no trace. A trailer follows: insertions and removals ever,
/// the open epoch in ranks, and the pending tombstones with what is gone for whom. With codes of
/// four bits the sums of the first vectors follow, which may be gone.
class Digester {
 public:
  /// Takes in the graph, which must stand still meanwhile and may change afterwards. Borrows
  /// `contents`.
  explicit Digester(const Contents& contents);
  ~Digester();
  Digester(const Digester&) = delete;
  Digester& operator=(const Digester&) = delete;

  /// Takes in the vectors and labels of the nodes that the graph had. May run beside the writer if
  /// the caller has entered the ReaderGate. Called once.
  [[nodiscard]] Digest finish();

 private:
  class Hasher;
  /// An array's elements for the linked nodes.
  template <class T>
  void add_each(const T* of_nodes);
  void add_history(const Graph& graph);

  const Contents& contents_;
  std::unique_ptr<Hasher> hasher_;
  Ranks ranks_;
};

/// XXH3-128 of bytes, in canonical byte order.
Digest digest_of(std::span<const std::uint8_t> bytes);
std::string to_hex(const Digest& digest);

}  // namespace concord::core
