// Search of the live graph for one query: the walk of Malkov & Yashunin, algorithm 5.
//
// Thread-safety: any number of threads, beside the writer; one Scratch per thread.
#pragma once

#include <algorithm>
#include <concord/params.hpp>

#include "common/graph/graph.hpp"
#include "common/search/entries.hpp"
#include "common/search/rescored.hpp"
#include "cpu/beam_search.hpp"
#include "cpu/living_ids.hpp"
#include "cpu/rescore.hpp"

namespace concord::cpu {

// A View is a LiveView, or a SlidingView while nodes slide.

/// From the entry point to the node of layer 1 that no neighbor improves on.
template <class View>
core::Key descend(const core::Graph& graph, View live, const Scorer& scorer, const Query& query,
                  Scratch& scratch) {
  float distance;
  scorer.score(query, &live.entry.node, 1, &distance);
  ++scratch.counts.distances;
  core::Key closest = core::make_key(distance, live.entry.node);
  for (std::uint32_t layer = live.entry.level; layer > 0; --layer) {
    const auto visit_links = [&](core::NodeId node, const auto& visit) {
      graph.visit_live(live, node, layer, visit);
    };
    closest = greedy_descent(scorer, query, closest, visit_links, scratch);
  }
  return closest;
}

/// Fills scratch.list with the candidates of layer 0, from a node of it on.
template <class View, class Reach, class Accept>
void search_base(const core::Graph& graph, View live, const Scorer& scorer, const Query& query,
                 core::Key from, std::uint32_t ef, const Reach& reach, const Accept& accept,
                 Scratch& scratch) {
  const auto visit_links = [&](core::NodeId node, const auto& visit) {
    graph.visit_live(live, node, 0, visit);
  };
  const auto prefetch_links = [&](core::NodeId node) { graph.base().prefetch(node); };
  beam_search(scorer, query, from, ef, visit_links, prefetch_links, reach, accept, scratch);
}

/// Whether a walk computes estimates in the place of distances.
inline bool walks_by_codes(const core::VectorStore& vectors, const SearchParams& params) noexcept {
  return params.use_codes && vectors.codes().are_ready();
}
/// What a walk scores by.
inline Scorer walked(const core::VectorStore& vectors, const MetricKernels& kernels,
                     const SearchParams& params) {
  return walks_by_codes(vectors, params) ? Scorer::of_codes(vectors, kernels)
                                         : Scorer(vectors, kernels);
}
/// A vector in its stored form as a query of walked(), in a buffer of its own where it is a code.
inline Query walk_query(const Scorer& scorer, const float* vector, Scratch& scratch) {
  std::vector<std::uint8_t>& buffer =
      scorer.is_of_codes() ? scratch.query_code : scratch.query_bytes;
  return scorer.as_query(vector, buffer.data());
}
/// Gives what a walk by codes has found for a vector in its stored form its distances.
inline void rescore(const core::VectorStore& vectors, const MetricKernels& kernels,
                    const float* vector, const SearchParams& params, Scratch& scratch) {
  const Scorer scorer(vectors, kernels);
  rescore(scorer, scorer.as_query(vector, scratch.query_bytes.data()),
          core::rescored(params, vectors.codes().kind()), scratch);
}

/// Fills scratch.list with ids of the view. False if it has fewer candidates than a search of a
/// graph at rest finds, of which `accepted` are accepted.
template <class View, class Accept>
bool fill_list(const core::Graph& graph, View live, const core::VectorStore& vectors,
               const MetricKernels& kernels, const float* vector, const SearchParams& params,
               const Accept& accept, core::NodeId accepted, Scratch& scratch) {
  const std::uint32_t ef = std::max(params.ef, params.k);
  const Scorer scorer = walked(vectors, kernels, params);  // after the view, so it has all vectors
  const Query query = walk_query(scorer, vector, scratch);
  if (live.entry.node == core::kNoNode || params.k == 0) {
    scratch.list.reset(1);
    return true;
  }
  const core::Key closest = descend(graph, live, scorer, query, scratch);
  const core::AdaptiveReach reach{params.k, core::reach_factor(params.slack)};
  const bool is_unlimited = reach.factor == core::kUnlimitedReach;
  if (is_unlimited) {
    search_base(graph, live, scorer, query, closest, ef, core::UnlimitedReach{}, accept, scratch);
  } else {
    search_base(graph, live, scorer, query, closest, ef, reach, accept, scratch);
  }
  const bool is_enough = scratch.list.size() >= std::min(is_unlimited ? ef : params.k, accepted);
  if (scorer.is_of_codes()) rescore(vectors, kernels, vector, params, scratch);
  return is_enough;
}

/// Repeats fill(view), which fills a list, until no seal has spoilt it. A search that passes lists
/// while a seal moves links between them may miss what it would have found before and after. Where
/// that left it with too little, it is repeated; and where a seal began to unlink nodes, since the
/// view may lack what has replaced them. It never waits for the seal to go on: the graph is whole
/// at every moment. After a few tries the next seal waits for it (Patience).
template <class Fill>
void fill_beside_seals(const core::Graph& graph, const Fill& fill) {
  core::Patience::Tries tries(graph.patience());
  for (;; tries.again()) {
    const std::uint64_t seals = graph.seals();
    const std::uint64_t unlinkings = graph.unlinkings();
    const bool enough = graph.is_sliding() ? fill(graph.sliding_view()) : fill(graph.live());
    if (graph.unlinkings() != unlinkings) continue;
    if (enough || !graph.was_sealing_since(seals)) return;
  }
}

/// Calls search() until it returns that each node it has found stands for something, which may have
/// been removed meanwhile. After a few tries the next removal waits for it (Patience).
template <class Search>
void search_beside_removals(const core::Graph& graph, const Search& search) {
  core::Patience::Tries tries(graph.patience());
  for (;; tries.again()) {
    const std::uint64_t removals = graph.removals();
    if (search() || graph.removals() == removals) return;
  }
}

/// Collects the results of query number `index`, a vector in its stored form, among the ids that
/// `accept` accepts, whatever else the graph holds. Not inlined, so that its loops need not share
/// registers with the loop over queries.
template <class Accept, class Results>
[[gnu::noinline]] void search_query(const core::Graph& graph, const core::VectorStore& vectors,
                                    const MetricKernels& kernels, const float* vector,
                                    const SearchParams& params, const Accept& accept,
                                    const Results& results, std::size_t index, Scratch& scratch) {
  fill_beside_seals(graph, [&](auto live) {
    const core::NodeId accepted = live.size - std::min(live.size, accept.others());
    return fill_list(graph, live, vectors, kernels, vector, params, accept, accepted, scratch);
  });
  results.collect(index, scratch.list);
}

/// As fill_list, among the nodes that live. Asks about each id only while tombstones are linked: of
/// a view that was taken before, it finds none of them later.
template <class View>
bool fill_with_living(const core::Graph& graph, View live, const core::VectorStore& vectors,
                      const MetricKernels& kernels, const float* vector, const SearchParams& params,
                      Scratch& scratch) {
  const auto fill = [&](const auto& accept) {
    return fill_list(graph, live, vectors, kernels, vector, params, accept,
                     graph.nodes_of(live.living), scratch);
  };
  if (graph.tombstones_linked() == 0) return fill(core::AllIds{});
  return fill(LivingIds(graph, live.size));
}

/// As search_query, among the ids that live, copies included.
template <class Results>
[[gnu::noinline]] void search_living(const core::Graph& graph, const core::VectorStore& vectors,
                                     const MetricKernels& kernels, const float* vector,
                                     const SearchParams& params, const Results& results,
                                     std::size_t index, Scratch& scratch) {
  bool has_copies = false;
  search_beside_removals(graph, [&] {
    bool all_stand = true;
    fill_beside_seals(graph, [&](auto live) {
      const bool enough = fill_with_living(graph, live, vectors, kernels, vector, params, scratch);
      has_copies = graph.copies().any();
      if (has_copies) {
        all_stand = core::expand(graph, live, scratch.list, params.k, scratch.tie, scratch.entries);
      }
      return enough;
    });
    return all_stand;
  });
  if (has_copies) return results.collect(index, core::KeyList(scratch.entries));
  results.collect(index, scratch.list);
}

}  // namespace concord::cpu
