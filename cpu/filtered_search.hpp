// A filtered search of the live graph for one query: the beam search in the derived graph of
// common/search/filter_rule.hpp.
//
// Its list is the one of cpu/beam_search.hpp, so its result is a function of graph, query, filter
// and parameters. Marks of lists that were read already (FilterScratch::passed) only save scoring:
// who forgets one scores the same keys again, which changes no list. Thread-safety: any number of
// threads, beside the writer; one Scratch per thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <utility>

#include "common/graph/graph.hpp"
#include "common/search/entries.hpp"
#include "common/search/filter_rule.hpp"
#include "common/search/match_set.hpp"
#include "cpu/beam_search.hpp"
#include "cpu/search.hpp"

namespace concord::cpu {

/// The sets under the numberings of a moment that one thread alone uses (MatchSet::under).
using OwnPlaces = std::array<std::unique_ptr<core::PlacedSet>, 2>;

/// A set for the search of a view, which was taken before.
inline core::Matches matches_in(const core::Graph& graph, const core::LiveView& /*view*/,
                                const core::MatchSet& set, OwnPlaces& own) {
  return core::Matches(set.under(graph.numbering(), own[0]));
}
inline core::SlidingMatches matches_in(const core::Graph& graph, const core::SlidingView& view,
                                       const core::MatchSet& set, OwnPlaces& own) {
  const core::PlacedSet& before = set.under(graph.numbering(), own[0]);
  return {before, set.under(graph.next_numbering(), own[1]), view.hole};
}

/// Whether ids match: those of a set of which none has died since it was made.
template <class Bits>
class MatchingIds {
 public:
  explicit MatchingIds(const Bits& bits) noexcept : bits_(bits) {}
  [[nodiscard]] std::uint32_t operator()(core::NodeId id) const noexcept { return bits_[id]; }

 private:
  Bits bits_;
};

/// Those of a set of which some have died, for a view.
template <class View, class Set>
class LivingMatches {
 public:
  LivingMatches(const core::Graph& graph, const View& live, const Set& set) noexcept
      : bits_(set.bits()), graph_(&graph), live_(&live), set_(&set) {}
  [[nodiscard]] std::uint32_t operator()(core::NodeId id) const noexcept {
    return bits_[id] != 0 && core::stands_for_match(*graph_, *live_, *set_, id) ? 1 : 0;
  }

 private:
  decltype(std::declval<Set>().bits()) bits_;
  const core::Graph* graph_;
  const View* live_;
  const Set* set_;
};

/// What a walk reads.
template <class View>
struct WalkedGraph {
  const core::Graph& graph;
  View live;
  const Scorer& scorer;
  const Query& query;
};

inline FilterScratch& filter_scratch(Scratch& scratch) {
  if (!scratch.filtered) scratch.filtered = std::make_unique<FilterScratch>();
  return *scratch.filtered;
}

/// The lists of the derived graph: which matches are the neighbors of a node.
template <class View, class Matches>
class DerivedLists {
 public:
  /// Borrows all that its arguments name.
  DerivedLists(const WalkedGraph<View>& over, const core::FilterRule& rule, const Matches& matches,
               FilterScratch& own, SearchCounts& counts) noexcept
      : over_(over), rule_(rule), matches_(matches), own_(own), counts_(counts) {}

  /// Calls meet(found) with the number of matches in own.matches, for each list that the expansion
  /// of a node reads. Returns the work, as FilterRule::gives_up counts it.
  template <class Meet>
  std::uint64_t expand(core::NodeId node, const Meet& meet) {
    others_ = 0;
    const ListCounts of_node = read(node);
    meet(of_node.found);
    const std::uint32_t bridges = rule_.bridges(of_node.found, of_node.degree);
    // A few ahead: more requests than the processor can keep under way would be waited for.
    for (std::uint32_t j = 0; j < std::min({others_, bridges, kAhead}); ++j) fetch(j);
    for (std::uint32_t j = 0; j < others_ && j < bridges; ++j) {
      if (j + kAhead < std::min(others_, bridges)) fetch(j + kAhead);
      cross(own_.bridges[j], bridges, meet);
    }
    return 1 + bridges;
  }

 private:
  static constexpr std::uint32_t kAhead = 6;  // lists that are fetched while one is read

  /// Meets the matches in the list of a node that does not match, and queues its other ids where
  /// fewer than `bridges` are queued.
  template <class Meet>
  void cross(core::NodeId node, std::uint32_t bridges, const Meet& meet) {
    const bool is_new = own_.passed.marker().mark(node) != 0;
    const std::uint32_t queued = others_;
    if (!is_new && queued >= bridges) return;
    const std::uint32_t found = read(node).found;
    others_ = queued < bridges ? std::min(others_, bridges) : queued;
    if (is_new) meet(found);
  }

