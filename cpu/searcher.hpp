// Searching the live graph, and scanning it exactly, on CPU threads.
//
// Thread-safety: all members may be called from any number of threads at once and beside the
// writer; none waits for another. A query sees every vector that was committed before it began. It
// works in pooled scratch whose size depends on ef and k, not on the number of vectors.
#pragma once

#include <array>
#include <atomic>
#include <concord/matrix_view.hpp>

#include "common/graph.hpp"
#include "common/thread_pool.hpp"
#include "common/vector_store.hpp"
#include "cpu/beam_search.hpp"

namespace concord::cpu {

class Searcher {
 public:
  Searcher(const core::Graph& graph, const core::VectorStore& vectors,
           const MetricKernels& kernels);
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

  [[nodiscard]] std::size_t scratch_bytes() const;

 private:
  class Lease;
  /// Searches for the vector in scratch.query.
  void search_one(const SearchParams& params, core::Key* out, std::uint32_t& count,
                  Scratch& scratch) const;
  /// Fills scratch.list. False if it has fewer than a search of a graph at rest finds.
  bool fill_list(const Scorer& scorer, const Query& query, const SearchParams& params,
                 Scratch& scratch) const;

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
