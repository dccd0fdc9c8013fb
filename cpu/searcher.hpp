// Searching the live graph, and scanning it exactly, on CPU threads.
//
// Thread-safety: all members may be called from any number of threads at once and beside the
// writer; none waits for another. A query sees every vector that was committed before it began. It
// works in pooled scratch whose size depends on ef and k, not on the number of vectors.
#pragma once

#include <array>
#include <atomic>
#include <concord/matrix_view.hpp>
#include <span>
#include <vector>

#include "common/contents/contents.hpp"
#include "common/graph/graph.hpp"
#include "common/search/group_set.hpp"
#include "common/search/match_set.hpp"
#include "common/search/range.hpp"
#include "common/search/results.hpp"
#include "common/search/tuning.hpp"
#include "common/threads/thread_pool.hpp"
#include "cpu/beam_search.hpp"

namespace concord::cpu {

class QueryBlock;

using core::QueryFilters;

class Searcher {
 public:
  /// Borrows `contents` for its life.
  Searcher(const core::Contents& contents, const MetricKernels& kernels);
  ~Searcher();
  Searcher(const Searcher&) = delete;
  Searcher& operator=(const Searcher&) = delete;

  /// For each query the params.k nearest found, as sorted keys in out[q × k …], counts[q] of them.
  /// Throws Error(invalid_vector) for the first bad query.
  SearchCounts search(MatrixView<const float> queries, const SearchParams& params, core::Key* out,
                      std::uint32_t* counts, core::ThreadPool& pool) const;
  /// The same by scanning all vectors.
  SearchCounts exact(MatrixView<const float> queries, std::uint32_t k, core::Key* out,
                     std::uint32_t* counts, core::ThreadPool& pool) const;

  /// The nodes alone, whatever they stand for.
  SearchCounts exact_nodes(MatrixView<const float> queries, std::uint32_t k, core::Key* out,
                           std::uint32_t* counts, core::ThreadPool& pool) const;

  /// The same among the ids that a filter lets match: always min(k, matches that live) of them.
  /// `is_exact` has all matches scanned. Queries of one filter that are scanned are scanned
  /// together.
  SearchCounts filtered(MatrixView<const float> queries, const SearchParams& params,
                        const QueryFilters& filters, bool is_exact, core::Key* out,
                        std::uint32_t* counts, core::ThreadPool& pool) const;

  /// For each query q the hits of a range search, sorted, in found[q]. Queries that are scanned are
  /// scanned together.
  SearchCounts range(MatrixView<const float> queries, const core::RangeRule& rule,
                     const QueryFilters& filters, std::span<std::vector<core::Key>> found,
                     core::ThreadPool& pool) const;
  // --- cpu/traced_searcher.cpp ---
  /// The profiles of searches for k neighbors of queries that were scored exactly, up to a width of
  /// most_ef; `wanted` neighbors of each can be found. REQUIRES that no node slides.
  void profile(MatrixView<const float> queries, std::span<const core::ScoredQuery> scored,
               std::uint32_t k, std::uint32_t wanted, std::uint32_t most_ef,
               std::span<core::SearchProfile> out, core::ThreadPool& pool) const;

  /// How a living node compares with all others.
  struct Standing {
    core::Key key = 0;                    ///< of the node that stands for it
    std::uint64_t before = 0;             ///< living matches that come before it
    core::Key nearest = core::kWorstKey;  ///< the first living match
  };
  /// REQUIRES here and below that the graph stands still, and a set under its numbering. A null set
  /// lets all match.
  [[nodiscard]] Standing standing(const float* query, const core::PlacedSet* set,
                                  core::NodeId node) const;

  /// Living matches that come before a key, by distance and id.
  [[nodiscard]] std::uint64_t before(const float* query, const core::PlacedSet* set,
                                     core::Key bound) const;

  /// Where a search first meets a node.
  struct Meeting {
    bool is_met = false;
    std::uint64_t hop = 0;                ///< 0: the walk begins with it
    core::NodeId parent = core::kNoNode;  ///< whose list was read then
    float slack = 0;                      ///< the least with which a search goes so far
  };
  /// Not met where the search scans, or does not come there.
  [[nodiscard]] Meeting meeting(const float* query, const SearchParams& params,
                                const core::PlacedSet* set, core::NodeId node) const;
  /// Whether a search of width max(ef, k) would return the node if its descent ended at `from`.
  [[nodiscard]] bool returns_from(const float* query, const SearchParams& params, core::Key from,
                                  core::NodeId node) const;

  /// The hits of a search with groups, as those of filtered: rule.k · rule.hits at most.
  SearchCounts grouped(MatrixView<const float> queries, const SearchParams& params,
                       const core::GroupRule& rule, const QueryFilters& filters, bool is_exact,
                       core::Key* out, std::uint32_t* counts, core::ThreadPool& pool) const;

  [[nodiscard]] std::size_t scratch_bytes() const;

 private:
  class Lease;
  class FilteredBlock;

  void expect_valid(MatrixView<const float> queries, core::ThreadPool& pool) const;
  /// Calls take(key, id) for `first`, unless it is kNoNode, and then for all living matches. The
  /// key has the rank of the vector among the results, and not its id.
  template <class Take>
  void score_all(const float* query, const core::PlacedSet* set, core::NodeId first,
                 const Take& take) const;
  template <class Without, class With>
  SearchCounts in_blocks(MatrixView<const float> queries, const SearchParams& params,
                         const QueryFilters& filters, core::ThreadPool& pool,
                         const Without& without, const With& with) const;
  enum class Results { entries, nodes };
  SearchCounts exact(MatrixView<const float> queries, const core::KNearest& results, Results kind,
                     core::ThreadPool& pool) const;
  void exact_block(MatrixView<const float> queries, std::span<const std::size_t> numbers,
                   const core::KNearest& results, Results kind, Scratch& scratch) const;
  void range_block(MatrixView<const float> queries, std::span<const std::size_t> numbers,
                   const core::RangeRule& rule, std::span<std::vector<core::Key>> found,
                   Scratch& scratch) const;
  template <class Collector, class Begin, class Add, class End>
  void scan_together(MatrixView<const float> queries, std::span<const std::size_t> numbers,
                     std::span<Collector> collectors, const Begin& begin, const Add& add,
                     const End& end, Scratch& scratch) const;
  void group_block(MatrixView<const float> queries, std::span<const std::size_t> numbers,
                   const SearchParams& params, const core::GroupRule& rule, bool is_exact,
                   const core::KNearest& results, Scratch& scratch) const;
  template <class Take>
  void scan(const Scorer& scorer, const QueryBlock& queries, core::Hole hole, core::NodeId size,
            const Take& take, Scratch& scratch) const;
  template <class Take>
  void scan_slots(const Scorer& scorer, const QueryBlock& queries, core::NodeId first,
                  core::NodeId end, core::NodeId size, const Take& take, Scratch& scratch) const;

  const core::Graph& graph_;
  const core::VectorStore& vectors_;
  MetricKernels kernels_;
  /// Scratch that is not in use. A query takes one by exchange, so that none waits for a lock.
  struct alignas(64) Slot {
    std::atomic<Scratch*> idle{nullptr};
    std::atomic<std::size_t> bytes{0};  ///< of the scratch, where there is one
  };
  static constexpr std::size_t kSlots = 64;
  mutable std::array<Slot, kSlots> slots_;
};

}  // namespace concord::cpu
