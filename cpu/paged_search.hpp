// A search of the live graph that goes on: pages of results for one query.
//
// Definition. Behind T results the next k are those nearest of all that the search of width
// ef + T + k sees (cpu/search.hpp, or cpu/filtered_search.hpp by its rule) that were not given. A
// beam search of any width expands the same nodes in the same order, and a wider one ends later. So
// the walk of a page goes on where the last one ended, with all candidates that it has met. Its end
// is that of the wider search: the closest candidate is farther than its ef-th nearest result, or
// than its reach. Where that search would scan, so does this one, from there on.
//
// Ids are good until a slide (common/contents/slide.hpp). Then the walk begins anew; what was given
// is known by its numbers of insertion.
// Thread-safety: one thread at a time, in the readers' gate, beside the writer.
#pragma once

#include <concord/params.hpp>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/contents/contents.hpp"
#include "common/search/match_set.hpp"
#include "cpu/beam_search.hpp"

namespace concord::cpu {

class PagedSearch {
 public:
  /// Borrows `contents` and `set`, which is null without a filter. `query` is in its stored form.
  /// Sees the nodes that live now. Throws std::bad_alloc.
  PagedSearch(const core::Contents& contents, const MetricKernels& kernels,
              std::vector<float> query, const SearchParams& params, const core::MatchSet* set);
  ~PagedSearch();
  PagedSearch(const PagedSearch&) = delete;
  PagedSearch& operator=(const PagedSearch&) = delete;

  /// Writes the next k results to `out` ([k]), or as many as are left, as keys of ids that are good
  /// as long as the caller stays in the gate. Returns how many. Throws std::bad_alloc; then the
  /// same page is still to come.
  std::uint32_t next(std::uint32_t k, core::Key* out);
  [[nodiscard]] std::size_t given() const noexcept { return given_.size(); }
  /// Work since the last call of this.
  SearchCounts take_counts() noexcept;

 private:
  struct Walk;
  template <class View>
  class Page;

  const core::Graph& graph_;
  const core::VectorStore& vectors_;
  MetricKernels kernels_;
  SearchParams params_;
  const core::MatchSet* set_;
  std::uint64_t end_ = 0;    ///< numbers of insertion from here on are not seen
  core::NodeId living_ = 0;  ///< what the index had in the beginning
  core::NodeId matches_ = 0;
  std::vector<std::uint64_t> given_;  ///< numbers of insertion
  std::unique_ptr<Scratch> scratch_;  ///< with the query
  std::unique_ptr<Walk> walk_;        ///< null where the next page begins anew
};

}  // namespace concord::cpu
