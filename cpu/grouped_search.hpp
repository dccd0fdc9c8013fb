// A search with groups of the live graph for one query (common/search/group_set.hpp): with ef
// doubled until the nearer half of the list has k groups.
// Thread-safety: any number of threads, beside the writer; one Scratch per thread.
#pragma once

#include <algorithm>

#include "common/graph/graph.hpp"
#include "common/search/group_set.hpp"
#include "cpu/search.hpp"

namespace concord::cpu {

/// The groups of the nodes in a view.
inline core::PlacedGroups groups_in(const core::Graph& graph, const core::LiveView& /*view*/,
                                    const core::GroupSet& set) {
  return {set, graph.numbering(), graph.numbering(), 0};
}
inline core::PlacedGroups groups_in(const core::Graph& graph, const core::SlidingView& view,
                                    const core::GroupSet& set) {
  return {set, graph.numbering(), graph.next_numbering(), view.hole.begin};
}
/// Those of the nodes beside a hole, as a scan passes over it.
inline core::PlacedGroups groups_beside(const core::Graph& graph, core::Hole hole,
                                        const core::GroupSet& set) {
  if (!graph.is_sliding()) return groups_in(graph, core::LiveView{}, set);
  return {set, graph.numbering(), graph.next_numbering(), hole.begin};
}

/// The same for every way of searching: search(ef) fills scratch.list as k = ef does, lets the
/// picker begin with the view, and may tell that it cannot. `vectors()` tells how many may be
/// found. False if all must be scanned.
template <class Search, class Vectors>
bool pick_groups(const SearchParams& params, const Search& search, const Vectors& vectors,
                 core::GroupPicker& picker, const Scratch& scratch) {
  for (std::uint64_t ef = std::max(params.ef, params.k);; ef *= 2) {
    if (ef > core::GroupRule::widest(vectors())) return vectors() == 0;
    if (!search(static_cast<std::uint32_t>(ef))) return false;
    if (picker.pick(scratch.list, ef / 2)) return true;
  }
}

/// Among the ids that live. False if all must be scanned.
[[gnu::noinline]] inline bool search_groups(const core::Graph& graph,
                                            const core::VectorStore& vectors,
                                            const MetricKernels& kernels, const float* vector,
                                            const SearchParams& params, const core::GroupSet& set,
                                            core::GroupPicker& picker, Scratch& scratch) {
  const auto search = [&](std::uint32_t ef) {
    fill_beside_seals(graph, [&](auto live) {
      picker.begin(groups_in(graph, live, set));
      return fill_with_living(graph, live, vectors, kernels, vector,
                              {.k = ef, .ef = ef, .use_codes = false}, scratch);
    });
    return true;
  };
  return pick_groups(
      params, search, [&] { return graph.living(); }, picker, scratch);
}

}  // namespace concord::cpu
