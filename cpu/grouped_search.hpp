// A search with groups of the live graph for one query (common/search/group_set.hpp): with ef
// doubled until the nearer half of the list has k groups.
// Thread-safety: any number of threads, beside the writer; one Scratch per thread.
#pragma once

#include <algorithm>
#include <optional>

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

/// The same for every way of searching: search(ef) fills scratch.list as k = ef does, has the
/// picker begin with the view and pick from the list, of which ef / 2 are the nearer half, and
/// tells what that tells, or nothing where it cannot. `vectors()` tells how many may be found.
/// False if all must be scanned.
template <class Search, class Vectors>
bool pick_groups(const SearchParams& params, const Search& search, const Vectors& vectors) {
  for (std::uint64_t ef = std::max(params.ef, params.k);; ef *= 2) {
    if (ef > core::GroupRule::widest(vectors())) return vectors() == 0;
    const std::optional<bool> is_enough = search(static_cast<std::uint32_t>(ef));
    if (!is_enough) return false;
    if (*is_enough) return true;
  }
}

/// What GroupPicker::pick asks for, in a view.
template <class View>
auto results_in(const core::Graph& graph, const View& view) {
  return [&graph, view](core::NodeId node, const auto& take) {
    core::for_each_result(
        graph, view, node, [](core::NodeId /*id*/) { return true; }, take);
  };
}

/// Among the ids that live. False if all must be scanned.
[[gnu::noinline]] inline bool search_groups(const core::Graph& graph,
                                            const core::VectorStore& vectors,
                                            const MetricKernels& kernels, const float* vector,
                                            const SearchParams& params, const core::GroupSet& set,
                                            core::GroupPicker& picker, Scratch& scratch) {
  const auto search = [&](std::uint32_t ef) {
    std::optional<bool> is_enough;
    fill_beside_seals(graph, [&](auto live) {
      picker.begin(groups_in(graph, live, set));
      const bool is_whole = fill_with_living(graph, live, vectors, kernels, vector,
                                             {.k = ef, .ef = ef, .use_codes = false}, scratch);
      is_enough = picker.pick(scratch.list, ef / 2, results_in(graph, live));
      return is_whole;
    });
    return is_enough;
  };
  return pick_groups(params, search, [&] { return graph.nodes_of(graph.living()); });
}

}  // namespace concord::cpu
