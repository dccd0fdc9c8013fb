// A filtered search of the mirror for one query, by a team: a walk in the derived graph of
// common/search/filter_rule.hpp, or a scan of the matches.
//
// The walk is the one of cpu/filtered_search.hpp, so its result is, to the bit: its list is that of
// a beam search, and giving up depends on counts of lists alone. A match and a node that is crossed
// are never the same node, so one visited table remembers both.
//
// Each warp reads a list of its own. While nodes to be crossed are still wanted, the warps first
// count what their lists have, so that each knows the places of its own behind those of the others:
// the order is breadth first, as if one warp read all. Matches are collected, in any order, and
// scored together, because a list has few of them. The same match may come from two lists at once,
// and the table may have forgotten it, so a batch drops copies before it scores.
#pragma once

#include "common/search/filter_rule.hpp"
#include "common/search/results.hpp"
#include "cuda/beam_search.hpp"
#include "cuda/living_ids.hpp"

namespace concord::cuda {

/// The list of a node in layer 0, gone through by a warp: a place for each lane at a time.
template <class Team>
class ListReader {
 public:
  /// kNoNode has no list.
  CONCORD_TEAM_INLINE ListReader(const MirrorView& view, NodeId node)
      : links_(node == kNoNode ? nullptr : view.links_of(node, 0)) {}

  [[nodiscard]] CONCORD_TEAM_INLINE bool is_done() const { return links_ == nullptr; }
  /// The id in the lane's next place, or kNoNode.
  CONCORD_TEAM_INLINE NodeId next(Team& team, const MirrorView& view) {
    if (links_ == nullptr) return kNoNode;
    const std::uint32_t width = view.list_width(0);
    const std::uint32_t place = first_ + team.lane();
    const NodeId id = place < width ? links_[place] : kNoNode;
    first_ += Team::kWarpSize;
    if (first_ >= width) {
      links_ = view.continuation(links_, 0);
      first_ = 0;
    }
    return id < kContinued ? id : kNoNode;
  }

 private:
  const NodeId* links_;
  std::uint32_t first_ = 0;
};

/// Ids of lists: those that match, and the others.
struct ListCounts {
  std::uint32_t matches = 0;
  std::uint32_t others = 0;
};

/// Shared memory of one walk, cut up as the launch policy says.
struct WalkStorage : BeamStorage {
  NodeId* bridges;     ///< nodes to be crossed, breadth first
  NodeId* met;         ///< matches to be scored
  ListCounts* counts;  ///< of each warp's list
  std::uint32_t* met_count;

  CONCORD_TEAM_INLINE WalkStorage(unsigned char* shared, const WalkLayout& layout)
      : BeamStorage(shared, layout),
        bridges(reinterpret_cast<NodeId*>(shared + layout.bridges)),
        met(reinterpret_cast<NodeId*>(shared + layout.met)),
        counts(reinterpret_cast<ListCounts*>(shared + layout.counts)),
        met_count(reinterpret_cast<std::uint32_t*>(counts + kWarpsPerSearchBlock)) {}
};

/// The ids that match: those of a filter that live.
template <bool kSomeDied>
class Matches {
 public:
  CONCORD_TEAM_INLINE Matches(const MirrorView& view, const FilterView& filter)
      : filter_(filter), living_(living_ids<kSomeDied>(view, view.n, 0)) {}

  CONCORD_TEAM_INLINE bool operator()(NodeId id) const { return filter_(id) && living_(id); }
  /// Whether an id of the filter matches.
  [[nodiscard]] CONCORD_TEAM_INLINE bool lives(NodeId id) const { return living_(id); }
  /// Seed number i of a walk, or kNoNode if it does not match. Where none died, no slide has left
  /// seeds of other ranks.
  [[nodiscard]] CONCORD_TEAM_INLINE NodeId seed(std::uint32_t i) const {
    const bool by_rank = !kSomeDied || filter_.seeds == nullptr;
    const NodeId id =
        by_rank ? filter_.ids[core::FilterRule::seed_rank(i, filter_.count)] : filter_.seeds[i];
    return !kSomeDied || (id != kNoNode && living_(id)) ? id : kNoNode;
  }

