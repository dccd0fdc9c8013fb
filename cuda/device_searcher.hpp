// Searches and exact scans on the device, over the mirror of the live graph.
//
// Results are those of the CPU to the bit, for every batch size.
// Thread-safety: one call at a time; Backend serialises them.
#pragma once

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
  Counters search(MatrixView<const float> queries, std::uint32_t k, std::uint32_t ef, Key* out,
                  std::uint32_t* counts);
  Counters exact(MatrixView<const float> queries, std::uint32_t k, Key* out, std::uint32_t* counts);

 private:
  /// How many of `queries` are answered at once, and the memory that takes beyond what is held.
  [[nodiscard]] std::size_t piece_of(std::size_t queries, std::uint32_t k) const noexcept;
  [[nodiscard]] std::size_t missing(std::size_t queries, std::uint32_t k) const noexcept;
  /// Uploads prepared queries [first, first + count).
  void upload_queries(MatrixView<const float> queries, std::size_t first, std::size_t count);
  template <class Launch>
  Counters run(MatrixView<const float> queries, std::uint32_t k, Key* out, std::uint32_t* counts,
               const Launch& launch);

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
  DeviceBuffer<float> d_queries_;
  DeviceBuffer<Key> d_keys_;
  DeviceBuffer<std::uint32_t> d_counts_;
  DeviceBuffer<Counters> d_counters_;
  DeviceBuffer<float> d_scratch_;
};

}  // namespace concord::cuda
