// Searching the live graph, and scanning it exactly, on CPU threads.
//
// Thread-safety: all members may be called from any number of threads at once. Each query works in
// pooled scratch whose size depends on ef and k, not on the number of vectors.
#pragma once

#include <concord/matrix_view.hpp>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "common/graph.hpp"
#include "common/thread_pool.hpp"
#include "common/vector_store.hpp"
#include "cpu/beam_search.hpp"

namespace concord::cpu {

class Searcher {
 public:
  Searcher(const core::Graph& graph, const core::VectorStore& vectors,
           const MetricKernels& kernels);

  /// For each query the k nearest found with max(ef, k) candidates, as sorted keys in
  /// out[q × k …], counts[q] of them. Throws Error(invalid_vector) for the first bad query.
  SearchCounts search(MatrixView<const float> queries, std::uint32_t k, std::uint32_t ef,
                      core::Key* out, std::uint32_t* counts, core::ThreadPool& pool) const;
  /// The same by scanning all vectors.
  SearchCounts exact(MatrixView<const float> queries, std::uint32_t k, core::Key* out,
                     std::uint32_t* counts, core::ThreadPool& pool) const;

  [[nodiscard]] std::size_t scratch_bytes() const;

 private:
  class Lease;
  void search_one(const float* query, std::uint32_t k, std::uint32_t ef, core::Key* out,
                  std::uint32_t& count, Scratch& scratch) const;

  const core::Graph& graph_;
  const core::VectorStore& vectors_;
  MetricKernels kernels_;
  mutable std::mutex mutex_;  ///< guards idle_
  mutable std::vector<std::unique_ptr<Scratch>> idle_;
};

}  // namespace concord::cpu
