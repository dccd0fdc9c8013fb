// What the nodes that a search has found stand for: their own vectors, and copies of them
// (common/graph/copies.hpp).
//
// Definition. Walks and scans find nodes, in order of (distance, id). In the results each node is
// replaced by the vectors that it stands for and that live, in order of insertion. So results are
// in order of (distance, id of the node, id), and a search for k ends with the k-th of them.
// Thread-safety: any number of threads, beside the writer, in the readers' gate.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "common/base/key.hpp"
#include "common/graph/graph.hpp"

namespace concord::core {

/// Calls take(id) for the vectors that a node of a view stands for and that live there, in order of
/// insertion, as long as it returns true. A node without copies stands for itself, whatever has
/// become of it since it was found.
template <class View, class Take>
void for_each_entry(const Graph& graph, const View& view, NodeId node, const Take& take) {
  if (graph.copies().next(node) == kNoNode) {
    take(node);
    return;
  }
  const Tombstones& tombstones = graph.tombstones();
  for (NodeId id = node; id < view.size;) {
    const bool lives = !tombstones.any() || !tombstones.is_dead(id, view.size);
    if (lives && !take(id)) return;
    const NodeId next = graph.copies().next(id);
    id = next == kNoNode ? kNoNode : view.name(next);
  }
}

/// Writes the first `most` results of a list of nodes, which has size() and key(i), to `out`. Only
/// those that is_match(id) lets match. False if a node stands for none of them, because all were
/// removed since it was found.
template <class View, class List, class IsMatch>
bool expand(const Graph& graph, const View& view, const List& list, std::size_t most,
            const IsMatch& is_match, std::vector<Key>& out) {
  out.clear();
  bool all_stand = true;
  for (std::size_t i = 0; i < list.size() && out.size() < most; ++i) {
    const float distance = key_distance(list.key(i));
    const std::size_t before = out.size();
    for_each_entry(graph, view, key_id(list.key(i)), [&](NodeId id) {
      if (is_match(id)) out.push_back(make_key(distance, id));
      return out.size() < most;
    });
    all_stand &= out.size() > before;
  }
  return all_stand;
}
template <class View, class List>
bool expand(const Graph& graph, const View& view, const List& list, std::size_t most,
            std::vector<Key>& out) {
  return expand(graph, view, list, most, [](NodeId /*id*/) { return true; }, out);
}

/// Whether a node of a view stands for a vector that lives and is in a set. REQUIRES that it is one
/// of the set's nodes.
template <class View, class Set>
bool stands_for_match(const Graph& graph, const View& live, const Set& set,
                      NodeId node) {
  const Tombstones& tombstones = graph.tombstones();
  if (graph.copies().next(node) == kNoNode) {
    return !tombstones.any() || !tombstones.is_dead(node, live.size);
  }
  bool stands = false;
  for_each_entry(graph, live, node, [&](NodeId id) {
    stands = set.contains(id);
    return !stands;
  });
  return stands;
}

/// Keys with the face of a list.
class KeyList {
 public:
  explicit KeyList(std::span<const Key> keys) noexcept : keys_(keys) {}
  [[nodiscard]] std::size_t size() const noexcept { return keys_.size(); }
  [[nodiscard]] Key key(std::size_t i) const noexcept { return keys_[i]; }

 private:
  std::span<const Key> keys_;
};

}  // namespace concord::core
