// Searches and exact scans on the device, over the mirror of the live graph.
//
// Results are those of the CPU to the bit, for every batch size.
// Thread-safety: one call at a time; Backend serialises them.
#pragma once

#include <concord/cuda.hpp>
#include <concord/matrix_view.hpp>

#include "common/search/entries.hpp"
#include "common/search/results.hpp"
#include "common/threads/thread_pool.hpp"
#include "cuda/device_filters.hpp"
#include "cuda/filtered_batch.hpp"
#include "cuda/mirror.hpp"

namespace concord::cuda {

/// The queries of a search: in host memory, or in the caller's device memory, where they are read
/// after the work that `stream` has been given.
struct QuerySource {
  QuerySource(MatrixView<const float> queries) : host(queries) {}
  QuerySource(DeviceMatrixView<const float> queries, Stream after)
      : device(queries), stream(after), is_device(true) {}

  [[nodiscard]] std::size_t rows() const noexcept { return is_device ? device.rows : host.rows; }

  MatrixView<const float> host;
  DeviceMatrixView<const float> device;
  Stream stream = nullptr;
  bool is_device = false;
};

/// Where results go if they stay on the device: rows of k, and the number found for each query.
struct DeviceResults {
  DeviceMatrixView<std::uint64_t> labels;
  DeviceMatrixView<float> distances;
  std::uint32_t* counts = nullptr;
};

class DeviceSearcher {
 public:
  DeviceSearcher(Device& device, Mirror& mirror, const core::Contents& contents,
                 core::ThreadPool& pool, DeviceStats& stats);
  ~DeviceSearcher();

  /// Whether the device can search with a candidate list of `ef`, among the tombstones that there
  /// are now, or scan for `k` results.
  [[nodiscard]] bool can_search(std::uint32_t ef) const noexcept;
  [[nodiscard]] bool can_scan(std::uint32_t k) const noexcept;

  /// Brings the mirror up to the live graph. REQUIRED before all searches if the graph has changed.
  void make_ready(std::size_t queries, std::uint32_t k);
  /// As cpu::Searcher::search and exact: sorted keys, `k` a query, and their numbers. Throws
  /// Error(invalid_vector) if a query must be refused; if it is in device memory, without its name.
  Counters search(const QuerySource& queries, const SearchParams& params, Key* out,
                  std::uint32_t* counts);
  Counters exact(MatrixView<const float> queries, std::uint32_t k, Key* out, std::uint32_t* counts);

  /// Whether the device can search with filters and a candidate list of `ef`, or scan the matches
  /// for `k` results.
  [[nodiscard]] bool can_filter(std::uint32_t ef) const noexcept;
  [[nodiscard]] bool can_scan_matches(std::uint32_t k) const noexcept;
  /// As make_ready(), for exact searches.
  void make_scan_ready(std::size_t queries, std::uint32_t k);
  /// How queries with filters are answered, by the rule or exactly.
  [[nodiscard]] FilteredBatch batch_of(std::size_t queries, const SearchParams& params,
                                       const core::QueryFilters& filters) const;
  [[nodiscard]] FilteredBatch exact_batch_of(std::size_t queries,
                                             const core::QueryFilters& filters) const;
  /// Brings the filters of a batch to the device. REQUIRED before filtered(), after make_ready() or
  /// make_scan_ready(). Returns false if they find no room; the CPU must answer then.
  [[nodiscard]] bool make_filters_ready(const FilteredBatch& batch, std::uint32_t k);
  /// As cpu::Searcher::filtered, as the batch says.
  Counters filtered(MatrixView<const float> queries, const SearchParams& params,
                    const core::QueryFilters& filters, const FilteredBatch& batch, Key* out,
                    std::uint32_t* counts);

  /// Brings the labels to the device. REQUIRED before search_there(). Returns false if they find no
  /// room; the host must translate results then.
  [[nodiscard]] bool make_labels_ready() { return mirror_.upload_labels(graph_.size()); }
  /// As search(), with labels and distances in the caller's device memory.
  Counters search_there(const QuerySource& queries, const SearchParams& params,
                        const DeviceResults& results);

 private:
  /// How many of `queries` are answered at once, and the memory that takes beyond what is held.
  [[nodiscard]] std::size_t piece_of(std::size_t queries, std::uint32_t k) const noexcept;
  [[nodiscard]] std::size_t missing(std::size_t queries, std::uint32_t k) const noexcept;
  /// Takes that memory, for pieces of `piece` queries.
  void ensure_room(std::size_t piece, std::uint32_t k);

