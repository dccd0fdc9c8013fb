// Greedy descent and beam search (Malkov & Yashunin, algorithms 2 and 5), generic over how a list
// is read (live lists for queries, lists as they were sealed for proposals), how far the search
// goes (common/search/reach.hpp) and which ids it may return (common/search/accept.hpp).
//
// Beam search is canonical: it always expands the closest unexpanded candidate by (distance, id)
// and stops when all are expanded that its reach allows, so its result is a function of the graph,
// the query, ef, the reach and the accepted ids.
// Thread-safety: one Scratch per thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/build/proposer.hpp"
#include "common/search/accept.hpp"
#include "common/search/entries.hpp"
#include "common/search/filter_rule.hpp"
#include "common/search/reach.hpp"
#include "cpu/candidate_list.hpp"
#include "cpu/reached_nodes.hpp"
#include "cpu/scorer.hpp"
#include "cpu/split_candidates.hpp"
#include "cpu/visited_table.hpp"

namespace concord::cpu {

struct SearchCounts {
  std::uint64_t distances = 0;
  std::uint64_t hops = 0;
  std::uint64_t rescored = 0;  ///< distances of what a walk by codes has found
};

/// What a filtered walk needs besides (cpu/filtered_search.hpp).
struct FilterScratch {
  VisitedTable passed;  ///< nodes that do not match and whose lists were read
  std::array<core::NodeId, core::kMaxListCapacity> matches;  ///< of one list
  std::array<core::NodeId, core::FilterRule::kMostBridges + core::kMaxListCapacity> bridges;

  [[nodiscard]] std::size_t bytes() const noexcept { return sizeof(*this) + passed.bytes(); }
};

struct Scratch {
  CandidateList list;  ///< of ids that may be results
  VisitedTable visited;
  std::array<core::NodeId, core::kMaxListCapacity> ids;
  std::array<float, core::kMaxListCapacity> distances;
  std::vector<float> query;
  std::vector<std::uint8_t> query_bytes;
  std::vector<std::uint8_t> query_code;  ///< unused without codes
  std::vector<core::Key> keys;           ///< unused but by rescore()
  std::vector<std::byte> rows;           ///< likewise, and where rows are in a file
  std::vector<core::Key> entries;        ///< what the list stands for; unused without copies
  core::Tie tie;                         ///< likewise
  SearchCounts counts;
  CandidateList others;  ///< of ids that may not be results; unused where all may
  std::unique_ptr<FilterScratch> filtered;  ///< null before the first filtered walk
  ReachedNodes reached;                     ///< unused but by range searches

  /// Memory behind the members.
  [[nodiscard]] std::size_t bytes() const noexcept {
    return list.bytes() + others.bytes() + visited.bytes() + query.capacity() * sizeof(float) +
           query_bytes.capacity() + query_code.capacity() + rows.capacity() +
           (keys.capacity() + entries.capacity()) * sizeof(core::Key) +
           tie.capacity() * sizeof(core::RankedResult) + (filtered ? filtered->bytes() : 0) +
           reached.bytes();
  }
};

/// Walks in one layer from `from` to the nearest node that no neighbor improves on.
/// `visit_links(node, visit)` calls visit(id, shown) for the ids of a list, of which those that are
/// not shown are to be ignored. Inlined, so that what visit_links captures stays in registers.
template <class VisitLinks>
[[gnu::always_inline]] inline core::Key greedy_descent(const Scorer& scorer, const Query& query,
                                                       core::Key from,
                                                       const VisitLinks& visit_links,
                                                       Scratch& scratch) {
  for (core::Key closest = from;; from = closest) {
    std::uint32_t n = 0;
    visit_links(core::key_id(closest), [&](core::NodeId id, bool shown) {
      scratch.ids[n] = id;
      n += shown ? 1 : 0;
    });
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

inline CandidateList& candidates_of(const core::AllIds& /*accept*/, Scratch& scratch) noexcept {
  return scratch.list;
}
template <class Accept>
SplitCandidates<Accept> candidates_of(const Accept& accept, Scratch& scratch) noexcept {
  return {accept, scratch.list, scratch.others};
}

/// Expands the closest candidate of `list` until all are expanded that are within `reach`, and
/// inserts what it meets. `prefetch_links(node)` may begin to fetch a list that will be visited
/// soon. REQUIRES that scratch.visited was reset.
template <class List, class VisitLinks, class PrefetchLinks, class Reach>
[[gnu::always_inline]] inline void expand_candidates(const Scorer& scorer, const Query& query,
                                                     List& list, const VisitLinks& visit_links,
                                                     const PrefetchLinks& prefetch_links,
                                                     const Reach& reach, Scratch& scratch) {
  constexpr std::size_t kSoon = 4;  // a candidate this near the front will be expanded shortly
  for (std::size_t hops = 1;; ++hops) {
    if (list.is_done() || reach.ends(list, list.closest())) return;
    const core::NodeId node = list.expand_closest();
    scratch.visited.make_room(hops);
    const VisitedTable::Marker marker = scratch.visited.marker();
    std::uint32_t fresh = 0;
    visit_links(node, [&](core::NodeId id, bool shown) {
      scratch.ids[fresh] = id;
      fresh += marker.mark(id) & (shown ? 1U : 0U);
    });
    for (std::uint32_t j = 0; j < fresh; ++j) scorer.prefetch(scratch.ids[j]);
    if (!list.is_done()) prefetch_links(core::key_id(list.closest()));
    scorer.score(query, scratch.ids.data(), fresh, scratch.distances.data());
    scratch.counts.distances += fresh;
    ++scratch.counts.hops;
    const std::uint32_t near = keep_near(reach.narrow(list, list.worst_distance()), fresh, scratch);
    for (std::uint32_t j = 0; j < near; ++j) {
      const core::NodeId id = scratch.ids[j];
      if (list.insert(core::make_key(scratch.distances[j], id)) < kSoon) prefetch_links(id);
    }
  }
}

/// Fills scratch.list with the (approximately) `ef` nodes of the layer nearest to the query that
/// are within `reach` and that `accept` accepts.
template <class VisitLinks, class PrefetchLinks, class Reach, class Accept>
void beam_search(const Scorer& scorer, const Query& query, core::Key from, std::size_t ef,
                 const VisitLinks& visit_links, const PrefetchLinks& prefetch_links,
                 const Reach& reach, const Accept& accept, Scratch& scratch) {
  auto&& list = candidates_of(accept, scratch);
  list.reset(ef);
  list.insert(from);
  scratch.visited.reset(reach.hops(ef));
  scratch.visited.marker().mark(core::key_id(from));
  expand_candidates(scorer, query, list, visit_links, prefetch_links, reach, scratch);
}

}  // namespace concord::cpu
