#include "cpu/searcher.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include "common/search/results.hpp"
#include "cpu/grouped_search.hpp"
#include "cpu/query_block.hpp"
#include "cpu/range_search.hpp"
#include "cpu/scratch_lease.hpp"
#include "cpu/search.hpp"

namespace concord::cpu {

using core::Key;
using core::NodeId;

Searcher::Searcher(const core::Contents& contents, const MetricKernels& kernels)
    : graph_(contents.graph), vectors_(contents.vectors), kernels_(kernels) {}

Searcher::~Searcher() {
  for (const Slot& slot : slots_) delete slot.idle.load();
}

SearchCounts Searcher::search(MatrixView<const float> queries, const SearchParams& params, Key* out,
                              std::uint32_t* counts, core::ThreadPool& pool) const {
  const core::KNearest results{params.k, out, counts};
  return for_each_query<Lease>(
      *this, queries.rows, 8, pool, [&](std::size_t first, std::size_t last, Scratch& scratch) {
        for (std::size_t q = first; q < last; ++q) {
          vectors_.prepare(queries.row(q), scratch.query.data(), "query", q);
          search_living(graph_, vectors_, kernels_, scratch.query.data(), params, results, q,
                        scratch);
        }
      });
}

SearchCounts Searcher::exact(MatrixView<const float> queries, std::uint32_t k, Key* out,
                             std::uint32_t* counts, core::ThreadPool& pool) const {
  return exact(queries, {k, out, counts}, Results::entries, pool);
}

SearchCounts Searcher::exact_nodes(MatrixView<const float> queries, std::uint32_t k, Key* out,
                                   std::uint32_t* counts, core::ThreadPool& pool) const {
  return exact(queries, {k, out, counts}, Results::nodes, pool);
}

SearchCounts Searcher::exact(MatrixView<const float> queries, const core::KNearest& results,
                             Results kind, core::ThreadPool& pool) const {
  const std::size_t chunk =
      std::clamp<std::size_t>((queries.rows + pool.size() - 1) / pool.size(), 1, QueryBlock::kMost);
  std::vector<std::size_t> numbers(queries.rows);
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  return for_each_query<Lease>(
      *this, queries.rows, chunk, pool, [&](std::size_t first, std::size_t last, Scratch& scratch) {
        exact_block(queries, std::span(numbers).subspan(first, last - first), results, kind,
                    scratch);
      });
}

void Searcher::exact_block(MatrixView<const float> queries, std::span<const std::size_t> numbers,
                           const core::KNearest& results, Results kind, Scratch& scratch) const {
  std::vector<CandidateList> lists(numbers.size());
  std::vector<std::vector<Key>> entries(numbers.size());
  bool expands = false;
  QueryBlock block(vectors_, numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    vectors_.prepare(queries.row(numbers[i]), block.vector(i), "query", numbers[i]);
  }
  bool all_stand = true;
  const auto scan_once = [&](auto live) {
    const Scorer scorer(vectors_, kernels_);  // after the view, so that it has all of it
    block.prepare(scorer);
    for (CandidateList& list : lists) list.reset(std::max(1u, std::min(results.k, live.living)));
    const auto take = [&](std::size_t q, Key key) { lists[q].insert(key); };
    const core::Hole hole = graph_.tombstones().hole();
    if (results.k > 0) scan(scorer, block, hole, live.size, take, scratch);
    expands = kind == Results::entries && graph_.copies().any();
    all_stand = true;
    for (std::size_t i = 0; expands && i < lists.size(); ++i) {
      all_stand &= core::expand(graph_, live, lists[i], results.k, scratch.tie, entries[i]);
    }
    return true;
  };
  search_beside_removals(graph_, [&] {
    fill_beside_seals(graph_, scan_once);
    return all_stand;
  });
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (expands) {
      results.collect(numbers[i], core::KeyList(entries[i]));
    } else {
      results.collect(numbers[i], lists[i]);
    }
  }
}

// A range search of queries without a filter: each by the graph, then one scan for all that need
// it.
void Searcher::range_block(MatrixView<const float> queries, std::span<const std::size_t> numbers,
                           const core::RangeRule& rule, std::span<std::vector<Key>> found,
                           Scratch& scratch) const {
  std::vector<std::size_t> waiting;
  core::RangeHits hits(rule);
  for (const std::size_t q : numbers) {
    vectors_.prepare(queries.row(q), scratch.query.data(), "query", q);
    if (search_range(graph_, vectors_, kernels_, scratch.query.data(), rule, hits, scratch)) {
      found[q] = hits.take();
    } else {
      waiting.push_back(q);
    }
  }
  std::vector<core::RangeHits> of_waiting(waiting.size(), core::RangeHits(rule));
  const auto begin = [](core::RangeHits& of_query, core::Hole /*hole*/) { of_query.clear(); };
  const auto add = [](core::RangeHits& of_query, const auto& /*live*/, Key node) {
    of_query.add(node);
  };
  const auto end = [&](core::RangeHits& of_query, const auto& live) {
    expand_hits(graph_, live, of_query, scratch.tie);
  };
  scan_together(queries, waiting, std::span(of_waiting), begin, add, end, scratch);
  for (std::size_t i = 0; i < waiting.size(); ++i) found[waiting[i]] = of_waiting[i].take();
}

