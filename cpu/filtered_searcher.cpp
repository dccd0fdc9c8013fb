// The Searcher's searches with filters, ranges and groups: queries in blocks of one filter each, of
// which a thread walks for those that the rule lets walk, and scans the matches for the others
// together.
// Thread-safety: as cpu/searcher.hpp.

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include "common/search/results.hpp"
#include "cpu/filtered_search.hpp"
#include "cpu/grouped_search.hpp"
#include "cpu/query_block.hpp"
#include "cpu/range_search.hpp"
#include "cpu/scratch_lease.hpp"
#include "cpu/search.hpp"
#include "cpu/searcher.hpp"

namespace concord::cpu {

using core::Key;
using core::MatchSet;
using core::NodeId;

namespace {

/// Queries that are answered together, by their numbers.
struct Block {
  const MatchSet* set;  ///< null: without a filter
  std::span<const std::size_t> numbers;
};

// The numbers of the queries, those of one filter side by side and in order.
std::vector<std::size_t> by_filter(std::size_t queries, const QueryFilters& filters) {
  std::vector<std::size_t> numbers(queries);
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  std::stable_sort(numbers.begin(), numbers.end(), [&](std::size_t a, std::size_t b) {
    return std::less<>()(filters[a], filters[b]);
  });
  return numbers;
}

// Blocks of at most QueryBlock::kMost, and small enough that all threads have one.
std::vector<Block> blocks_of(std::span<const std::size_t> numbers, const QueryFilters& filters,
                             unsigned threads) {
  std::vector<Block> blocks;
  for (std::size_t first = 0, end = 0; first < numbers.size(); first = end) {
    const MatchSet* const set = filters[numbers[first]];
    while (end < numbers.size() && filters[numbers[end]] == set) ++end;
    const std::size_t most =
        std::clamp<std::size_t>((end - first + threads - 1) / threads, 1, QueryBlock::kMost);
    for (std::size_t at = first; at < end; at += most) {
      blocks.push_back({set, numbers.subspan(at, std::min(most, end - at))});
    }
  }
  return blocks;
}

}  // namespace

/// The search of one block, with what all its queries share.
class Searcher::FilteredBlock {
 public:
  FilteredBlock(const Searcher& searcher, const SearchParams& params, const MatchSet& set,
                std::size_t queries)
      : searcher_(searcher),
        params_(params),
        set_(set),
        queries_(searcher.vectors_, queries),
        lists_(queries) {}

  [[nodiscard]] float* vector(std::size_t i) noexcept { return queries_.vector(i); }

  /// Calls found(i, list) for each query.
  template <class Found>
  void answer(bool is_exact, Scratch& scratch, const Found& found) {
    in_view([&](const auto& within) {
      const auto has_enough = [&](const auto&...) { return fill_entries(within, scratch); };
      for (std::size_t i = 0; i < queries_.size(); ++i) {
        if (is_exact || !walk(within, i, scratch, has_enough)) {
          waiting_.push_back(i);
        } else if (has_copies_) {
          found(i, core::KeyList(scratch.entries));
        } else {
          found(i, scratch.list);
        }
      }
      for (const std::size_t i : waiting_) lists_[i].reset(std::max<std::size_t>(1, wanted()));
      scan(within, scratch, [&](std::size_t i, std::uint32_t n) { insert(i, n, scratch); });
      for (const std::size_t i : waiting_) {
        if (has_copies_) {
          all_stand_ &= expand(within, lists_[i], params_.k, scratch.tie, scratch.entries);
          found(i, core::KeyList(scratch.entries));
        } else {
          found(i, lists_[i]);
        }
      }
    });
  }

  /// Brings the hits of each query into `hits`. REQUIRES that k and ef are the rule's width.
  void answer_range(const core::RangeRule& rule, std::span<core::RangeHits> hits,
                    Scratch& scratch) {
    in_view([&](const auto& within) {
      for (std::size_t i = 0; i < queries_.size(); ++i) {
        hits[i].clear();
        const auto collect = [&](const auto&... walked) {
          return collect_hits(within, rule, hits[i], i, scratch, walked...);
        };
        if (!walk(within, i, scratch, collect)) waiting_.push_back(i);
      }
      scan(within, scratch, [&](std::size_t i, std::uint32_t n) {
        for (std::uint32_t j = 0; j < n; ++j) {
          hits[i].add(core::make_key(scratch.distances[j], scratch.ids[j]));
        }
      });
      for (core::RangeHits& of_query : hits) {
        if (!has_copies_) break;
        of_query.expand([&](std::span<const Key> nodes, std::size_t most, std::vector<Key>& out) {
          expand(within, core::KeyList(nodes), most, scratch.tie, out);
        });
      }
    });
  }