 private:
  const FilterView& filter_;
  std::conditional_t<kSomeDied, LivingIds, core::AllIds> living_;
};

template <bool kL2, class Team, class Matches>
class FilteredWalk {
 public:
  /// Borrows all that its arguments name.
  CONCORD_TEAM_INLINE FilteredWalk(Team& team, const MirrorView& view, const Matches& matches,
                                   const core::FilterRule& rule, WalkStorage& storage, Tally& tally)
      : team_(team),
        view_(view),
        matches_(matches),
        rule_(rule),
        storage_(storage),
        tally_(tally),
        candidates_(storage) {}

  /// Fills the list with matches, from the end of the descent on. False if the walk was given up;
  /// the list is then of no use. REQUIRES an empty list and a cleared batch.
  template <class Reach>
  CONCORD_TEAM_INLINE bool run(Key nearest, const Reach& reach) {
    const bool is_match = matches_(core::key_id(nearest));
    begin(is_match ? nearest : kWorstKey);
    NodeId node = is_match ? kNoNode : core::key_id(nearest);
    for (std::uint32_t hops = 0;; ++hops) {
      expand(node);
      if (hops > 0 && rule_.gives_up(work_, hops)) return false;
      candidates_.look(team_);
      if (candidates_.is_done() || reach.ends(storage_.list, candidates_.closest())) return true;
      node = core::key_id(candidates_.closest());
      candidates_.expand();
    }
  }
  /// Lists that the warp has read.
  [[nodiscard]] CONCORD_TEAM_INLINE std::uint32_t lists_read() const { return lists_read_; }

 private:
  static_assert(Team::kWarps <= kWarpsPerSearchBlock && Team::kThreads <= kBatchCapacity);
  static constexpr std::uint32_t kBridges = core::FilterRule::kMostBridges;

  /// `start` enters the list unless it is kWorstKey; the seeds are met.
  CONCORD_TEAM_INLINE void begin(Key start) {
    if (start != kWorstKey) candidates_.assign(team_, start);
    storage_.visited.clear(team_);
    if (team_.rank() == 0) *storage_.met_count = 0;
    team_.sync();
    for (std::uint32_t i = team_.rank(); i < core::FilterRule::kSeeds; i += Team::kThreads) {
      const NodeId seed = matches_.seed(i);
      if (seed != kNoNode) meet(seed);
    }
  }

  /// Brings all matches that were met into the list, and the neighbors that a node has in the
  /// derived graph; those of kNoNode are none.
  CONCORD_TEAM_INLINE void expand(NodeId node) {
    std::uint32_t queued = 0;   // nodes that do not match, breadth first
    std::uint32_t bridges = 0;  // how many of them are crossed
    std::uint32_t crossed = 0;
    NodeId mine = team_.warp() == 0 ? node : kNoNode;
    bool is_new = true;
    bool queues = true;
    for (bool is_own = true;; is_own = false) {
      std::uint32_t place = queued;
      if (queues) {
        const ListCounts found = count_lists(mine, place);
        queued += found.others;
        if (is_own && node != kNoNode) {
          bridges = rule_.bridges(found.matches, found.matches + found.others);
          work_ += 1 + bridges;
        }
      }
      const std::uint32_t end = queued < bridges ? queued : bridges;
      read(mine, is_new, queues, place, crossed >= end);
      if (crossed >= end) return;
      mine = crossed + team_.warp() < end ? storage_.bridges[crossed + team_.warp()] : kNoNode;
      crossed = end - crossed < Team::kWarps ? end : crossed + Team::kWarps;
      queues = queued < bridges;
      is_new = team_.ballot(team_.lane() == 0 && mine != kNoNode &&
                            !storage_.visited.seen(team_, mine)) != 0;
      if (!is_new && !queues) mine = kNoNode;
    }
  }

