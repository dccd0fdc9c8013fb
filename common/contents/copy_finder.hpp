// Finds which announced vectors are copies (common/graph/copies.hpp) of a node that is there.
//
// Definition. A vector is a copy of the earliest node that lives when it is inserted and has the
// same elements, compared as numbers in the form in which they are kept. Without such a node it
// becomes a node itself.
//
// A hash table of all nodes finds it. It is built by the first addition, and anew when the store
// keeps another element, and behind a slide, which gives nodes other ids. Nodes that died stay in
// it, passed over, until it grows. An index of a version that made nodes of copies may have equal
// nodes; the table has the earliest. Memory: 8 bytes a slot, of which at most three quarters are
// used. Thread-safety: the writer of the index.
#pragma once

#include <concord/stats.hpp>
#include <cstdint>
#include <vector>

#include "common/graph/graph.hpp"
#include "common/store/vector_store.hpp"
#include "common/threads/thread_pool.hpp"

namespace concord::core {

class CopyFinder {
 public:
  /// Tells the graph which of its announced vectors are copies. Vectors are hashed on all threads.
  /// O(announced), and O(size) if the table must be built. Throws Error(out_of_memory) and
  /// std::bad_alloc; what was told is dropped by Graph::discard_announced().
  void announce_copies(Graph& graph, const VectorStore& vectors, ThreadPool& pool);
  /// Announced vectors stay nodes though others are equal to them.
  void note_equals() noexcept { has_equals_ = true; }
  /// Forgets all nodes, because they get other ids.
  void clear() noexcept;
  /// Does so where the table is much larger than the living need, at most four slots each when it
  /// is built. The next announcement builds it, so that takes O(1) a removal.
  void give_memory_back(const Graph& graph) noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept {
    return table_.capacity() * sizeof(Slot) + hashes_.capacity() * sizeof(std::uint32_t);
  }

 private:
  struct Slot {
    std::uint32_t hash = 0;
    NodeId node = kNoNode;
  };
  struct Work;

  void read(Work& work, NodeId begin, NodeId end, ThreadPool& pool);
  void add(Work& work, NodeId id, std::uint32_t hash);
  void make_room(const Graph& graph, std::size_t more);

  std::vector<Slot> table_;  ///< open addressing; as many as a power of two
  std::vector<std::uint32_t> hashes_;
  Element element_ = Element::u8;  ///< that was hashed
  std::size_t used_ = 0;
  NodeId known_ = 0;         ///< nodes before this one are in the table
  bool has_equals_ = false;  ///< nodes are left out, because others are equal to them
};

/// Adds to the report of an audit what copies are not equal to the node that they stand behind.
void audit_copies(const Graph& graph, const VectorStore& vectors, AuditReport& report);

}  // namespace concord::core
