// The Searcher's walks that are watched: what searches of a query need (common/search/tuning.hpp),
// and where one meets a node. They are the walks of beam_search.hpp and filtered_search.hpp,
// watched through their reach, their lists and their matches, so that no second copy of a walk can
// differ.
// Thread-safety: as cpu/searcher.hpp.

#include <algorithm>
#include <utility>

#include "common/search/entries.hpp"
#include "common/search/hop_limits.hpp"
#include "cpu/filtered_search.hpp"
#include "cpu/hidden_node.hpp"
#include "cpu/scratch_lease.hpp"
#include "cpu/search.hpp"
#include "cpu/searcher.hpp"

namespace concord::cpu {

using core::Key;
using core::NodeId;
using core::PlacedSet;

namespace {

/// A search without a filter whose walk tells `trace` of its hops. It visits the lists of layer 0
/// by visit_list(node, visit).
template <class VisitList, class Trace>
void trace_living(const WalkedGraph<core::LiveView>& over, std::uint32_t ef,
                  const VisitList& visit_list, Trace& trace, Scratch& scratch) {
  scratch.list.reset(1);
  if (over.live.entry.node == core::kNoNode) return;
  const Key from = descend(over.graph, over.live, over.scorer, over.query, scratch);
  trace.begin(core::key_id(from));
  const auto prefetch_links = [&](NodeId node) { over.graph.base().prefetch(node); };
  const auto walk = [&](const auto& accept) {
    beam_search(over.scorer, over.query, from, ef, visit_list, prefetch_links,
                core::TracedReach<Trace>{&trace}, accept, scratch);
  };
  if (over.graph.tombstones_linked() == 0) return walk(core::AllIds{});
  walk(LivingIds(over.graph, over.live.size));
}

/// Waits for a node.
class MeetingTrace {
 public:
  MeetingTrace(std::uint32_t k, NodeId node) noexcept : limits_(k), node_(node) {}

  void begin(NodeId from) { see(from); }
  template <class List>
  bool before(const List& list, Key closest) {
    if (found_.is_met) return false;
    limits_.add(list, closest);
    ++hop_;
    at_ = core::key_id(closest);
    return false;
  }
  void see(NodeId id) {
    if (id == node_ && !found_.is_met) found_ = {true, hop_, at_, limits_.slack()};
  }
  [[nodiscard]] const Searcher::Meeting& found() const noexcept { return found_; }

 private:
  core::HopLimits limits_;
  NodeId node_;
  std::uint64_t hop_ = 0;
  NodeId at_ = core::kNoNode;
  Searcher::Meeting found_;
};

/// The matches of a filtered walk, which are shown to a trace.
template <class Matches>
class SeenMatches {
 public:
  SeenMatches(const Matches& matches, MeetingTrace& trace) : matches_(matches), trace_(&trace) {}
  std::uint32_t operator()(NodeId id) const {
    const std::uint32_t match = matches_(id);
    if (match != 0) trace_->see(id);
    return match;
  }