  struct ListCounts {
    std::uint32_t found;   ///< ids that match
    std::uint32_t degree;  ///< ids
  };
  /// Copies the matches of a list to own_.matches, and queues its other ids in own_.bridges.
  ListCounts read(core::NodeId node) {
    ++counts_.hops;
    const Matches matches = matches_;  // copies, which no store through a pointer can change
    core::NodeId* const to_matches = own_.matches.data();
    core::NodeId* const to_others = own_.bridges.data();
    std::uint32_t found = 0;
    std::uint32_t others = others_;
    over_.graph.visit_live(over_.live, node, 0, [&](core::NodeId id, bool shown) {
      const std::uint32_t counts = shown ? 1 : 0;
      const std::uint32_t match = matches(id) & counts;
      to_matches[found] = id;
      to_others[others] = id;
      found += match;
      others += counts - match;
    });
    const std::uint32_t degree = found + others - others_;
    others_ = others;
    return {found, degree};
  }
  void fetch(std::uint32_t j) const noexcept { over_.graph.base().prefetch(own_.bridges[j]); }

  const WalkedGraph<View>& over_;
  const core::FilterRule& rule_;
  const Matches& matches_;
  FilterScratch& own_;
  SearchCounts& counts_;
  std::uint32_t others_ = 0;  ///< ids in own_.bridges
};

/// A List is a CandidateList, or ReachedNodes for a closure.
template <class View, class Matches, class Reach, class List>
class FilteredWalk {
 public:
  /// Borrows all that its arguments name. Throws std::bad_alloc.
  FilteredWalk(const WalkedGraph<View>& over, const core::FilterRule& rule, const Matches& matches,
               const Reach& reach, List& list, Scratch& scratch)
      : over_(over),
        lists_(over.graph.base()),
        rule_(rule),
        matches_(matches),
        reach_(reach),
        scratch_(scratch),
        own_(filter_scratch(scratch)),
        derived_(over, rule, matches, own_, scratch.counts),
        list_(list) {}

  /// Fills the list with matches. seed(i) is seed number i, or kNoNode. False if the walk was
  /// given up; the list is then of no use.
  template <class Seed>
  [[nodiscard]] bool run(const Seed& seed, std::size_t ef) {
    list_.reset(ef);
    forget(reach_.hops(ef));
    begin(descend(over_.graph, over_.live, over_.scorer, over_.query, scratch_), seed);
    for (std::uint64_t hops = 1; !list_.is_done(); ++hops) {
      if (reach_.ends(list_, list_.closest())) break;
      scratch_.visited.make_room(hops);
      expand(list_.expand_closest());
      if (rule_.gives_up(work_, hops)) return false;
    }
    return true;
  }
  /// Expands the matches of the list, and all that enter it, in any order. False if that costs as
  /// much as a scan.
  [[nodiscard]] bool close() {
    forget(list_.size());
    for (std::uint64_t hops = 1; !list_.is_done(); ++hops) {
      scratch_.visited.make_room(hops);
      expand(list_.expand_closest());
      if (rule_.costs_a_scan(work_)) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kSoon = 4;  // as in beam_search()

  void forget(std::size_t hops) {
    scratch_.visited.reset(hops);
    own_.passed.reset(hops);
  }

  template <class Seed>
  void begin(core::Key nearest, const Seed& seed_of) {
    const core::NodeId node = core::key_id(nearest);
    if (matches_(node) != 0) {
      scratch_.visited.marker().mark(node);
      list_.insert(nearest);
    } else {
      own_.passed.marker().mark(node);
      expand(node);
    }
    for (std::uint32_t i = 0; i < core::FilterRule::kSeeds; ++i) {
      const core::NodeId seed = seed_of(i);
      if (seed == core::kNoNode) continue;
      scratch_.ids[met_] = seed;
      over_.scorer.prefetch(seed);
      met_ += matches_(seed) & scratch_.visited.marker().mark(seed);
    }
    score_met();
  }

  /// Brings the neighbors that a match has in the derived graph into the list.
  void expand(core::NodeId node) {
    work_ += derived_.expand(node, [&](std::uint32_t found) { meet(found); });
    score_met();
  }

  /// Those of the first `found` of own_.matches that were not met before will be scored.
  void meet(std::uint32_t found) {
    if (met_ + found > scratch_.ids.size()) score_met();
    const VisitedTable::Marker marker = scratch_.visited.marker();
    std::uint32_t met = met_;
    for (std::uint32_t j = 0; j < found; ++j) {
      scratch_.ids[met] = own_.matches[j];
      met += marker.mark(own_.matches[j]);
    }
    for (; met_ < met; ++met_) over_.scorer.prefetch(scratch_.ids[met_]);
  }

  void score_met() {
    over_.scorer.score(over_.query, scratch_.ids.data(), met_, scratch_.distances.data());
    scratch_.counts.distances += met_;
    const float worst = reach_.narrow(list_, list_.worst_distance());
    const std::uint32_t near = keep_near(worst, met_, scratch_);
    for (std::uint32_t j = 0; j < near; ++j) {
      const core::NodeId id = scratch_.ids[j];
      if (list_.insert(core::make_key(scratch_.distances[j], id)) < kSoon) lists_.prefetch(id);
    }
    met_ = 0;
  }

  const WalkedGraph<View>& over_;
  const core::LinkTable& lists_;
  const core::FilterRule& rule_;
  const Matches& matches_;
  const Reach& reach_;
  Scratch& scratch_;
  FilterScratch& own_;
  DerivedLists<View, Matches> derived_;
  List& list_;
  std::uint32_t met_ = 0;  ///< ids in scratch.ids that are not scored yet
  std::uint64_t work_ = 0;
};

}  // namespace concord::cpu