  /// What the lists of all warps have. `place` moves on by what those of the warps before have.
  CONCORD_TEAM_INLINE ListCounts count_lists(NodeId mine, std::uint32_t& place) {
    ListCounts count;
    for (ListReader<Team> list(view_, mine); !list.is_done();) {
      const NodeId id = list.next(team_, view_);
      const bool is_match = id != kNoNode && matches_(id);
      count.matches += bit_count(team_.ballot(is_match));
      count.others += bit_count(team_.ballot(id != kNoNode && !is_match));
    }
    if (team_.lane() == 0) storage_.counts[team_.warp()] = count;
    team_.sync();
    ListCounts all;
    for (std::uint32_t warp = 0; warp < Team::kWarps; ++warp) {
      const ListCounts& of_warp = storage_.counts[warp];
      if (warp < team_.warp()) place += of_warp.others;
      all.matches += of_warp.matches;
      all.others += of_warp.others;
    }
    return all;
  }

  /// Meets the matches of the warp's list if `is_new`, and queues its other ids from `place` on if
  /// `queues`. What was met is scored where there is no room for more, and at the `last` list.
  CONCORD_TEAM_INLINE void read(NodeId mine, bool is_new, bool queues, std::uint32_t place,
                                bool last) {
    lists_read_ += mine == kNoNode ? 0 : 1;
    ListReader<Team> list(view_, mine);
    for (bool more = true; more;) {
      const NodeId id = list.next(team_, view_);
      const bool is_match = id != kNoNode && matches_(id);
      if (queues) {
        const bool is_other = id != kNoNode && !is_match;
        const std::uint32_t others = team_.ballot(is_other);
        const std::uint32_t to = place + bit_count(others & ((1u << team_.lane()) - 1));
        if (is_other && to < kBridges) storage_.bridges[to] = id;
        place += bit_count(others);
      }
      if (is_match && is_new) meet(id);
      more = team_.any(!list.is_done());
      const std::uint32_t met = *storage_.met_count;
      team_.sync();  // all have read the count
      if (met > kMostMet - Team::kThreads || (last && !more)) score_met(met);
    }
  }

  CONCORD_TEAM_INLINE void meet(NodeId match) {
    if (storage_.visited.seen(team_, match)) return;
    storage_.met[team_.atomic_add(storage_.met_count, 1)] = match;
  }

  /// Scores the first `met` matches that were met, a batch of keys at a time. At least one batch is
  /// merged, so that the entry that is expanded is marked.
  CONCORD_TEAM_INLINE void score_met(std::uint32_t met) {
    for (std::uint32_t first = 0, end = 0; first == 0 || first < met; first = end) {
      end = met - first < kBatchCapacity ? met : first + kBatchCapacity;
      for (std::uint32_t base = first; base < end; base += Team::kThreads) {
        const std::uint32_t place = base + team_.lane() * Team::kWarps + team_.warp();
        const NodeId id = place < end && !is_copy(first, place) ? storage_.met[place] : kNoNode;
        const std::uint32_t mask = team_.ballot(id != kNoNode);
        tally_.distances += bit_count(mask);
        score_ids<kL2>(team_, view_, storage_.query, mask, id, [&](float distance, NodeId match) {
          const Key key = core::make_key(distance, match);
          if (!candidates_.admits(key)) return;
          if (candidates_.offer(team_, key)) team_.prefetch(view_.links_of(match, 0));
        });
      }
      team_.sync();
      if (team_.rank() == 0) *storage_.met_count = 0;
      candidates_.merge(team_);
      team_.sync();
      if (met == 0) return;
    }
  }
  /// Whether the match at a place is at an earlier one, from `first` on, as well.
  [[nodiscard]] CONCORD_TEAM_INLINE bool is_copy(std::uint32_t first, std::uint32_t place) const {
    const NodeId id = storage_.met[place];
    while (first < place && storage_.met[first] != id) ++first;
    return first < place;
  }