  /// Picks the hits of each query.
  void answer_groups(const core::GroupSet& groups, bool is_exact,
                     std::span<core::GroupPicker> pickers, Scratch& scratch) {
    const SearchParams asked = params_;
    in_view([&](const auto& within) {
      const auto has_enough = [&](const auto&...) { return fill_entries(within, scratch); };
      const auto results = [&](NodeId node, const auto& take) {
        core::for_each_result(
            searcher_.graph_, within.live, node,
            [&](NodeId id) { return !has_copies_ || within.set.contains(id); }, take);
      };
      const core::PlacedGroups placed = groups_in(searcher_.graph_, within.live, groups);
      for (std::size_t i = 0; i < queries_.size(); ++i) {
        const auto search = [&](std::uint32_t ef) -> std::optional<bool> {
          params_ = {.k = ef, .ef = ef, .use_codes = false};
          pickers[i].begin(placed);
          if (!walk(within, i, scratch, has_enough)) return std::nullopt;
          return pickers[i].pick(scratch.list, ef / 2, results);
        };
        const auto matches = [&] { return living_; };
        pickers[i].begin(placed);
        if (is_exact || !pick_groups(asked, search, matches)) {
          pickers[i].begin(placed);
          waiting_.push_back(i);
        }
      }
      params_ = asked;
      scan(within, scratch, [&](std::size_t i, std::uint32_t n) {
        for (std::uint32_t j = 0; j < n; ++j) {
          const Key node = core::make_key(scratch.distances[j], scratch.ids[j]);
          results(core::key_id(node), [&](NodeId rank, NodeId id) {
            pickers[i].add({core::make_key(core::key_distance(node), rank), id});
            return true;
          });
        }
      });
      for (const std::size_t i : waiting_) pickers[i].finish();
    });
  }

 private:
  /// A view, and the set with the ids that it has there.
  template <class View, class Set>
  struct Within {
    View live;
    Set set;
    const Scorer& scorer;
  };

  /// Calls search(within), again where a seal came between, or where all that a node of a scan
  /// stands for was removed after it was found.
  template <class Search>
  void in_view(const Search& search) {
    search_beside_removals(searcher_.graph_, [&] {
      all_stand_ = true;
      in_one_view(search);
      return all_stand_;
    });
  }
  template <class Search>
  void in_one_view(const Search& search) {
    fill_beside_seals(searcher_.graph_, [&](auto live) {
      const Scorer scorer(searcher_.vectors_, searcher_.kernels_);  // after the view
      queries_.prepare(scorer);
      OwnPlaces own;
      const auto set = matches_in(searcher_.graph_, live, set_, own);
      living_ = set.living(live.size - live.living, [&](NodeId node) {
        return !core::stands_for_match(searcher_.graph_, live, set, node);
      });
      has_copies_ = searcher_.graph_.copies().any();
      waiting_.clear();
      search(Within<decltype(live), decltype(set)>{live, set, scorer});
      return true;
    });
  }

  [[nodiscard]] std::size_t wanted() const noexcept { return std::min(params_.k, living_); }

  /// Writes the first `most` results of a list of nodes. False if a node stands for none.
  template <class Within, class List>
  bool expand(const Within& within, const List& list, std::size_t most, core::Tie& tie,
              std::vector<Key>& out) const {
    return core::expand(
        searcher_.graph_, within.live, list, most,
        [&](NodeId id) { return within.set.contains(id); }, tie, out);
  }
  /// Whether scratch.list has as many matches as are wanted. Where there are copies, what they
  /// stand for is in scratch.entries then.
  template <class Within>
  [[nodiscard]] bool fill_entries(const Within& within, Scratch& scratch) const {
    if (scratch.list.size() < wanted()) return false;
    return !has_copies_ || expand(within, scratch.list, params_.k, scratch.tie, scratch.entries);
  }

  /// Collects the hits of a query whose list was found in the graph. False beside a seal.
  template <class View, class Set>
  bool collect_hits(const Within<View, Set>& within, const core::RangeRule& rule,
                    core::RangeHits& hits, std::size_t i, Scratch& scratch) const {
    if (!fill_entries(within, scratch)) return false;
    return collect_range_in_graph(searcher_.graph_, within.live, within.scorer, queries_[i], rule,
                                  hits, scratch);
  }
  /// Of a query whose list was found in the derived graph.
  template <class View, class Set, class IsMatch>
  bool collect_hits(const Within<View, Set>& within, const core::RangeRule& rule,
                    core::RangeHits& hits, std::size_t /*i*/, Scratch& scratch,
                    const WalkedGraph<View>& over, const core::FilterRule& walked,
                    const IsMatch& is_match) const {
    if (!fill_entries(within, scratch)) return false;
    const core::UnlimitedReach reach;
    const auto close = [&] {
      return FilteredWalk(over, walked, is_match, reach, scratch.reached, scratch).close();
    };
    const auto is_hit = [](NodeId /*id*/) { return true; };  // only matches are walked
    return collect_range(rule, living_, is_hit, close, hits, scratch);
  }