 private:
  Matches matches_;
  MeetingTrace* trace_;
};

}  // namespace

void Searcher::profile(MatrixView<const float> queries, std::span<const core::ScoredQuery> scored,
                       std::uint32_t k, std::uint32_t wanted, std::uint32_t most_ef,
                       std::span<core::SearchProfile> out, core::ThreadPool& pool) const {
  const auto profile_one = [&](std::size_t q, Scratch& scratch) {
    const core::LiveView live = graph_.live();
    const Scorer scorer(vectors_, kernels_);  // after the view
    vectors_.prepare(queries.row(q), scratch.query.data(), "query", q);
    const Query query = scorer.as_query(scratch.query.data(), scratch.query_bytes.data());
    const HiddenNode hidden(graph_, live, scorer, vectors_.stride(), scored[q].hidden);
    const auto visit_list = [&](NodeId node, const auto& visit) {
      std::size_t degree = 0;
      graph_.visit_live(live, node, 0, [&](NodeId id, bool shown) {
        visit(id, shown && hidden.shows(id));
        ++degree;
      });
      hidden.visit_instead(node, degree, visit);
    };
    out[q] = {};
    core::ProfileTrace trace(k, wanted, scored[q].farthest, scratch.counts.distances, out[q]);
    trace_living({graph_, live, scorer, query}, most_ef, visit_list, trace, scratch);
    trace.note(scratch.list);
  };
  for_each_query<Lease>(*this, queries.rows, 8, pool,
                        [&](std::size_t first, std::size_t last, Scratch& scratch) {
                          for (std::size_t q = first; q < last; ++q) profile_one(q, scratch);
                        });
}

// Calls take(key, id) for each vector. Keys are in the order of results: they have ranks, not ids.
template <class Take>
void Searcher::score_all(const float* query, const PlacedSet* set, NodeId first,
                         const Take& take) const {
  const Lease lease(*this);
  Scratch& scratch = *lease;
  const core::LiveView live = graph_.live();
  const core::Tombstones& tombstones = graph_.tombstones();
  const Scorer scorer(vectors_, kernels_);
  vectors_.prepare(query, scratch.query.data(), "query", 0);
  const Query stored = scorer.as_query(scratch.query.data(), scratch.query_bytes.data());
  const auto is_match = [&](NodeId id) {
    return set == nullptr || std::ranges::binary_search(set->ids(), id);
  };
  const auto score = [&](NodeId id) {
    float distance;
    const NodeId node = graph_.copies().node_of(id);
    scorer.score(stored, &node, 1, &distance);
    take(core::make_key(distance, core::rank_in(graph_, live, id, is_match)), id);
  };
  if (first != core::kNoNode) score(first);
  const auto score_living = [&](NodeId id) {
    if (!tombstones.any() || !tombstones.is_dead(id, live.size)) score(id);
  };
  if (set != nullptr) {
    std::ranges::for_each(set->ids(), score_living);
    return;
  }
  const core::Hole hole = tombstones.hole();
  for (NodeId id = 0; id < live.size; ++id) {
    if (!hole.contains(id)) score_living(id);
  }
}

Searcher::Standing Searcher::standing(const float* query, const PlacedSet* set, NodeId node) const {
  Standing standing;
  bool is_first = true;
  score_all(query, set, node, [&](Key key, NodeId /*id*/) {
    if (std::exchange(is_first, false)) {
      standing.key = key;
      return;
    }
    standing.before += key < standing.key ? 1 : 0;
    standing.nearest = std::min(standing.nearest, key);
  });
  return standing;
}

std::uint64_t Searcher::before(const float* query, const PlacedSet* set, Key bound) const {
  std::uint64_t before = 0;
  score_all(query, set, core::kNoNode, [&](Key key, NodeId id) {
    before += core::make_key(core::key_distance(key), id) < bound ? 1 : 0;
  });
  return before;
}

Searcher::Meeting Searcher::meeting(const float* query, const SearchParams& params,
                                    const PlacedSet* set, NodeId node) const {
  const Lease lease(*this);
  Scratch& scratch = *lease;
  const core::LiveView live = graph_.live();
  const Scorer scorer(vectors_, kernels_);
  vectors_.prepare(query, scratch.query.data(), "query", 0);
  const Query stored = scorer.as_query(scratch.query.data(), scratch.query_bytes.data());
  const WalkedGraph<core::LiveView> over{graph_, live, scorer, stored};
  const std::uint32_t ef = std::max(params.ef, params.k);
  MeetingTrace trace(params.k, graph_.copies().node_of(node));
  const NodeId nodes = graph_.nodes_of(live.living);
  NodeId matches = nodes;
  if (set != nullptr) {
    matches = set->living(live.size - live.living, [&](NodeId at) {
      return !core::stands_for_match(graph_, live, core::Matches(*set), at);
    });
  }
  const core::FilterRule rule(nodes, matches, graph_.params().M, vectors_.stride(), ef);
  if (rule.takes_all()) {
    const auto visit_list = [&](NodeId at, const auto& visit) {
      graph_.visit_live(live, at, 0, [&](NodeId id, bool shown) {
        if (shown) trace.see(id);
        visit(id, shown);
      });
    };
    trace_living(over, ef, visit_list, trace, scratch);
    return trace.found();
  }
  if (rule.scans()) return {};
  const core::TracedReach<MeetingTrace> reach{&trace};
  const auto walk = [&](const auto& is_match) {
    const SeenMatches seen(is_match, trace);
    return FilteredWalk(over, rule, seen, reach, scratch.list, scratch)
        .run([&](std::uint32_t number) { return set->seed(number); }, ef);
  };
  const bool none_died = matches == set->nodes().size();
  const core::Matches placed(*set);
  const bool ended =
      none_died ? walk(MatchingIds(set->bits())) : walk(LivingMatches(graph_, live, placed));
  const bool is_scanned = !ended || scratch.list.size() < std::min(params.k, matches);
  return is_scanned ? Meeting{} : trace.found();
}

bool Searcher::returns_from(const float* query, const SearchParams& params, Key from,
                            NodeId node) const {
  const Lease lease(*this);
  Scratch& scratch = *lease;
  const core::LiveView live = graph_.live();
  const Scorer scorer(vectors_, kernels_);
  vectors_.prepare(query, scratch.query.data(), "query", 0);
  const Query stored = scorer.as_query(scratch.query.data(), scratch.query_bytes.data());
  const std::uint32_t ef = std::max(params.ef, params.k);
  const auto walk = [&](const auto& accept) {
    search_base(graph_, live, scorer, stored, from, ef, core::UnlimitedReach{}, accept, scratch);
  };
  if (graph_.tombstones_linked() == 0) {
    walk(core::AllIds{});
  } else {
    walk(LivingIds(graph_, live.size));
  }
  core::expand(graph_, live, scratch.list, params.k, scratch.tie, scratch.entries);
  return std::any_of(scratch.entries.begin(), scratch.entries.end(),
                     [&](Key key) { return core::key_id(key) == node; });
}

}  // namespace concord::cpu
