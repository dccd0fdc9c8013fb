#include "common/contents/slide.hpp"

#include <algorithm>
#include <concord/error.hpp>
#include <new>

#include "common/graph/current_ranks.hpp"

namespace concord::core {
namespace {

/// Nodes that move between two waits for readers, at most: a part of all. They are the memory that
/// a slide into a front hole needs at once.
constexpr NodeId kBlocks = 128;
constexpr NodeId kSmallestBlock = 1024;
/// A slide that needs more blocks is put off until more nodes are unlinked. So many are needed only
/// where few empty slots come long before the many.
constexpr NodeId kMostBlocks = 1024;
/// It is considered again when one more of so many slots is empty, so that counting stays cheap.
constexpr NodeId kDelay = 64;
/// The pages of a front hole go back when it has grown by one of so many of the slots in memory.
constexpr NodeId kFrontShare = 16;

NodeId largest_block(const Graph& graph) noexcept {
  return std::max(kSmallestBlock, (graph.size() - graph.unlinked()) / kBlocks);
}

class Slide {
 public:
  explicit Slide(Contents& contents) : contents_(contents), graph_(contents.graph) {}

  /// As slide().
  void run() {
    prepare();
    wait();  // who enters from here on knows that nodes move
    reuse_front();
    while (graph_.tombstones().hole().end < graph_.size()) {
      if (is_front_given_back_) clear_hole();
      move_block();
      wait();  // nobody uses an old id
    }
    graph_.end_slide(ranks_);
    contents_.copy_finder.clear();
    wait();  // nobody uses the old size
    graph_.shrink();
    contents_.vectors.shrink(graph_.size());
    contents_.labels.shrink(graph_.size());
    wait();  // nobody takes a slot behind the end, where nodes may follow, for one of the hole
  }

 private:
  void prepare() {
    ranks_.follow(graph_);
    most_ = largest_block(graph_);
    const NodeId first = graph_.tombstones().hole().end;
    is_front_given_back_ = first > 0;
    graph_.begin_slide(most_);
    for (NodeId node = first; node < graph_.size(); ++node) {
      if (graph_.tombstones().is_unlinked(node)) contents_.labels.forget(node);
    }
  }

  void reuse_front() noexcept {
    contents_.vectors.reuse_front();
    contents_.labels.reuse_front();
    graph_.reuse_front();
  }

  void wait() const noexcept {
    if (contents_.gate != nullptr) contents_.gate->wait_for_readers();
  }

  // So the memory of a hole that is longer than a block is never taken.
  void clear_hole() noexcept {
    const Hole hole = graph_.tombstones().hole();
    contents_.vectors.clear(hole.begin, hole.end);
    contents_.labels.clear(hole.begin, hole.end);
    graph_.clear_hole();
  }

  // As many nodes as the hole has room for, so that none overwrites what another has left.
  void move_block() noexcept {
    const Hole hole = graph_.tombstones().hole();
    const NodeId room = std::min(hole.length(), most_);
    NodeId to = hole.begin;
    NodeId from = hole.end;
    graph_.begin_moves();
    for (; from < graph_.size(); ++from) {
      if (graph_.tombstones().is_unlinked(from)) continue;
      if (to == hole.begin + room || !graph_.can_move(from)) break;
      contents_.vectors.move(from, to);
      graph_.move(from, to);
      contents_.labels.move(from, to);  // last: who looks its label up finds all of it
      ++to;
    }
    graph_.end_moves({to, from});
  }

  Contents& contents_;
  Graph& graph_;
  CurrentRanks ranks_;  ///< the ids that nodes will have
  NodeId most_ = 0;
  bool is_front_given_back_ = false;
};

// The blocks that a slide moves, each of which waits for readers; more only where lists of upper
// layers ask for it. Stops counting behind kMostBlocks. O(size).
NodeId blocks_of_slide(const Graph& graph) noexcept {
  const NodeId most = largest_block(graph);
  NodeId blocks = 0;
  for (Hole hole = graph.first_hole(); hole.end < graph.size() && blocks <= kMostBlocks; ++blocks) {
    const NodeId room = std::min(hole.length(), most);
    NodeId to = hole.begin;
    NodeId from = hole.end;
    for (; from < graph.size(); ++from) {
      if (graph.tombstones().is_unlinked(from)) continue;
      if (to == hole.begin + room) break;
      ++to;
    }
    hole = {to, from};
  }
  return blocks;
}

NodeId unlinked_at_front(const Graph& graph) noexcept {
  const NodeId first = graph.first_in_layer(0);
  return first == kNoNode ? graph.size() : first;
}

bool try_to_slide(Contents& contents) noexcept {
  try {
    Slide(contents).run();
    contents.least_unlinked_to_slide = 0;
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

void slide(Contents& contents) { Slide(contents).run(); }

void give_front_back(Contents& contents) noexcept {
  Graph& graph = contents.graph;
  const NodeId end = unlinked_at_front(graph);
  for (NodeId node = graph.tombstones().hole().end; node < end; ++node) {
    contents.labels.forget(node);
  }
  graph.open_front_hole(end);
  if (contents.gate != nullptr) contents.gate->wait_for_readers();
  graph.give_front_back();
  contents.vectors.give_front_back(end);
  contents.labels.give_front_back(end);
}

bool give_memory_back(Contents& contents, EmptySlots share) noexcept {
  const Graph& graph = contents.graph;
  const NodeId unlinked = graph.unlinked();
  if (unlinked == 0) return false;
  const NodeId front = unlinked_at_front(graph);
  const NodeId given_back = graph.tombstones().hole().end;
  const NodeId in_memory = graph.size() - given_back;
  const NodeId scattered = unlinked - std::min(unlinked, front);
  const bool is_due =
      scattered >= (in_memory + static_cast<NodeId>(share) - 1) / static_cast<NodeId>(share) ||
      unlinked >= graph.size() / 4 * 3;
  if (is_due && unlinked >= contents.least_unlinked_to_slide) {
    if (blocks_of_slide(graph) <= kMostBlocks) return try_to_slide(contents);
    contents.least_unlinked_to_slide = unlinked + in_memory / kDelay + 1;
  }
  if (front > given_back && front - given_back >= in_memory / kFrontShare) {
    give_front_back(contents);
  }
  contents.copy_finder.give_memory_back(graph);
  return false;
}

}  // namespace concord::core