  /// Fills scratch.list by a search that is not a scan, and returns what then() tells: after a walk
  /// then(over, rule, is_match). False if the matches must be scanned.
  template <class View, class Set, class Then>
  bool walk(const Within<View, Set>& within, std::size_t i, Scratch& scratch, const Then& then) {
    scratch.list.reset(1);
    scratch.entries.clear();
    if (wanted() == 0) return true;
    const core::AdaptiveReach reach{params_.k, core::reach_factor(params_.slack)};
    if (reach.factor == core::kUnlimitedReach) {
      return walk(within, i, core::UnlimitedReach{}, scratch, then);
    }
    return walk(within, i, reach, scratch, then);
  }

  template <class View, class Set, class Reach, class Then>
  bool walk(const Within<View, Set>& within, std::size_t i, const Reach& reach, Scratch& scratch,
            const Then& then) {
    const View& live = within.live;
    const Set& set = within.set;
    const core::Graph& graph = searcher_.graph_;
    const std::uint32_t ef = std::max(params_.ef, params_.k);
    const core::FilterRule rule(graph.nodes_of(live.living), living_, graph.params().M,
                                searcher_.vectors_.stride(), reach.hops(ef));
    if (rule.takes_all()) {
      fill_with_living(graph, live, searcher_.vectors_, searcher_.kernels_, queries_.vector(i),
                       params_, scratch);
      return then();
    }
    if (rule.scans()) return false;
    const bool by_codes = walks_by_codes(searcher_.vectors_, params_);
    const Scorer walked_by =
        by_codes ? Scorer::of_codes(searcher_.vectors_, searcher_.kernels_) : within.scorer;
    const Query query = by_codes ? walk_query(walked_by, queries_.vector(i), scratch) : queries_[i];
    const WalkedGraph<View> over{graph, live, walked_by, query};
    const auto seed = [&within](std::uint32_t number) { return within.set.seed(number); };
    const auto run = [&](const auto& is_match) {
      if (!FilteredWalk(over, rule, is_match, reach, scratch.list, scratch).run(seed, ef)) {
        return false;
      }
      if (by_codes) {
        rescore(searcher_.vectors_, searcher_.kernels_, queries_.vector(i), params_, scratch);
      }
      return then(over, rule, is_match);
    };
    return all_live(set) ? run(MatchingIds(set.bits())) : run(LivingMatches(graph, live, set));
  }

  /// Whether none of the nodes of the set needs to be asked about.
  template <class Set>
  [[nodiscard]] bool all_live(const Set& set) const noexcept {
    const auto [first, second] = set.nodes();
    return living_ == first.size() + second.size();
  }

  /// Scans the matches for all that wait, a block of vectors at a time: calls take(i, n) when the
  /// first n of scratch.ids and scratch.distances are of query i.
  template <class View, class Set, class Take>
  void scan(const Within<View, Set>& within, Scratch& scratch, const Take& take) {
    if (waiting_.empty() || wanted() == 0) return;
    const auto& [live, set, scorer] = within;
    const bool some_died = !all_live(set);
    constexpr std::size_t kRows = 16;  // fetched while as many are scored
    for (std::span<const NodeId> left : set.nodes()) {
      while (!left.empty()) {
        const std::span<const NodeId> ids = left.first(std::min(kRows, left.size()));
        left = left.subspan(ids.size());
        std::uint32_t n = 0;
        for (const NodeId id : ids) {
          scratch.ids[n] = id;
          n += some_died && !core::stands_for_match(searcher_.graph_, live, set, id) ? 0 : 1;
        }
        for (const NodeId id : left.first(std::min(kRows, left.size()))) scorer.prefetch(id);
        for (const std::size_t i : waiting_) {
          scorer.score(queries_[i], scratch.ids.data(), n, scratch.distances.data());
          take(i, n);
        }
        scratch.counts.distances += n * waiting_.size();
      }
    }
  }

  /// Keeps the nearest of the first `n` of scratch.ids for a query.
  void insert(std::size_t i, std::uint32_t n, const Scratch& scratch) {
    CandidateList& list = lists_[i];
    float worst = list.worst_distance();
    for (std::uint32_t j = 0; j < n; ++j) {
      if (scratch.distances[j] > worst) continue;
      list.insert(core::make_key(scratch.distances[j], scratch.ids[j]));
      worst = list.worst_distance();
    }
  }

