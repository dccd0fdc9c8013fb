// Searches and exact scans on the device, over the mirror of the live graph.
//
// Results are those of the CPU to the bit, for every batch size.
// Thread-safety: one call at a time; Backend serialises them.
#pragma once

#include <concord/cuda.hpp>
#include <concord/matrix_view.hpp>

#include "common/thread_pool.hpp"
#include "cuda/mirror.hpp"

namespace concord::cuda {

class DeviceSearcher {
 public:
  DeviceSearcher(Device& device, Mirror& mirror, const core::Graph& graph,
                 const core::VectorStore& vectors, core::ThreadPool& pool, DeviceStats& stats);
  ~DeviceSearcher();

  /// Whether the device can search with such a list at all.
  [[nodiscard]] bool can_search(std::uint32_t ef) const noexcept;
  [[nodiscard]] bool can_scan(std::uint32_t k) const noexcept;

  /// Brings the mirror up to the live graph. REQUIRED before search() where the graph has changed.
  void make_ready(std::size_t queries, std::uint32_t k);
  /// As cpu::Searcher::search and exact: sorted keys, `k` a query, and their numbers.
  Counters search(MatrixView<const float> queries, const SearchParams& params, Key* out,
                  std::uint32_t* counts);
  Counters exact(MatrixView<const float> queries, std::uint32_t k, Key* out, std::uint32_t* counts);
  /// Search for queries in the caller's device memory, after what was given to `stream`. Throws
  /// Error(invalid_vector), which does not say which, where one must be refused.
  Counters search(DeviceMatrixView<const float> queries, Stream stream, const SearchParams& params,
                  Key* out, std::uint32_t* counts);

 private:
  /// How many of `queries` are answered at once, and the memory that takes beyond what is held.
  [[nodiscard]] std::size_t piece_of(std::size_t queries, std::uint32_t k) const noexcept;
  [[nodiscard]] std::size_t missing(std::size_t queries, std::uint32_t k) const noexcept;
  /// Bring queries [first, first + count), checked and prepared, to d_queries_.
  void upload_queries(MatrixView<const float> queries, std::size_t first, std::size_t count);
  void take_queries(DeviceMatrixView<const float> queries, std::size_t first, std::size_t count);
  template <class Bring, class Launch>
  Counters run(std::size_t queries, std::uint32_t k, Key* out, std::uint32_t* counts,
               const Bring& bring, const Launch& launch);
  template <class Bring>
  Counters search_all(std::size_t queries, const SearchParams& params, Key* out,
                      std::uint32_t* counts, const Bring& bring);

  Device& device_;
  Mirror& mirror_;
  const core::Graph& graph_;
  const core::VectorStore& vectors_;
  core::ThreadPool& pool_;
  DeviceStats& stats_;

  OwnedEvent copy_begin_, begin_, end_, done_;
  PinnedBuffer<float> queries_;
  PinnedBuffer<Key> keys_;
  PinnedBuffer<std::uint32_t> counts_;
  PinnedBuffer<Counters> counters_;
  PinnedBuffer<std::uint32_t> refused_;  ///< not 0: a query that was taken is not valid
  DeviceBuffer<float> d_queries_;
  DeviceBuffer<Key> d_keys_;
  DeviceBuffer<std::uint32_t> d_counts_;
  DeviceBuffer<Counters> d_counters_;
  DeviceBuffer<std::uint32_t> d_refused_;
  DeviceBuffer<float> d_scratch_;
};

}  // namespace concord::cuda
