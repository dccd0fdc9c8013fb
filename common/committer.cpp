#include "common/committer.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <bitset>

#include "common/stopwatch.hpp"

namespace concord::core {

// ---------------------------------------------------------------------------------------- commit

void Committer::commit(const ProposalBatch& batch) {
  const Stopwatch watch(stats_.commit.seconds);
  // Every list makes at most M links, each of which appends to two rows.
  const std::size_t appends = batch.lists() * batch.M * 2;
  graph_.table(0).reserve_epoch(appends, 0);
  graph_.table(1).reserve_epoch(appends, 0);
  crowded_.reserve(crowded_.size() + appends);

  constexpr NodeId kAhead = 6;
  for (NodeId node = batch.begin; node < batch.end; ++node) {
    if (node + kAhead < batch.end) prefetch_targets(batch, node + kAhead);
    for (std::uint32_t layer = 0; layer <= graph_.level(node); ++layer) {
      link_in_layer(node, layer, batch.neighbors(node, layer));
    }
    graph_.admit(node);
  }
  stats_.commit.count += batch.end - batch.begin;
}

void Committer::prefetch_targets(const ProposalBatch& batch, NodeId node) const noexcept {
  for (const NodeId target : batch.neighbors(node, 0)) graph_.table(0).prefetch(target);
}

void Committer::link_in_layer(NodeId node, std::uint32_t layer, std::span<const NodeId> neighbors) {
  if (graph_.last_in_layer(layer) == kNoNode) return;  // the layer's first node
  const RowTable& rows = graph_.table(layer);
  bool linked = false;
  for (const NodeId neighbor : neighbors) {
    if (rows.has_room(graph_.row(neighbor, layer))) {
      link(node, neighbor, layer);
      linked = true;
    } else {
      ++stats_.refused_links;
    }
  }
  if (!linked) link_elsewhere(node, layer, neighbors);
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
  rows.append(row, neighbor, graph_.epoch().number);
  if (rows.header(row).degree == rows.max_degree() + 1) crowded_.push_back({node, layer});
}

// ------------------------------------------------------------------------------------------ seal

void Committer::seal(Proposer& proposer) {
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
    for (const PruneBatch::Row& row : prune_batch_.rows) cut_row(row, *scores);
    crowded_.clear();
    graph_.table(0).drop_spills();
    graph_.table(1).drop_spills();
    graph_.close_epoch();
  }
  proposer.sealed();
  graph_.table(0).forget_touched();
  graph_.table(1).forget_touched();
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

// Neighbor selection heuristic (Malkov & Yashunin, algorithm 4) on the row's neighbors in order of
// distance: one that is nearer to a kept neighbor than to the row's node is cut, unless protected.
void Committer::cut_row(const PruneBatch::Row& row, const PruneScores& scores) {
  const RowTable& rows = graph_.table(row.layer);
  const RowIndex index = graph_.row(row.node, row.layer);
  const auto too_many = [&] { return rows.degree(index) > rows.max_degree(); };
  if (!too_many()) return;  // cuts of earlier rows have made room

  const auto neighbor = [&](std::uint32_t b) {
    return prune_batch_.ids[row.first + scores.order[row.first + b]];
  };
  const bool untouched = rows.degree(index) == row.count;
  std::array<std::uint64_t, kMaxScored / 64> kept{};
  const auto is_kept = [&](std::uint32_t b) { return (kept[b / 64] >> (b % 64) & 1) != 0; };

  for (std::uint32_t b = 0; b < row.count; ++b) {
    if (!untouched && !rows.contains(index, neighbor(b))) continue;
    const std::uint64_t* dominators = &scores.dominators[std::size_t{row.first + b} * scores.words];
    bool dominated = false;
    for (std::uint32_t w = 0; w < scores.words; ++w) dominated |= (dominators[w] & kept[w]) != 0;
    if (dominated && !is_protected(row.node, neighbor(b), row.layer)) {
      cut(row.node, neighbor(b), row.layer);
    } else {
      kept[b / 64] |= std::uint64_t{1} << (b % 64);
    }
  }
  // Still over: the farthest unprotected go; then the farthest children find another anchor.
  for (std::uint32_t b = row.count; b-- > 0 && too_many();) {
    if (is_kept(b) && !is_protected(row.node, neighbor(b), row.layer)) {
      cut(row.node, neighbor(b), row.layer);
      kept[b / 64] &= ~(std::uint64_t{1} << (b % 64));
    }
  }
  for (std::uint32_t b = row.count; b-- > 0 && too_many();) {
    if (precedes(row.node, neighbor(b)) && rows.contains(index, neighbor(b))) {
      reanchor(row.node, neighbor(b), row.layer);
    }
  }
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
  std::array<NodeId, kMaxScored> ids;
  const auto end = std::remove_if(ids.begin(), ids.begin() + rows.read(row, ids.data()),
                                  [&](NodeId id) { return graph_.order(id) >= visible; });
  rows.keep_sealed_copy(row, {ids.begin(), end});
}

void Committer::reanchor(NodeId anchor, NodeId child, std::uint32_t layer) {
  const NodeId new_anchor = find_new_anchor(anchor, child, layer);
  if (new_anchor == kNoNode) return;
  preserve(new_anchor, layer);
  cut(anchor, child, layer);  // first, since the child's row may be at its capacity
  link(new_anchor, child, layer);
  ++stats_.reanchored;
}

// A sibling is nearest at hand. Else the latest earlier node of the layer that has room or an edge
// to spare. If every earlier node is full of children of its own, then (each child counts for one
// parent only) one of those children is later than `child`; moving it, which recurses to ever later
// nodes and so ends, frees its parent.
NodeId Committer::find_new_anchor(NodeId anchor, NodeId child, std::uint32_t layer) {
  const RowTable& rows = graph_.table(layer);
  const auto has_place = [&](NodeId node) {
    return rows.degree(graph_.row(node, layer)) < rows.max_degree();
  };
  const RowIndex siblings = graph_.row(anchor, layer);
  for (std::uint32_t j = 0; j < rows.degree(siblings); ++j) {
    const NodeId sibling = rows.at(siblings, j);
    if (precedes(sibling, child) && has_place(sibling)) return sibling;
  }
  for (NodeId node = child; node-- > 0;) {
    if (node == anchor || graph_.level(node) < layer) continue;
    if (has_place(node) || make_room(node, layer)) return node;
  }
  for (NodeId node = child; node-- > 0;) {
    if (node == anchor || graph_.level(node) < layer) continue;
    const RowIndex row = graph_.row(node, layer);
    for (std::uint32_t j = 0; j < rows.degree(row); ++j) {
      const NodeId other = rows.at(row, j);
      if (!precedes(child, other)) continue;
      is_protected(node, other, layer) ? reanchor(node, other, layer) : cut(node, other, layer);
      if (has_place(node)) return node;
      break;
    }
  }
  return kNoNode;  // `child` is the layer's second node: only its anchor precedes it
}

bool Committer::make_room(NodeId node, std::uint32_t layer) {
  const RowTable& rows = graph_.table(layer);
  const RowIndex row = graph_.row(node, layer);
  if (rows.degree(row) > rows.max_degree()) return false;  // it has yet to be cut itself
  for (std::uint32_t j = rows.degree(row); j-- > 0;) {
    const NodeId other = rows.at(row, j);
    if (is_protected(node, other, layer)) continue;
    cut(node, other, layer);
    return true;
  }
  return false;
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
