// A range search of the live graph for one query (common/search/range.hpp): the search that gives
// L, and the closure over it.
// Thread-safety: any number of threads, beside the writer; one Scratch per thread.
#pragma once

#include "common/graph/graph.hpp"
#include "common/search/range.hpp"
#include "cpu/beam_search.hpp"
#include "cpu/search.hpp"

namespace concord::cpu {

/// Brings the hits of the list L, scratch.list, into `hits`. close() completes scratch.reached,
/// which has the members of L within the reach; it is not called if there is none. Of `vectors`
/// that may be found is_hit(id) tells which may be results. False, with no hits, if they must be
/// scanned: the closure has grown too large, or close() has given up.
template <class IsHit, class Close>
bool collect_range(const core::RangeRule& rule, core::NodeId vectors, const IsHit& is_hit,
                   const Close& close, core::RangeHits& hits, Scratch& scratch) {
  const CandidateList& list = scratch.list;
  ReachedNodes& reached = scratch.reached;
  if (rule.is_met_by(list)) {
    for (std::size_t i = 0; i < rule.limit(); ++i) hits.add(list.key(i));
    return true;
  }
  reached.reset(rule.reach(), core::RangeRule::most_reached(vectors));
  for (std::size_t i = 0; i < list.size(); ++i) reached.insert(list.key(i));
  if (reached.size() > 0 && !close()) return false;
  if (reached.is_too_many()) return false;
  for (std::size_t i = 0; i < reached.size(); ++i) {
    if (is_hit(core::key_id(reached.key(i)))) hits.add(reached.key(i));
  }
  return true;
}

/// Turns the nodes of a view among the hits into what they stand for.
template <class View>
void expand_hits(const core::Graph& graph, const View& live, core::RangeHits& hits,
                 core::Tie& tie) {
  if (!graph.copies().any()) return;
  hits.expand([&](std::span<const core::Key> nodes, std::size_t most, std::vector<core::Key>& out) {
    core::expand(graph, live, core::KeyList(nodes), most, tie, out);
  });
}

/// As collect_range, over the links of a view in which scratch.list was found.
template <class View>
bool collect_range_in_graph(const core::Graph& graph, View live, const Scorer& scorer,
                            const Query& query, const core::RangeRule& rule, core::RangeHits& hits,
                            Scratch& scratch) {
  const auto is_hit = [&](core::NodeId id) { return !graph.is_dead(id, live.size); };
  const auto visit_links = [&](core::NodeId node, const auto& visit) {
    graph.visit_live(live, node, 0, visit);
  };
  const auto prefetch_links = [&](core::NodeId node) { graph.base().prefetch(node); };
  const auto close = [&] {
    scratch.visited.reset(scratch.reached.size());
    expand_candidates(scorer, query, scratch.reached, visit_links, prefetch_links,
                      core::UnlimitedReach{}, scratch);
    return true;
  };
  return collect_range(rule, graph.nodes_of(live.living), is_hit, close, hits, scratch);
}

/// The hits of a query, a vector in its stored form. False if all vectors must be scanned.
[[gnu::noinline]] inline bool search_range(const core::Graph& graph,
                                           const core::VectorStore& vectors,
                                           const MetricKernels& kernels, const float* vector,
                                           const core::RangeRule& rule, core::RangeHits& hits,
                                           Scratch& scratch) {
  bool is_found = false;
  fill_beside_seals(graph, [&](auto live) {
    hits.clear();
    const bool enough =
        fill_with_living(graph, live, vectors, kernels, vector,
                         {.k = rule.width(), .ef = rule.width(), .use_codes = false}, scratch);
    const Scorer scorer(vectors, kernels);  // after the view, so that it has all vectors of it
    const Query query = scorer.as_query(vector, scratch.query_bytes.data());
    is_found = collect_range_in_graph(graph, live, scorer, query, rule, hits, scratch);
    if (is_found) expand_hits(graph, live, hits, scratch.tie);
    return enough;
  });
  return is_found;
}

}  // namespace concord::cpu