  /// Lets the device wait for queries that are in its memory.
  void wait_for(const QuerySource& queries);
  /// Brings queries [first, first + count), checked and prepared, to d_queries_, for a kernel that
  /// follows; those in device memory are checked by check_taken().
  void begin_piece(const QuerySource& queries, std::size_t first, std::size_t count);
  /// `count` queries: to place j number number_of(j).
  template <class NumberOf>
  void upload_queries(MatrixView<const float> queries, std::size_t count,
                      const NumberOf& number_of);
  void take_queries(DeviceMatrixView<const float> queries, std::size_t first, std::size_t count);
  /// The kernels of a piece follow.
  void begin_work();
  void expect_valid(MatrixView<const float> queries, std::size_t piece);
  void launch_filtered(const SearchParams& params, const FilteredBatch& batch, std::size_t first,
                       std::size_t count);
  /// Of `count` queries that are not filtered, in the first places of a piece.
  void launch_without(const SearchParams& params, bool is_exact, std::size_t count);
  /// The numbers of results of so many exact ones, which no kernel counts, and their work.
  void finish_without(std::size_t count, std::uint32_t k, Counters& total);
  /// Of the live graph, for kernels on the mirror's compute().
  [[nodiscard]] MirrorView view() const noexcept;
  /// Tasks without the number of queries.
  [[nodiscard]] SearchTask search_task(const SearchParams& params) const;
  [[nodiscard]] ExactTask exact_task(std::uint32_t k) const;
  /// Searches piece by piece; after the kernel of queries [first, first + count) comes
  /// finish(first, count, total).
  template <class Finish>
  Counters search_pieces(const QuerySource& queries, const SearchParams& params,
                         const Finish& finish);
  /// Turns the nodes that were found into what they stand for.
  void expand(std::size_t queries, const core::KNearest& results);
  void expand_matches(std::size_t queries, const core::QueryFilters& filters,
                      const core::KNearest& results);
  template <class IsMatch>
  void expand_one(std::size_t query, const core::KNearest& results, const IsMatch& is_match) {
    const core::KeyList nodes({results.out + query * results.k, results.counts[query]});
    core::expand(graph_, graph_.live(), nodes, results.k, is_match, tie_, entries_);
    results.collect(query, core::KeyList(entries_));
  }
  /// Copies the results of the kernel's `count` queries to `results`, and adds its work to `total`.
  void finish_piece(std::size_t count, const core::KNearest& results, Counters& total);
  /// Copies them to keys_ and counts_.
  void fetch_piece(std::size_t count, std::uint32_t k, Counters& total);
  /// Writes them to rows [first, first + count) of `results` instead.
  void finish_piece_there(std::size_t first, std::uint32_t count, const DeviceResults& results,
                          Counters& total);
  /// Waits for the kernel and what was given after end_, and adds its work to `total`.
  void finish_work(Counters& total);
  /// Throws Error(invalid_vector) if a query in device memory must be refused.
  void check_taken();

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
  DeviceBuffer<std::uint32_t> d_largest_;  ///< of the queries of a piece, as LargestTask finds it
  DeviceBuffer<float> d_scratch_;
  DeviceFilters filters_;
  core::Tie tie_;  ///< of a query's expansion, as the next
  std::vector<Key> entries_;
  PinnedBuffer<std::uint32_t> filter_of_;  ///< of each query of a piece, as FilteredTask has it
  DeviceBuffer<std::uint32_t> d_filter_of_;
};

template <class NumberOf>
void DeviceSearcher::upload_queries(MatrixView<const float> queries, std::size_t count,
                                    const NumberOf& number_of) {
  const std::size_t stride = vectors_.stride();
  pool_.for_each(count, 64, [&](std::size_t place) {
    const std::size_t q = number_of(place);
    vectors_.prepare(queries.row(q), queries_.data() + place * stride, "query", q);
  });
  device_.record(copy_begin_, mirror_.compute());
  device_.copy_async(d_queries_.data(), queries_.data(), count * stride * sizeof(float),
                     mirror_.compute());
  stats_.bytes_in += count * stride * sizeof(float);
}

}  // namespace concord::cuda