  const Searcher& searcher_;
  SearchParams params_;
  const MatchSet& set_;
  QueryBlock queries_;
  std::vector<CandidateList> lists_;
  std::vector<std::size_t> waiting_;  ///< for the scan
  NodeId living_ = 0;                 ///< nodes of the view that stand for a living match
  bool has_copies_ = false;           ///< the graph, so that nodes stand for several vectors
  bool all_stand_ = true;             ///< nodes that were scanned, for a match
};

// So that of several bad queries the first is named, whatever filters they have.
void Searcher::expect_valid(MatrixView<const float> queries, core::ThreadPool& pool) const {
  for_each_query<Lease>(*this, queries.rows, 64, pool,
                        [&](std::size_t first, std::size_t last, Scratch& scratch) {
                          for (std::size_t q = first; q < last; ++q) {
                            vectors_.prepare(queries.row(q), scratch.query.data(), "query", q);
                          }
                        });
}

// Calls without(numbers, scratch) for queries without a filter, and with(together, numbers,
// scratch) for those of one filter.
template <class Without, class With>
SearchCounts Searcher::in_blocks(MatrixView<const float> queries, const SearchParams& params,
                                 const QueryFilters& filters, core::ThreadPool& pool,
                                 const Without& without, const With& with) const {
  const std::vector<std::size_t> numbers = by_filter(queries.rows, filters);
  const std::vector<Block> blocks = blocks_of(numbers, filters, pool.size());
  if (filters.sets.size() > 1) expect_valid(queries, pool);
  const auto answer = [&](const Block& block, Scratch& scratch) {
    if (block.set == nullptr) return without(block.numbers, scratch);
    FilteredBlock together(*this, params, *block.set, block.numbers.size());
    for (std::size_t i = 0; i < block.numbers.size(); ++i) {
      const std::size_t q = block.numbers[i];
      vectors_.prepare(queries.row(q), together.vector(i), "query", q);
    }
    with(together, block.numbers, scratch);
  };
  return for_each_query<Lease>(*this, blocks.size(), 1, pool,
                               [&](std::size_t first, std::size_t last, Scratch& scratch) {
                                 for (std::size_t b = first; b < last; ++b)
                                   answer(blocks[b], scratch);
                               });
}

SearchCounts Searcher::filtered(MatrixView<const float> queries, const SearchParams& params,
                                const QueryFilters& filters, bool is_exact, Key* out,
                                std::uint32_t* counts, core::ThreadPool& pool) const {
  const core::KNearest results{params.k, out, counts};
  const auto without = [&](std::span<const std::size_t> numbers, Scratch& scratch) {
    if (is_exact) return exact_block(queries, numbers, results, Results::entries, scratch);
    for (const std::size_t q : numbers) {
      vectors_.prepare(queries.row(q), scratch.query.data(), "query", q);
      search_living(graph_, vectors_, kernels_, scratch.query.data(), params, results, q, scratch);
    }
  };
  const auto with = [&](FilteredBlock& together, std::span<const std::size_t> numbers,
                        Scratch& scratch) {
    together.answer(is_exact, scratch,
                    [&](std::size_t i, const auto& list) { results.collect(numbers[i], list); });
  };
  return in_blocks(queries, params, filters, pool, without, with);
}

SearchCounts Searcher::range(MatrixView<const float> queries, const core::RangeRule& rule,
                             const QueryFilters& filters, std::span<std::vector<Key>> found,
                             core::ThreadPool& pool) const {
  const auto without = [&](std::span<const std::size_t> numbers, Scratch& scratch) {
    range_block(queries, numbers, rule, found, scratch);
  };
  const auto with = [&](FilteredBlock& together, std::span<const std::size_t> numbers,
                        Scratch& scratch) {
    std::vector<core::RangeHits> hits(numbers.size(), core::RangeHits(rule));
    together.answer_range(rule, hits, scratch);
    for (std::size_t i = 0; i < hits.size(); ++i) found[numbers[i]] = hits[i].take();
  };
  return in_blocks(queries, {.k = rule.width(), .ef = rule.width(), .use_codes = false}, filters,
                   pool, without, with);
}

SearchCounts Searcher::grouped(MatrixView<const float> queries, const SearchParams& params,
                               const core::GroupRule& rule, const QueryFilters& filters,
                               bool is_exact, Key* out, std::uint32_t* counts,
                               core::ThreadPool& pool) const {
  const core::KNearest results{rule.k * rule.hits, out, counts};
  const auto without = [&](std::span<const std::size_t> numbers, Scratch& scratch) {
    group_block(queries, numbers, params, rule, is_exact, results, scratch);
  };
  const auto with = [&](FilteredBlock& together, std::span<const std::size_t> numbers,
                        Scratch& scratch) {
    std::vector<core::GroupPicker> pickers(numbers.size(), core::GroupPicker(rule));
    together.answer_groups(rule.set, is_exact, pickers, scratch);
    for (std::size_t i = 0; i < pickers.size(); ++i) results.collect(numbers[i], pickers[i]);
  };
  return in_blocks(queries, params, filters, pool, without, with);
}

}  // namespace concord::cpu