// A search with groups of queries without a filter, in the same way.
void Searcher::group_block(MatrixView<const float> queries, std::span<const std::size_t> numbers,
                           const SearchParams& params, const core::GroupRule& rule, bool is_exact,
                           const core::KNearest& results, Scratch& scratch) const {
  std::vector<std::size_t> waiting;
  core::GroupPicker picker(rule);
  for (const std::size_t q : numbers) {
    picker.begin(groups_in(graph_, core::LiveView{}, rule.set));  // there may be nothing to search
    vectors_.prepare(queries.row(q), scratch.query.data(), "query", q);
    if (!is_exact && search_groups(graph_, vectors_, kernels_, scratch.query.data(), params,
                                   rule.set, picker, scratch)) {
      results.collect(q, picker);
    } else {
      waiting.push_back(q);
    }
  }
  std::vector<core::GroupPicker> pickers(waiting.size(), core::GroupPicker(rule));
  const auto begin = [&](core::GroupPicker& of_query, core::Hole hole) {
    of_query.begin(groups_beside(graph_, hole, rule.set));
  };
  const auto add = [&](core::GroupPicker& of_query, const auto& live, Key node) {
    results_in(graph_, live)(core::key_id(node), [&](NodeId rank, NodeId id) {
      of_query.add({core::make_key(core::key_distance(node), rank), id});
      return true;
    });
  };
  const auto end = [](core::GroupPicker& of_query, const auto& /*live*/) { of_query.finish(); };
  scan_together(queries, waiting, std::span(pickers), begin, add, end, scratch);
  for (std::size_t i = 0; i < waiting.size(); ++i) results.collect(waiting[i], pickers[i]);
}

// Calls add(collector, view, key) with the keys of all living nodes, in one scan for all queries,
// after begin(collector, hole) and before end(collector, view).
template <class Collector, class Begin, class Add, class End>
void Searcher::scan_together(MatrixView<const float> queries, std::span<const std::size_t> numbers,
                             std::span<Collector> collectors, const Begin& begin, const Add& add,
                             const End& end, Scratch& scratch) const {
  if (numbers.empty()) return;
  QueryBlock block(vectors_, numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    vectors_.prepare(queries.row(numbers[i]), block.vector(i), "query", numbers[i]);
  }
  fill_beside_seals(graph_, [&](auto live) {
    const Scorer scorer(vectors_, kernels_);  // after the view, so that it has all of it
    block.prepare(scorer);
    const core::Hole hole = graph_.tombstones().hole();
    for (Collector& collector : collectors) begin(collector, hole);
    const auto take = [&](std::size_t q, Key key) { add(collectors[q], live, key); };
    scan(scorer, block, hole, live.size, take, scratch);
    for (Collector& collector : collectors) end(collector, live);
    return true;
  });
}

// Calls take(q, key) for each query and all living nodes before `size` that are beside the hole.
template <class Take>
void Searcher::scan(const Scorer& scorer, const QueryBlock& queries, core::Hole hole, NodeId size,
                    const Take& take, Scratch& scratch) const {
  scan_slots(scorer, queries, 0, std::min(hole.begin, size), size, take, scratch);
  scan_slots(scorer, queries, hole.end, size, size, take, scratch);
}

// Those of them in slots [first, end), a block of rows at a time for all queries.
template <class Take>
void Searcher::scan_slots(const Scorer& scorer, const QueryBlock& queries, NodeId first, NodeId end,
                          NodeId size, const Take& take, Scratch& scratch) const {
  if (first >= end) return;
  scratch.counts.distances += (end - first) * queries.size();
  float* const distances = scratch.distances.data();
  if (!graph_.tombstones().any() && !graph_.copies().any()) {
    return score_rows(scorer, queries, first, end, distances, take);
  }
  std::array<bool, kScoredAtOnce> is_found;  // asked once for all queries
  for (NodeId begin = first; begin < end; begin += kScoredAtOnce) {
    const NodeId rows = std::min(kScoredAtOnce, end - begin);
    for (NodeId j = 0; j < rows; ++j) {
      is_found[j] = !graph_.copies().is_copy(begin + j) && !graph_.is_dead(begin + j, size);
    }
    score_rows(scorer, queries, begin, begin + rows, distances, [&](std::size_t q, Key key) {
      if (is_found[core::key_id(key) - begin]) take(q, key);
    });
  }
}

std::size_t Searcher::scratch_bytes() const {
  std::size_t bytes = 0;
  for (const Slot& slot : slots_) {
    // Relaxed: a figure.
    if (slot.idle.load(std::memory_order_relaxed) != nullptr) bytes += slot.bytes;
  }
  return bytes;
}

}  // namespace concord::cpu
