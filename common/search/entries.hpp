// What the nodes that a search has found stand for: their own vectors, and copies of them
// (common/graph/copies.hpp).
//
// Definition. Walks and scans find nodes, in order of (distance, id). Each stands for its own
// vector and for copies, of those that live and match. The first of these has the node's id as its
// rank, and any other its own id. Results are in order of (distance, rank). So, unless a node's own
// vector is none of them, results that tie are in order of insertion. The k nearest nodes suffice
// for k results, because a node that comes later stands for no vector of a lower rank.
// Thread-safety: any number of threads, beside the writer, in the readers' gate.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <span>
#include <utility>
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

/// Calls take(rank, id) for the results that a node of a view stands for, in order, as long as it
/// returns true: the living ones that is_match(id) lets match.
template <class View, class IsMatch, class Take>
void for_each_result(const Graph& graph, const View& view, NodeId node, const IsMatch& is_match,
                     const Take& take) {
  NodeId rank = node;
  for_each_entry(graph, view, node, [&](NodeId id) {
    if (!is_match(id)) return true;
    return take(std::exchange(rank, kNoNode) == kNoNode ? id : node, id);
  });
}

/// The rank of a vector of a view among its results; its own id if it is none of them.
template <class View, class IsMatch>
NodeId rank_in(const Graph& graph, const View& view, NodeId id, const IsMatch& is_match) {
  NodeId found = id;
  for_each_result(graph, view, graph.copies().node_of(id), is_match,
                  [&](NodeId rank, NodeId first) {
                    if (first == id) found = rank;
                    return false;
                  });
  return found;
}

/// A result: its distance and rank, and its id.
struct RankedResult {
  Key order;
  NodeId id;
  [[nodiscard]] Key key() const noexcept { return make_key(key_distance(order), id); }
  // NOLINTNEXTLINE(modernize-use-nullptr): it takes the 0 of the comparison for a pointer
  auto operator<=>(const RankedResult&) const = default;
};

/// The results at one distance. The caller keeps it, so that a query need not take memory.
using Tie = std::vector<RankedResult>;

/// Calls use(results, first, end) for the places [first, end) of a list of nodes that are at one
/// distance, nearest first, with what they stand for in order, at most `most`; until it returns
/// false. for_each(node, take) is for_each_result in a view.
template <class List, class ForEach, class Use>
void for_each_tie(const List& list, std::size_t most, const ForEach& for_each, Tie& results,
                  const Use& use) {
  for (std::size_t first = 0, end = 0; first < list.size(); first = end) {
    results.clear();
    for (; end < list.size() && list.key(end) >> 32 == list.key(first) >> 32; ++end) {
      const Key node = list.key(end);
      std::size_t taken = 0;
      for_each(key_id(node), [&](NodeId rank, NodeId id) {
        results.push_back({make_key(key_distance(node), rank), id});
        return ++taken < most;
      });
    }
    if (end - first > 1) std::sort(results.begin(), results.end());
    if (!use(results, first, end)) return;
  }
}

/// Writes the first `most` results of a list of nodes, which has size() and key(i), to `out`. Only
/// those that is_match(id) lets match. False if a node stands for none of them, because all were
/// removed since it was found.
template <class View, class List, class IsMatch>
bool expand(const Graph& graph, const View& view, const List& list, std::size_t most,
            const IsMatch& is_match, Tie& tie, std::vector<Key>& out) {
  out.clear();
  if (most == 0) return true;
  bool all_stand = true;
  const auto for_each = [&](NodeId node, const auto& take) {
    bool stands = false;
    for_each_result(graph, view, node, is_match, [&](NodeId rank, NodeId id) {
      stands = true;
      return take(rank, id);
    });
    all_stand &= stands;
  };
  for_each_tie(list, most, for_each, tie, [&](const auto& results, std::size_t, std::size_t) {
    for (const RankedResult& result : results) {
      if (out.size() < most) out.push_back(result.key());
    }
    return out.size() < most;
  });
  return all_stand;
}
template <class View, class List>
bool expand(const Graph& graph, const View& view, const List& list, std::size_t most, Tie& tie,
            std::vector<Key>& out) {
  return expand(
      graph, view, list, most, [](NodeId /*id*/) { return true; }, tie, out);
}

/// Whether a node of a view stands for a vector that lives and is in a set. REQUIRES that it is one
/// of the set's nodes.
template <class View, class Set>
bool stands_for_match(const Graph& graph, const View& live, const Set& set, NodeId node) {
  const Tombstones& tombstones = graph.tombstones();
  if (graph.copies().next(node) == kNoNode) {  // its copies that matched may be gone
    const bool lives = !tombstones.any() || !tombstones.is_dead(node, live.size);
    return lives && (!set.has_copies() || set.contains(node));
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
