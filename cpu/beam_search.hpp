// Greedy descent and beam search (Malkov & Yashunin, algorithms 2 and 5), generic over how a row is
// read: live rows for queries, rows as they were sealed for proposals.
//
// Beam search is canonical: it always expands the closest unexpanded candidate by (distance, id)
// and stops when all are expanded that its reach allows, so its result is a function of the graph,
// the query, ef and the reach.
// Thread-safety: one Scratch per thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "common/proposer.hpp"
#include "common/reach.hpp"
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
  std::vector<std::uint8_t> query_bytes;
  SearchCounts counts;

  /// Memory behind the members.
  [[nodiscard]] std::size_t bytes() const noexcept {
    return list.bytes() + visited.bytes() + query.capacity() * sizeof(float) +
           query_bytes.capacity();
  }
};

/// Walks in one layer from `from` to the nearest node that no neighbor improves on.
/// `visit_row(node, visit)` calls visit(id, shown) for the ids of a row, of which those that are
/// not shown are to be ignored.
template <class VisitRow>
core::Key greedy_descent(const Scorer& scorer, const Query& query, core::Key from,
                         const VisitRow& visit_row, Scratch& scratch) {
  for (core::Key closest = from;; from = closest) {
    std::uint32_t n = 0;
    visit_row(core::key_id(closest), [&](core::NodeId id, bool shown) {
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

/// The reach of a beam search that ends only when its whole list is expanded.
struct UnlimitedReach {
  std::size_t hops;  ///< to be expected

  static bool ends(CandidateList& /*list*/) noexcept { return false; }
  static float narrow(const CandidateList& /*list*/, float worst) noexcept { return worst; }
};

/// That of an adaptive beam search (core::reach): no candidate farther than (1 + slack) times the
/// k-th nearest found is expanded. That distance only shrinks, so none of them need be kept.
struct AdaptiveReach {
  std::size_t k;
  float factor;
  std::size_t hops;  ///< to be expected

  [[nodiscard]] bool ends(CandidateList& list) const noexcept {
    return list.size() >= k && list.closest_distance() > limit(list);
  }
  [[nodiscard]] float narrow(const CandidateList& list, float worst) const noexcept {
    return list.size() >= k ? std::min(worst, limit(list)) : worst;
  }

 private:
  [[nodiscard]] float limit(const CandidateList& list) const noexcept {
    return core::reach(core::key_distance(list[k - 1]), factor);
  }
};

/// Fills scratch.list with the (approximately) `ef` nodes of the layer nearest to the query that
/// are within `reach`. `prefetch_row(node)` may begin to fetch a row that will be visited soon.
template <class VisitRow, class PrefetchRow, class Reach>
void beam_search(const Scorer& scorer, const Query& query, core::Key from, std::size_t ef,
                 const VisitRow& visit_row, const PrefetchRow& prefetch_row, const Reach& reach,
                 Scratch& scratch) {
  constexpr std::size_t kSoon = 4;  // a candidate this near the front will be expanded shortly
  CandidateList& list = scratch.list;
  list.reset(ef);
  list.insert(from);
  scratch.visited.reset(reach.hops);
  scratch.visited.marker().mark(core::key_id(from));

  for (std::size_t hops = 1;; ++hops) {
    if (reach.ends(list)) return;
    const core::NodeId node = list.expand_closest();
    if (node == core::kNoNode) return;
    scratch.visited.make_room(hops);
    const VisitedTable::Marker marker = scratch.visited.marker();
    std::uint32_t fresh = 0;
    visit_row(node, [&](core::NodeId id, bool shown) {
      scratch.ids[fresh] = id;
      fresh += marker.mark(id) & (shown ? 1U : 0U);
    });
    for (std::uint32_t j = 0; j < fresh; ++j) scorer.prefetch(scratch.ids[j]);
    if (const core::NodeId next = list.peek_closest(); next != core::kNoNode) prefetch_row(next);
    scorer.score(query, scratch.ids.data(), fresh, scratch.distances.data());
    scratch.counts.distances += fresh;
    ++scratch.counts.hops;
    const std::uint32_t near = keep_near(reach.narrow(list, list.worst_distance()), fresh, scratch);
    for (std::uint32_t j = 0; j < near; ++j) {
      const core::NodeId id = scratch.ids[j];
      if (list.insert(core::make_key(scratch.distances[j], id)) < kSoon) prefetch_row(id);
    }
  }
}

}  // namespace concord::cpu
