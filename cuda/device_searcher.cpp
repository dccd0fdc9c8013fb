#include "cuda/device_searcher.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "common/search/entries.hpp"
#include "common/search/reach.hpp"
#include "cuda/caller_memory.hpp"

namespace concord::cuda {
namespace {

constexpr std::size_t kQueriesAtOnce = 16384;
constexpr std::size_t kBytesAtOnce = std::size_t{64} << 20;   // of queries and results
constexpr std::size_t kExactScratch = std::size_t{16} << 20;  // floats

/// Most that CUB takes to reduce a piece of queries.
constexpr std::size_t kReduceBytes = std::size_t{64} << 10;

constexpr std::size_t align4(std::size_t n) { return (n + 3) / 4 * 4; }

}  // namespace

DeviceSearcher::DeviceSearcher(Device& device, Mirror& mirror, const core::Contents& contents,
                               core::ThreadPool& pool, DeviceStats& stats)
    : device_(device),
      mirror_(mirror),
      graph_(contents.graph),
      vectors_(contents.vectors),
      pool_(pool),
      stats_(stats),
      copy_begin_(device),
      begin_(device),
      end_(device),
      done_(device),
      queries_(device),
      keys_(device),
      counts_(device),
      counters_(device),
      refused_(device),
      d_queries_(device),
      d_keys_(device),
      d_counts_(device),
      d_counters_(device),
      d_refused_(device),
      d_largest_(device),
      d_scratch_(device),
      filters_(device, mirror, contents.graph, stats),
      filter_of_(device),
      d_filter_of_(device) {
  mirror_.make_others_give_way([this] { filters_.clear(); });
  counters_.ensure(1);
  d_counters_.ensure(1);
  refused_.ensure(1);
  d_refused_.ensure(1);
}

// Memory must not go while the device works on it.
DeviceSearcher::~DeviceSearcher() { device_.drain(mirror_.compute()); }

std::size_t DeviceSearcher::piece_of(std::size_t queries, std::uint32_t k) const noexcept {
  const std::size_t bytes = vectors_.stride() * sizeof(float) + k * sizeof(Key);
  return std::min({queries, kQueriesAtOnce, std::max<std::size_t>(1, kBytesAtOnce / bytes)});
}

std::size_t DeviceSearcher::missing(std::size_t queries, std::uint32_t k) const noexcept {
  const std::size_t piece = piece_of(queries, k);
  return d_queries_.missing(piece * vectors_.stride()) + d_keys_.missing(piece * k) +
         d_counts_.missing(piece);
}

bool DeviceSearcher::can_search(std::uint32_t ef) const noexcept {
  const IndexParams& p = graph_.params();
  return cuda::can_search(ef, p.M, p.dimension, device_.shared_memory_limit(),
                          graph_.tombstones_linked());
}

bool DeviceSearcher::can_scan(std::uint32_t k) const noexcept {
  return can_exact(k, device_.shared_memory_limit());
}

void DeviceSearcher::make_ready(std::size_t queries, std::uint32_t k) {
  mirror_.reserve(missing(queries, k));
  mirror_.upload_nodes(graph_.size());
  mirror_.hold_live();
  mirror_.bring_deaths(graph_.size());
}

MirrorView DeviceSearcher::view() const noexcept {
  MirrorView view = mirror_.view();
  view.n = graph_.size();
  return view;
}

Counters DeviceSearcher::search(const QuerySource& queries, const SearchParams& params, Key* out,
                                std::uint32_t* counts) {
  const Counters work =
      search_pieces(queries, params, [&](std::size_t first, std::uint32_t count, Counters& total) {
        finish_piece(count, {params.k, out + first * params.k, counts + first}, total);
      });
  expand(queries.rows(), {params.k, out, counts});
  return work;
}

// A device finds nodes. It has its turn, so no vector dies meanwhile.
void DeviceSearcher::expand(std::size_t queries, const core::KNearest& results) {
  for (std::size_t q = 0; graph_.copies().any() && q < queries; ++q) {
    expand_one(q, results, [](NodeId /*id*/) { return true; });
  }
}

Counters DeviceSearcher::search_there(const QuerySource& queries, const SearchParams& params,
                                      const DeviceResults& results) {
  return search_pieces(queries, params,
                       [&](std::size_t first, std::uint32_t count, Counters& total) {
                         finish_piece_there(first, count, results, total);
                       });
}

template <class Finish>
Counters DeviceSearcher::search_pieces(const QuerySource& queries, const SearchParams& params,
                                       const Finish& finish) {
  const std::size_t rows = queries.rows();
  const std::size_t piece = piece_of(rows, params.k);
  ensure_room(piece, params.k);
  SearchTask task = search_task(params);
  Counters total;
  try {
    if (queries.is_device) wait_for(queries);
    for (std::size_t first = 0; first < rows; first += piece) {
      task.count = static_cast<std::uint32_t>(std::min(piece, rows - first));
      begin_piece(queries, first, task.count);
      device_.search_async(view(), task, mirror_.compute());
      finish(first, task.count, total);
    }
    if (queries.is_device) check_taken();
  } catch (...) {
    device_.drain(mirror_.compute());  // the caller may free queries and results
    throw;
  }
  return total;
}

void DeviceSearcher::make_scan_ready(std::size_t queries, std::uint32_t k) {
  const std::size_t scratch =
      std::max(kExactScratchMin, std::min(kExactScratch, queries * align4(graph_.size())));
  mirror_.reserve(missing(queries, k) + d_scratch_.missing(scratch));
  mirror_.upload_nodes(graph_.size());
  mirror_.bring_deaths(graph_.size());
  d_scratch_.ensure(scratch);
}

Counters DeviceSearcher::exact(MatrixView<const float> queries, std::uint32_t k, Key* out,
                               std::uint32_t* counts) {
  const std::size_t rows = queries.rows;
  make_scan_ready(rows, k);
  const std::size_t piece = piece_of(rows, k);
  ensure_room(piece, k);
  ExactTask task = exact_task(k);
  Counters total;
  for (std::size_t first = 0; first < rows; first += piece) {
    task.count = static_cast<std::uint32_t>(std::min(piece, rows - first));
    begin_piece(queries, first, task.count);
    device_.exact_async(view(), task, mirror_.compute());
    finish_piece(task.count, {k, out + first * k, counts + first}, total);
  }
  std::fill_n(counts, rows, std::min(k, graph_.nodes_of(graph_.living())));
  expand(rows, {k, out, counts});
  total.distances = std::uint64_t{rows} * graph_.size();
  return total;
}

void DeviceSearcher::ensure_room(std::size_t piece, std::uint32_t k) {
  queries_.ensure(piece * vectors_.stride());
  d_queries_.ensure(piece * vectors_.stride());
  keys_.ensure(piece * k);
  d_keys_.ensure(piece * k);
  counts_.ensure(piece);
  d_counts_.ensure(piece);
}

void DeviceSearcher::wait_for(const QuerySource& queries) {
  if (d_largest_.size() == 0) {
    mirror_.reserve(kReduceBytes + d_largest_.missing(1));
    d_largest_.ensure(1);
  }
  const Stream compute = mirror_.compute();
  device_.record(copy_begin_, queries.stream);
  device_.wait(compute, copy_begin_);
  device_.fill_async(d_refused_.data(), 0, sizeof(std::uint32_t), compute);
}

void DeviceSearcher::begin_piece(const QuerySource& queries, std::size_t first, std::size_t count) {
  if (queries.is_device) {
    take_queries(queries.device, first, count);
  } else {
    upload_queries(queries.host, count, [&](std::size_t place) { return first + place; });
  }
  begin_work();
}

void DeviceSearcher::begin_work() {
  device_.fill_async(d_counters_.data(), 0, sizeof(Counters), mirror_.compute());
  device_.record(begin_, mirror_.compute());
}

void DeviceSearcher::take_queries(DeviceMatrixView<const float> queries, std::size_t first,
                                  std::size_t count) {
  const Stream stream = mirror_.compute();
  TakeTask task = take_task(queries, first, static_cast<std::uint32_t>(count), vectors_,
                            graph_.params().metric, d_queries_.data());
  task.refused = d_refused_.data();
  device_.record(copy_begin_, stream);
  if (!task.normalise) {  // else every row's norm is needed anyway
    device_.find_largest_async(
        {task.from, task.from_stride, task.dimension, task.count, d_largest_.data()}, stream);
    task.largest = d_largest_.data();
  }
  device_.take_rows_async(task, stream);
}

SearchTask DeviceSearcher::search_task(const SearchParams& params) const {
  const core::EntryPoint entry = graph_.live().entry;
  SearchTask task;
  task.queries = d_queries_.data();
  task.query_stride = vectors_.stride();
  task.k = params.k;
  task.ef = std::max(params.ef, params.k);
  task.reach_factor = core::reach_factor(params.slack);
  task.entry = {entry.node, entry.level};
  task.out = d_keys_.data();
  task.counts = d_counts_.data();
  task.counters = d_counters_.data();
  task.others = graph_.tombstones_linked();
  return task;
}

ExactTask DeviceSearcher::exact_task(std::uint32_t k) const {
  ExactTask task;
  task.queries = d_queries_.data();
  task.query_stride = vectors_.stride();
  task.k = k;
  task.out = d_keys_.data();
  task.scratch = d_scratch_.data();
  task.scratch_floats = d_scratch_.size();
  return task;
}

void DeviceSearcher::finish_piece(std::size_t count, const core::KNearest& results,
                                  Counters& total) {
  fetch_piece(count, results.k, total);
  std::memcpy(results.out, keys_.data(), count * results.k * sizeof(Key));
  std::memcpy(results.counts, counts_.data(), count * sizeof(std::uint32_t));
}

void DeviceSearcher::fetch_piece(std::size_t count, std::uint32_t k, Counters& total) {
  const Stream stream = mirror_.compute();
  const std::size_t key_bytes = count * k * sizeof(Key);
  device_.record(end_, stream);
  device_.copy_async(keys_.data(), d_keys_.data(), key_bytes, stream);
  device_.copy_async(counts_.data(), d_counts_.data(), count * sizeof(std::uint32_t), stream);
  finish_work(total);
  stats_.bytes_out += key_bytes;
}

void DeviceSearcher::finish_piece_there(std::size_t first, std::uint32_t count,
                                        const DeviceResults& results, Counters& total) {
  ResultTask task;
  task.keys = d_keys_.data();
  task.found = d_counts_.data();
  task.count = count;
  task.k = static_cast<std::uint32_t>(results.labels.cols);
  task.label_of = mirror_.labels();
  task.labels = results.labels.data + first * results.labels.stride;
  task.labels_stride = results.labels.stride;
  task.distances = results.distances.data + first * results.distances.stride;
  task.distances_stride = results.distances.stride;
  task.counts = results.counts + first;
  device_.write_results_async(task, mirror_.compute());
  device_.record(end_, mirror_.compute());
  finish_work(total);
}

void DeviceSearcher::finish_work(Counters& total) {
  const Stream stream = mirror_.compute();
  device_.copy_async(counters_.data(), d_counters_.data(), sizeof(Counters), stream);
  device_.record(done_, stream);
  device_.synchronize(done_);
  total.distances += counters_[0].distances;
  total.hops += counters_[0].hops;
  stats_.copy_in_seconds += device_.elapsed(copy_begin_, begin_);
  stats_.kernel_seconds += device_.elapsed(begin_, end_);
  stats_.copy_out_seconds += device_.elapsed(end_, done_);
}

void DeviceSearcher::check_taken() {
  const Stream compute = mirror_.compute();
  device_.copy_async(refused_.data(), d_refused_.data(), sizeof(std::uint32_t), compute);
  device_.record(done_, compute);
  device_.synchronize(done_);
  if (refused_[0] != 0) throw Error(ErrorCode::invalid_vector, "a query must be refused");
}

}  // namespace concord::cuda