  Team& team_;
  const MirrorView& view_;
  const Matches& matches_;
  const core::FilterRule& rule_;
  WalkStorage& storage_;
  Tally& tally_;
  Candidates candidates_;
  std::uint64_t work_ = 0;
  std::uint32_t lists_read_ = 0;
};

/// Walks for query `index`. Leaves its count as it is if the matches must be scanned. `shared` has
/// walk_layout(ef, …).bytes. REQUIRES a filter with bits and a rule that walks.
template <bool kL2, bool kSomeDied, class Team>
CONCORD_HD void walk_query(Team& team, const MirrorView& view, const FilteredTask& task,
                           std::uint32_t index, unsigned char* shared, const WalkLayout& layout) {
  const SearchTask& search = task.search;
  const FilterView filter = task.filter(index);
  const Matches<kSomeDied> matches(view, filter);
  const core::FilterRule rule(task.living, filter.living, view.M, view.stride, task.width);
  WalkStorage storage(shared, layout);
  Tally tally;
  storage.load_query(team, search.queries + static_cast<std::size_t>(index) * search.query_stride,
                     view.quads());
  storage.batch.clear(team);
  team.sync();
  const Key nearest = descend<kL2>(team, view, search.entry, storage, tally);
  FilteredWalk<kL2, Team, Matches<kSomeDied>> walk(team, view, matches, rule, storage, tally);
  const bool ended = walk.run(nearest, core::AdaptiveReach{search.k, search.reach_factor});
  const std::uint32_t wanted = search.k < filter.living ? search.k : filter.living;
  if (ended && storage.list.size() >= wanted) {
    const core::KNearest results{search.k, search.out, search.counts};
    results.collect(index, storage.list, team.rank(), Team::kThreads);
  }
  tally.report(team, search.counters);
  if (search.counters != nullptr && team.lane() == 0) {
    team.add_counter(&search.counters->hops, walk.lists_read());
  }
}

/// Shared memory of one scan.
struct ScanStorage : ListStorage {
  float* query;

  CONCORD_TEAM_INLINE ScanStorage(unsigned char* shared, const BeamLayout& layout)
      : ListStorage(shared, layout), query(reinterpret_cast<float*>(shared + layout.query)) {}
};

/// Scans the matches for query `index`, unless a walk has answered it. `shared` has
/// scan_layout(k, …).bytes.
template <bool kL2, bool kSomeDied, class Team>
CONCORD_HD void scan_query(Team& team, const MirrorView& view, const FilteredTask& task,
                           std::uint32_t index, unsigned char* shared, const BeamLayout& layout) {
  static_assert(Team::kThreads <= kBatchCapacity);
  const SearchTask& search = task.search;
  if (search.counts[index] != kUnanswered) return;
  const FilterView filter = task.filter(index);
  const Matches<kSomeDied> matches(view, filter);
  ScanStorage storage(shared, layout);
  Tally tally;
  Candidates nearest(storage);
  load_query(team, storage.query,
             search.queries + static_cast<std::size_t>(index) * search.query_stride, view.quads());
  nearest.clear(team);
  team.sync();
  for (std::uint32_t first = 0; first < filter.count; first += kBatchCapacity) {
    const std::uint32_t left = filter.count - first;
    const std::uint32_t ids = left < kBatchCapacity ? left : kBatchCapacity;
    score_neighbors<kL2>(
        team, view, storage.query, filter.ids + first, ids,
        load_slot(team, filter.ids + first, ids), tally,
        [&](NodeId id) { return matches.lives(id); },
        [&](float distance, NodeId id) {
          const Key key = core::make_key(distance, id);
          if (nearest.admits(key)) nearest.offer(team, key);
        });
    team.sync();
    nearest.merge(team);
    team.sync();
  }
  tally.hops = 0;  // no list of the graph was read
  const core::KNearest results{search.k, search.out, search.counts};
  results.collect(index, storage.list, team.rank(), Team::kThreads);
  tally.report(team, search.counters);
}

}  // namespace concord::cuda
