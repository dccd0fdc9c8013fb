#include "common/committer.hpp"

#include <algorithm>
#include <array>
#include <memory>

#include "common/stopwatch.hpp"

namespace concord::core {
namespace {

/// A row that has to be cut is cut to this degree, as far as the selection heuristic allows: seven
/// eighths. Cutting all that the heuristic would drop costs recall; cutting to max_degree alone
/// means scoring the row again at once (figures in ARCHITECTURE.md).
constexpr std::uint32_t cut_target(std::uint32_t max_degree) { return max_degree - max_degree / 8; }

}  // namespace

// ---------------------------------------------------------------------------------------- commit

void Committer::commit(const ProposalBatch& batch) {
  const Stopwatch watch(stats_.commit.seconds);
  // Every list makes at most M links, each of which appends to two rows.
  const std::size_t appends = batch.lists() * batch.M * 2;
  graph_.table(0).reserve_epoch(appends, 0);
  graph_.table(1).reserve_epoch(appends, 0);
  crowded_.reserve(crowded_.size() +
                   std::min(appends, graph_.table(0).size() + graph_.table(1).size()));

  constexpr NodeId kAhead = 12;
  const RowTable& base = graph_.table(0);
  for (NodeId node = batch.begin; node < batch.end; ++node) {
    if (node + kAhead < batch.end) {
      for (const NodeId target : batch.neighbors(node + kAhead, 0)) base.prefetch_to_change(target);
    }
    for (std::uint32_t layer = 0; layer <= graph_.level(node); ++layer) {
      link_in_layer(node, layer, batch.neighbors(node, layer));
    }
    graph_.admit(node);
  }
  stats_.commit.count += batch.end - batch.begin;
}

void Committer::link_in_layer(NodeId node, std::uint32_t layer, std::span<const NodeId> neighbors) {
  if (graph_.last_in_layer(layer) == kNoNode) return;  // the layer's first node
  RowTable& rows = graph_.table(layer);
  std::array<NodeId, kMaxScored> linked;
  std::uint16_t count = 0;
  for (const NodeId neighbor : neighbors) {
    if (rows.has_room(graph_.row(neighbor, layer))) {
      append(neighbor, node, layer);
      linked[count++] = neighbor;
    } else {
      ++stats_.refused_links;
    }
  }
  if (count == 0) return link_elsewhere(node, layer, neighbors);
  const RowIndex row = graph_.row(node, layer);
  rows.fill(row, {linked.data(), count}, graph_.epoch().number);
  rows.header(row).anchors = count;  // all were inserted before
}

// All proposed rows are full: a neighbor of theirs that has room, else the node inserted last in
// the layer, which always has: it made at most M links, and only a seal with room to spare adds
// any.
void Committer::link_elsewhere(NodeId node, std::uint32_t layer,
                               std::span<const NodeId> neighbors) {
  const RowTable& rows = graph_.table(layer);
  for (const NodeId full : neighbors) {
    const RowIndex row = graph_.row(full, layer);
    for (std::uint32_t j = 0; j < rows.degree(row); ++j) {
      const NodeId candidate = rows.at(row, j);
      if (rows.has_room(graph_.row(candidate, layer))) return link(node, candidate, layer);
    }
  }
  link(node, graph_.last_in_layer(layer), layer);
}

void Committer::link(NodeId a, NodeId b, std::uint32_t layer) {
  append(a, b, layer);
  append(b, a, layer);
  ++header(later(a, b), layer).anchors;
}

void Committer::append(NodeId node, NodeId neighbor, std::uint32_t layer) {
  RowTable& rows = graph_.table(layer);
  const RowIndex row = graph_.row(node, layer);
  const std::uint32_t degree = rows.append(row, neighbor, graph_.epoch().number);
  if (degree == rows.max_degree() + 1) crowded_.push_back({node, layer});
}

// ------------------------------------------------------------------------------------------ seal

void Committer::seal(Proposer& proposer) {
  proposer.settle();
  gather_crowded();
  const PruneScores* scores = nullptr;
  if (!prune_batch_.rows.empty()) {
    const Stopwatch watch(stats_.score_wall_seconds);
    scores = &proposer.score(prune_batch_);
  }
  {
    const Stopwatch watch(stats_.seal.seconds);
    for (std::uint32_t kind = 0; kind < 2; ++kind) {
      graph_.table(kind).drop_sealed_copies();
      // Each cut changes two rows; a re-anchored child changes two more.
      graph_.table(kind).reserve_epoch(2 * prune_batch_.ids.size(), 4 * prune_batch_.ids.size());
    }
    graph_.begin_seal();
    constexpr std::size_t kRowsAhead = 4;
    std::array<Places, kRowsAhead> ahead;
    for (std::size_t r = 0; r < prune_batch_.rows.size() + kRowsAhead; ++r) {
      Places& dominated = ahead[r % kRowsAhead];
      if (r >= kRowsAhead) cut_row(prune_batch_.rows[r - kRowsAhead], *scores, dominated);
      if (r < prune_batch_.rows.size()) dominated = look_ahead(prune_batch_.rows[r], *scores);
    }
    // Latest first: rows behind the one at hand are within max_degree, as move_on() requires.
    for (auto row = prune_batch_.rows.rbegin(); row != prune_batch_.rows.rend(); ++row) {
      move_children(*row, *scores);
    }
    crowded_.clear();
    graph_.table(0).drop_spills();
    graph_.table(1).drop_spills();
    graph_.close_epoch();
  }
  const auto forget_touched = [](Graph* graph) {
    graph->table(0).forget_touched();
    graph->table(1).forget_touched();
  };
  // Also where the proposer throws, as it may from the caller's log.
  const std::unique_ptr<Graph, decltype(forget_touched)> afterwards(&graph_, forget_touched);
  proposer.sealed();
}

void Committer::gather_crowded() {
  std::sort(crowded_.begin(), crowded_.end(), [&](const RowName& a, const RowName& b) {
    return a.layer != b.layer ? a.layer < b.layer : precedes(a.node, b.node);
  });
  prune_batch_.rows.clear();
  prune_batch_.ids.clear();
  for (const auto& [node, layer] : crowded_) {
    const RowTable& rows = graph_.table(layer);
    const RowIndex row = graph_.row(node, layer);
    const auto first = static_cast<std::uint32_t>(prune_batch_.ids.size());
    prune_batch_.ids.resize(first + rows.degree(row));
    rows.read(row, prune_batch_.ids.data() + first);
    prune_batch_.rows.push_back({node, layer, first, rows.degree(row)});
  }
}

void Committer::cut_row(const PruneBatch::Row& row, const PruneScores& scores, Places dominated) {
  const RowTable& rows = graph_.table(row.layer);
  const RowIndex index = graph_.row(row.node, row.layer);
  if (rows.degree(index) <= rows.max_degree()) return;  // cuts of earlier rows have made room

  const bool untouched = rows.degree(index) == row.count;
  if (!untouched) {
    dominated = dominated_places(row, scores,
                                 [&](NodeId neighbor) { return rows.contains(index, neighbor); });
  }
  // The farthest dominated go until the row is down to its target; where they are too few, the
  // farthest of the others follow.
  const auto cut_farthest = [&](const Places& places, std::uint32_t target) {
    places.descend([&](std::uint32_t b) {
      if (rows.degree(index) <= target) return false;
      const NodeId neighbor = neighbor_at(row, scores, b);
      if (!is_protected(row.node, neighbor, row.layer) &&
          (untouched || rows.contains(index, neighbor))) {
        cut(row.node, neighbor, row.layer);
      }
      return true;
    });
  };
  cut_farthest(dominated, cut_target(rows.max_degree()));
  cut_farthest(dominated.others(row.count), rows.max_degree());
}

// Neighbor selection heuristic (Malkov & Yashunin, algorithm 4) on the row's neighbors in order of
// distance: one that is nearer to a kept neighbor than to the row's node may go.
template <class IsThere>
Committer::Places Committer::dominated_places(const PruneBatch::Row& row, const PruneScores& scores,
                                              const IsThere& is_there) const {
  Places kept;
  Places dominated;
  const std::uint64_t* dominators = &scores.dominators[std::size_t{row.first} * scores.words];
  for (std::uint32_t b = 0; b < row.count; ++b, dominators += scores.words) {
    std::uint64_t by_kept = 0;
    for (std::uint32_t w = 0; w < scores.words; ++w) by_kept |= dominators[w] & kept.words[w];
    dominated.add(b, by_kept != 0);
    kept.add(b, by_kept == 0 && is_there(neighbor_at(row, scores, b)));
  }
  return dominated;
}

// As if all of the row were still there, which is so for most rows when they are cut. Begins to
// fetch the rows that cut_row will most likely change.
Committer::Places Committer::look_ahead(const PruneBatch::Row& row,
                                        const PruneScores& scores) const {
  const RowTable& rows = graph_.table(row.layer);
  const Places dominated = dominated_places(row, scores, [](NodeId) { return true; });
  std::uint32_t left = row.count - cut_target(rows.max_degree());
  rows.prefetch_to_change(graph_.row(row.node, row.layer));
  dominated.descend([&](std::uint32_t b) {
    rows.prefetch_to_change(graph_.row(neighbor_at(row, scores, b), row.layer));
    return --left > 0;
  });
  return dominated;
}

// What is left of a row that is over is protected: children whose only anchor it is, and its own
// only anchor. The farthest children go to an older sibling that has room; if that is not enough,
// the latest children go on to whoever was inserted just before them.
void Committer::move_children(const PruneBatch::Row& row, const PruneScores& scores) {
  const RowTable& rows = graph_.table(row.layer);
  const RowIndex index = graph_.row(row.node, row.layer);
  for (std::uint32_t b = row.count; b-- > 0 && rows.degree(index) > rows.max_degree();) {
    const NodeId child = neighbor_at(row, scores, b);
    if (!precedes(row.node, child) || !rows.contains(index, child)) continue;
    const NodeId sibling = sibling_with_room(row.node, child, row.layer);
    if (sibling != kNoNode) reanchor(child, row.node, sibling, row.layer);
  }
  while (rows.degree(index) > rows.max_degree()) move_on(row.node, row.layer);
}

void Committer::cut(NodeId a, NodeId b, std::uint32_t layer) {
  preserve(a, layer);
  preserve(b, layer);
  RowTable& rows = graph_.table(layer);
  rows.remove(graph_.row(a, layer), b);
  rows.remove(graph_.row(b, layer), a);
  --header(later(a, b), layer).anchors;
  ++stats_.seal.count;
}

// Before a seal first changes a row: what the next epoch's proposals must still see of it.
void Committer::preserve(NodeId node, std::uint32_t layer) {
  RowTable& rows = graph_.table(layer);
  const RowIndex row = graph_.row(node, layer);
  rows.touch(row, graph_.epoch().number);
  const NodeId visible = graph_.epoch().begin;
  if (graph_.order(node) >= visible || rows.has_sealed_copy(row)) return;
  rows.keep_sealed_copy(row, [&](NodeId id) { return graph_.order(id) < visible; });
}

// At every moment the child is linked to one of both, so that searches beside this, however long
// this thread is kept from going on, find a graph that is whole. The child's row has room: it comes
// after `from`, so it is within max_degree.
void Committer::reanchor(NodeId child, NodeId from, NodeId to, std::uint32_t layer) {
  for (const NodeId node : {to, from, child}) preserve(node, layer);
  RowTable& rows = graph_.table(layer);
  rows.reserve_epoch(2, 0);
  rows.append(graph_.row(to, layer), child, graph_.epoch().number);
  rows.replace(graph_.row(child, layer), from, to, graph_.epoch().number);
  rows.remove(graph_.row(from, layer), child);
  ++stats_.seal.count;
  ++stats_.reanchored;
}

NodeId Committer::sibling_with_room(NodeId anchor, NodeId child, std::uint32_t layer) const {
  const RowTable& rows = graph_.table(layer);
  const RowIndex siblings = graph_.row(anchor, layer);
  for (std::uint32_t j = 0; j < rows.degree(siblings); ++j) {
    const NodeId sibling = rows.at(siblings, j);
    if (precedes(sibling, child) && rows.degree(graph_.row(sibling, layer)) < rows.max_degree()) {
      return sibling;
    }
  }
  return kNoNode;
}

// Frees one place in a row above max_degree. The row's latest child moves to the node inserted just
// before it, which is another one: a row over max_degree ≥ 2 whose edges are all protected has two
// children at least. If that makes the other's row too long, the same is done there; its latest
// child is later still, so this ends, at the layer's last nodes if not before.
void Committer::move_on(NodeId node, std::uint32_t layer) {
  const RowTable& rows = graph_.table(layer);
  do {
    const RowIndex row = graph_.row(node, layer);
    NodeId latest = rows.at(row, 0);
    for (std::uint32_t j = 0; j < rows.degree(row); ++j) {
      const NodeId other = rows.at(row, j);
      if (!is_protected(node, other, layer)) return cut(node, other, layer);
      if (precedes(latest, other)) latest = other;
    }
    NodeId next = latest - 1;
    while (graph_.level(next) < layer) --next;
    reanchor(latest, node, next, layer);
    node = next;
  } while (rows.degree(graph_.row(node, layer)) > rows.max_degree());
}

void Committer::find_crowded() {
  crowded_.clear();
  for (NodeId node = 0; node < graph_.size(); ++node) {
    for (std::uint32_t layer = 0; layer <= graph_.level(node); ++layer) {
      const RowTable& rows = graph_.table(layer);
      if (rows.degree(graph_.row(node, layer)) > rows.max_degree())
        crowded_.push_back({node, layer});
    }
  }
}

}  // namespace concord::core
