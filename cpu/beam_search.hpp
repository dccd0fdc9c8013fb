// Greedy descent and beam search (Malkov & Yashunin, algorithms 2 and 5), generic over how a row is
// read: live rows for queries, rows as they were sealed for proposals.
//
// Beam search is canonical: it always expands the closest unexpanded candidate by (distance, id)
// and stops when all are expanded, so its result is a function of the graph, the query and ef.
// Thread-safety: one Scratch per thread.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "common/proposer.hpp"
#include "cpu/candidate_list.hpp"
#include "cpu/scorer.hpp"
#include "cpu/visited_table.hpp"

namespace concord::cpu {

struct SearchCounts {
  std::uint64_t distances = 0;
  std::uint64_t hops = 0;
};

struct Scratch {
  CandidateList list;
  VisitedTable visited;
  std::array<core::NodeId, core::kMaxScored> ids;
  std::array<float, core::kMaxScored> distances;
  std::vector<float> query;
  SearchCounts counts;

  /// Memory behind the members.
  [[nodiscard]] std::size_t bytes() const noexcept {
    return list.bytes() + visited.bytes() + query.capacity() * sizeof(float);
  }
};

/// Walks in one layer from `from` to the nearest node that no neighbor improves on.
/// `read_row(node, ids)` copies a row's ids and returns how many.
template <class ReadRow>
core::Key greedy_descent(const Scorer& scorer, const float* query, core::Key from,
                         const ReadRow& read_row, Scratch& scratch) {
  for (core::Key closest = from;; from = closest) {
    const std::uint32_t n = read_row(core::key_id(closest), scratch.ids.data());
    for (std::uint32_t j = 0; j < n; ++j) scorer.prefetch(scratch.ids[j]);
    scorer.score(query, scratch.ids.data(), n, scratch.distances.data());
    scratch.counts.distances += n;
    ++scratch.counts.hops;
    for (std::uint32_t j = 0; j < n; ++j) {
      closest = std::min(closest, core::make_key(scratch.distances[j], scratch.ids[j]));
    }
    if (closest == from) return closest;
  }
}

/// Keeps of the first `n` ids and distances those no farther than `worst`; returns how many.
/// Without a branch, since which are near is unpredictable.
inline std::uint32_t keep_near(float worst, std::uint32_t n, Scratch& scratch) noexcept {
  core::NodeId* const ids = scratch.ids.data();
  float* const distances = scratch.distances.data();
  std::uint32_t kept = 0;
  for (std::uint32_t j = 0; j < n; ++j) {
    const float distance = distances[j];
    ids[kept] = ids[j];
    distances[kept] = distance;
    kept += distance <= worst ? 1 : 0;
  }
  return kept;
}

/// Fills scratch.list with the (approximately) `ef` nodes of the layer nearest to the query.
/// `prefetch_row(node)` may begin to fetch a row that will be read soon.
template <class ReadRow, class PrefetchRow>
void beam_search(const Scorer& scorer, const float* query, core::Key from, std::size_t ef,
                 const ReadRow& read_row, const PrefetchRow& prefetch_row, Scratch& scratch) {
  constexpr std::size_t kSoon = 4;  // a candidate this near the front will be expanded shortly
  CandidateList& list = scratch.list;
  list.reset(ef);
  list.insert(from);
  scratch.visited.reset(ef);
  scratch.ids[0] = core::key_id(from);
  scratch.visited.keep_unmarked(scratch.ids.data(), 1);

  for (core::NodeId node; (node = list.expand_closest()) != core::kNoNode;) {
    const std::uint32_t n = read_row(node, scratch.ids.data());
    const std::uint32_t fresh = scratch.visited.keep_unmarked(scratch.ids.data(), n);
    for (std::uint32_t j = 0; j < fresh; ++j) scorer.prefetch(scratch.ids[j]);
    if (const core::NodeId next = list.peek_closest(); next != core::kNoNode) prefetch_row(next);
    scorer.score(query, scratch.ids.data(), fresh, scratch.distances.data());
    scratch.counts.distances += fresh;
    ++scratch.counts.hops;
    const std::uint32_t near = keep_near(list.worst_distance(), fresh, scratch);
    for (std::uint32_t j = 0; j < near; ++j) {
      const core::NodeId id = scratch.ids[j];
      if (list.insert(core::make_key(scratch.distances[j], id)) < kSoon) prefetch_row(id);
    }
  }
}

}  // namespace concord::cpu
