// The Searcher's filtered searches: queries in blocks of one filter each, of which a thread walks
// for those that the rule lets walk, and scans the matches for the others together.
// Thread-safety: as cpu/searcher.hpp.

#include <algorithm>
#include <functional>
#include <numeric>
#include <span>
#include <vector>

#include "common/search/results.hpp"
#include "cpu/filtered_search.hpp"
#include "cpu/query_block.hpp"
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
    const core::Graph& graph = searcher_.graph_;
    fill_beside_seals(graph, [&](core::LiveView live) {
      const Scorer scorer(searcher_.vectors_, searcher_.kernels_);  // after the view
      queries_.prepare(scorer);
      matches_ = set_.living(live.size - live.living,
                             [&](NodeId id) { return graph.tombstones().is_dead(id, live.size); });
      waiting_.clear();
      for (std::size_t i = 0; i < queries_.size(); ++i) {
        if (!is_exact && walk(live, scorer, i, scratch)) {
          found(i, scratch.list);
        } else {
          waiting_.push_back(i);
        }
      }
      scan(live, scorer, scratch);
      for (const std::size_t i : waiting_) found(i, lists_[i]);
      return true;
    });
  }

 private:
  [[nodiscard]] std::size_t wanted() const noexcept { return std::min(params_.k, matches_); }

  /// Fills scratch.list by a search that is not a scan. False if the matches must be scanned.
  bool walk(core::LiveView live, const Scorer& scorer, std::size_t i, Scratch& scratch) {
    scratch.list.reset(1);
    if (wanted() == 0) return true;
    const core::AdaptiveReach reach{params_.k, core::reach_factor(params_.slack)};
    if (reach.factor == core::kUnlimitedReach) {
      return walk(live, scorer, i, core::UnlimitedReach{}, scratch);
    }
    return walk(live, scorer, i, reach, scratch);
  }

  template <class Reach>
  bool walk(core::LiveView live, const Scorer& scorer, std::size_t i, const Reach& reach,
            Scratch& scratch) {
    const core::Graph& graph = searcher_.graph_;
    const std::uint32_t ef = std::max(params_.ef, params_.k);
    const core::FilterRule rule(live.living, matches_, graph.params().M,
                                searcher_.vectors_.stride(), reach.hops(ef));
    if (rule.takes_all()) {
      fill_with_living(graph, live, searcher_.vectors_, searcher_.kernels_, queries_.vector(i),
                       params_, scratch);
      return scratch.list.size() >= wanted();
    }
    if (rule.scans()) return false;
    const WalkedGraph over{graph, live, scorer, queries_[i]};
    const auto run = [&](const auto& is_match) {
      return FilteredWalk(over, rule, is_match, reach, scratch).run(set_.ids(), ef);
    };
    const bool none_died = matches_ == set_.ids().size();
    const bool ended = none_died ? run(MatchingIds(set_))
                                 : run(LivingMatches(set_, graph.tombstones(), live.size));
    return ended && scratch.list.size() >= wanted();
  }

  /// Scans the matches for all that wait, a block of vectors at a time.
  void scan(core::LiveView live, const Scorer& scorer, Scratch& scratch) {
    if (waiting_.empty()) return;
    for (const std::size_t i : waiting_) lists_[i].reset(std::max<std::size_t>(1, wanted()));
    if (wanted() == 0) return;
    const core::Tombstones& tombstones = searcher_.graph_.tombstones();
    const bool some_died = matches_ != set_.ids().size();
    constexpr std::size_t kRows = 16;  // fetched while as many are scored
    std::span<const NodeId> left = set_.ids();
    while (!left.empty()) {
      const std::span<const NodeId> ids = left.first(std::min(kRows, left.size()));
      left = left.subspan(ids.size());
      std::uint32_t n = 0;
      for (const NodeId id : ids) {
        scratch.ids[n] = id;
        n += some_died && tombstones.is_dead(id, live.size) ? 0 : 1;
      }
      for (const NodeId id : left.first(std::min(kRows, left.size()))) scorer.prefetch(id);
      for (const std::size_t i : waiting_) insert(scorer, i, n, scratch);
      scratch.counts.distances += n * waiting_.size();
    }
  }

  /// Scores the first `n` of scratch.ids for a query.
  void insert(const Scorer& scorer, std::size_t i, std::uint32_t n, Scratch& scratch) {
    CandidateList& list = lists_[i];
    scorer.score(queries_[i], scratch.ids.data(), n, scratch.distances.data());
    float worst = list.worst_distance();
    for (std::uint32_t j = 0; j < n; ++j) {
      if (scratch.distances[j] > worst) continue;
      list.insert(core::make_key(scratch.distances[j], scratch.ids[j]));
      worst = list.worst_distance();
    }
  }

  const Searcher& searcher_;
  const SearchParams& params_;
  const MatchSet& set_;
  QueryBlock queries_;
  std::vector<CandidateList> lists_;
  std::vector<std::size_t> waiting_;  ///< for the scan
  NodeId matches_ = 0;                ///< that live in the view
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

SearchCounts Searcher::filtered(MatrixView<const float> queries, const SearchParams& params,
                                const QueryFilters& filters, bool is_exact, Key* out,
                                std::uint32_t* counts, core::ThreadPool& pool) const {
  const core::KNearest results{params.k, out, counts};
  const std::vector<std::size_t> numbers = by_filter(queries.rows, filters);
  const std::vector<Block> blocks = blocks_of(numbers, filters, pool.size());
  if (filters.sets.size() > 1) expect_valid(queries, pool);
  const auto answer_without = [&](const Block& block, Scratch& scratch) {
    if (is_exact) return exact_block(queries, block.numbers, results, scratch);
    for (const std::size_t q : block.numbers) {
      vectors_.prepare(queries.row(q), scratch.query.data(), "query", q);
      search_living(graph_, vectors_, kernels_, scratch.query.data(), params, results, q, scratch);
    }
  };
  const auto answer = [&](const Block& block, Scratch& scratch) {
    FilteredBlock together(*this, params, *block.set, block.numbers.size());
    for (std::size_t i = 0; i < block.numbers.size(); ++i) {
      const std::size_t q = block.numbers[i];
      vectors_.prepare(queries.row(q), together.vector(i), "query", q);
    }
    together.answer(is_exact, scratch, [&](std::size_t i, const CandidateList& list) {
      results.collect(block.numbers[i], list);
    });
  };
  return for_each_query<Lease>(
      *this, blocks.size(), 1, pool, [&](std::size_t first, std::size_t last, Scratch& scratch) {
        for (const Block& block : std::span(blocks).subspan(first, last - first)) {
          block.set == nullptr ? answer_without(block, scratch) : answer(block, scratch);
        }
      });
}

}  // namespace concord::cpu
