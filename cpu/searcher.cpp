#include "cpu/searcher.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "common/search/results.hpp"
#include "cpu/query_block.hpp"
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
  const std::size_t chunk =
      std::clamp<std::size_t>((queries.rows + pool.size() - 1) / pool.size(), 1, QueryBlock::kMost);
  const core::KNearest results{k, out, counts};
  std::vector<std::size_t> numbers(queries.rows);
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  return for_each_query<Lease>(
      *this, queries.rows, chunk, pool, [&](std::size_t first, std::size_t last, Scratch& scratch) {
        exact_block(queries, std::span(numbers).subspan(first, last - first), results, scratch);
      });
}

void Searcher::exact_block(MatrixView<const float> queries, std::span<const std::size_t> numbers,
                           const core::KNearest& results, Scratch& scratch) const {
  std::vector<CandidateList> lists(numbers.size());
  QueryBlock block(vectors_, numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    vectors_.prepare(queries.row(numbers[i]), block.vector(i), "query", numbers[i]);
  }
  fill_beside_seals(graph_, [&](core::LiveView live) {
    const Scorer scorer(vectors_, kernels_);  // after the view, so that it has all of it
    block.prepare(scorer);
    for (CandidateList& list : lists) list.reset(std::max(1u, std::min(results.k, live.living)));
    if (results.k > 0) scan(scorer, block, live.size, lists, scratch);
    return true;
  });
  for (std::size_t i = 0; i < numbers.size(); ++i) results.collect(numbers[i], lists[i]);
}

// All living nodes before `size`.
void Searcher::scan(const Scorer& scorer, const QueryBlock& queries, NodeId size,
                    std::span<CandidateList> lists, Scratch& scratch) const {
  const core::Hole hole = graph_.tombstones().hole();
  scan_slots(scorer, queries, 0, std::min(hole.begin, size), size, lists, scratch);
  scan_slots(scorer, queries, hole.end, size, size, lists, scratch);
}

// Those of them in slots [first, end), a block of rows at a time for all queries.
void Searcher::scan_slots(const Scorer& scorer, const QueryBlock& queries, NodeId first, NodeId end,
                          NodeId size, std::span<CandidateList> lists, Scratch& scratch) const {
  constexpr NodeId kRows = core::kMaxListCapacity;
  const core::Tombstones& tombstones = graph_.tombstones();
  const bool some_died = tombstones.any();
  for (NodeId begin = first; begin < end; begin += kRows) {
    const NodeId rows = std::min(kRows, end - begin);
    for (std::size_t q = 0; q < lists.size(); ++q) {
      scorer.score_block(queries[q], 1, begin, rows, scratch.distances.data(), rows);
      for (NodeId j = 0; j < rows; ++j) {
        if (some_died && tombstones.is_dead(begin + j, size)) continue;
        lists[q].insert(core::make_key(scratch.distances[j], begin + j));
      }
    }
    scratch.counts.distances += rows * lists.size();
  }
}

std::size_t Searcher::scratch_bytes() const {
  std::size_t bytes = 0;
  for (const Slot& slot : slots_) {
    if (slot.idle.load(std::memory_order_relaxed) != nullptr) bytes += slot.bytes;
  }
  return bytes;
}

}  // namespace concord::cpu
