#include "cuda/device_searcher.hpp"

#include <algorithm>
#include <cstring>

#include "common/reach.hpp"
#include "cuda/caller_memory.hpp"

namespace concord::cuda {
namespace {

constexpr std::size_t kQueriesAtOnce = 16384;
constexpr std::size_t kBytesAtOnce = std::size_t{64} << 20;   // of queries and results
constexpr std::size_t kExactScratch = std::size_t{16} << 20;  // floats

constexpr std::size_t align4(std::size_t n) { return (n + 3) / 4 * 4; }

}  // namespace

DeviceSearcher::DeviceSearcher(Device& device, Mirror& mirror, const core::Graph& graph,
                               const core::VectorStore& vectors, core::ThreadPool& pool,
                               DeviceStats& stats)
    : device_(device),
      mirror_(mirror),
      graph_(graph),
      vectors_(vectors),
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
      d_scratch_(device) {
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
  return cuda::can_search(ef, p.M, p.dimension, device_.shared_memory_limit());
}

bool DeviceSearcher::can_scan(std::uint32_t k) const noexcept {
  return can_exact(k, device_.shared_memory_limit());
}

void DeviceSearcher::upload_queries(MatrixView<const float> queries, std::size_t first,
                                    std::size_t count) {
  const std::size_t stride = vectors_.stride();
  pool_.parallel_for(count, 64, [&](unsigned, std::size_t from, std::size_t to) {
    for (std::size_t q = from; q < to; ++q) {
      vectors_.prepare(queries.row(first + q), queries_.data() + q * stride, "query", first + q);
    }
  });
  device_.record(copy_begin_, mirror_.compute());
  device_.copy_async(d_queries_.data(), queries_.data(), count * stride * sizeof(float),
                     mirror_.compute());
  stats_.bytes_in += count * stride * sizeof(float);
}

void DeviceSearcher::take_queries(DeviceMatrixView<const float> queries, std::size_t first,
                                  std::size_t count) {
  const Stream stream = mirror_.compute();
  TakeTask task = take_task(queries, first, static_cast<std::uint32_t>(count), vectors_,
                            graph_.params().metric, d_queries_.data());
  task.refused = d_refused_.data();
  device_.record(copy_begin_, stream);
  device_.take_rows_async(task, stream);
}

// A piece of the queries at a time: bring(first, count), launch(count), keys and counts down.
template <class Bring, class Launch>
Counters DeviceSearcher::run(std::size_t queries, std::uint32_t k, Key* out, std::uint32_t* counts,
                             const Bring& bring, const Launch& launch) {
  Counters total;
  const Stream stream = mirror_.compute();
  const std::size_t piece = piece_of(queries, k);
  queries_.ensure(piece * vectors_.stride());
  d_queries_.ensure(piece * vectors_.stride());
  keys_.ensure(piece * k);
  d_keys_.ensure(piece * k);
  counts_.ensure(piece);
  d_counts_.ensure(piece);
  for (std::size_t first = 0; first < queries; first += piece) {
    const std::size_t count = std::min(piece, queries - first);
    bring(first, count);
    device_.fill_async(d_counters_.data(), 0, sizeof(Counters), stream);
    device_.record(begin_, stream);
    launch(static_cast<std::uint32_t>(count));
    device_.record(end_, stream);
    device_.copy_async(keys_.data(), d_keys_.data(), count * k * sizeof(Key), stream);
    device_.copy_async(counts_.data(), d_counts_.data(), count * sizeof(std::uint32_t), stream);
    device_.copy_async(counters_.data(), d_counters_.data(), sizeof(Counters), stream);
    device_.record(done_, stream);
    device_.synchronize(done_);
    std::memcpy(out + first * k, keys_.data(), count * k * sizeof(Key));
    std::memcpy(counts + first, counts_.data(), count * sizeof(std::uint32_t));
    total.distances += counters_[0].distances;
    total.hops += counters_[0].hops;
    stats_.copy_in_seconds += device_.elapsed(copy_begin_, begin_);
    stats_.kernel_seconds += device_.elapsed(begin_, end_);
    stats_.copy_out_seconds += device_.elapsed(end_, done_);
    stats_.bytes_out += count * k * sizeof(Key);
  }
  return total;
}

void DeviceSearcher::make_ready(std::size_t queries, std::uint32_t k) {
  mirror_.reserve(missing(queries, k));
  mirror_.upload_nodes(graph_.size());
  mirror_.hold_live();
}

Counters DeviceSearcher::search(MatrixView<const float> queries, const SearchParams& params,
                                Key* out, std::uint32_t* counts) {
  return search_all(queries.rows, params, out, counts, [&](std::size_t first, std::size_t count) {
    upload_queries(queries, first, count);
  });
}

Counters DeviceSearcher::search(DeviceMatrixView<const float> queries, Stream stream,
                                const SearchParams& params, Key* out, std::uint32_t* counts) {
  const Stream compute = mirror_.compute();
  Counters total;
  try {
    device_.record(copy_begin_, stream);
    device_.wait(compute, copy_begin_);
    device_.fill_async(d_refused_.data(), 0, sizeof(std::uint32_t), compute);
    total = search_all(
        queries.rows, params, out, counts,
        [&](std::size_t first, std::size_t count) { take_queries(queries, first, count); });
    device_.copy_async(refused_.data(), d_refused_.data(), sizeof(std::uint32_t), compute);
    device_.record(done_, compute);
    device_.synchronize(done_);
  } catch (...) {
    device_.drain(compute);  // the queries are the caller's
    throw;
  }
  if (refused_[0] != 0) throw Error(ErrorCode::invalid_vector, "a query must be refused");
  return total;
}

template <class Bring>
Counters DeviceSearcher::search_all(std::size_t queries, const SearchParams& params, Key* out,
                                    std::uint32_t* counts, const Bring& bring) {
  const core::EntryPoint entry = graph_.entry_point();
  return run(queries, params.k, out, counts, bring, [&](std::uint32_t count) {
    SearchTask task;
    task.queries = d_queries_.data();
    task.query_stride = vectors_.stride();
    task.count = count;
    task.k = params.k;
    task.ef = std::max(params.ef, params.k);
    task.reach_factor = core::reach_factor(params.slack);
    task.entry = {entry.node, entry.level};
    task.out = d_keys_.data();
    task.counts = d_counts_.data();
    task.counters = d_counters_.data();
    device_.search_async(mirror_.view(), task, mirror_.compute());
  });
}

Counters DeviceSearcher::exact(MatrixView<const float> queries, std::uint32_t k, Key* out,
                               std::uint32_t* counts) {
  const std::size_t scratch =
      std::max(kExactScratchMin, std::min(kExactScratch, queries.rows * align4(graph_.size())));
  mirror_.reserve(missing(queries.rows, k) + d_scratch_.missing(scratch));
  mirror_.upload_nodes(graph_.size());
  d_scratch_.ensure(scratch);
  MirrorView view = mirror_.view();
  view.n = graph_.size();
  const auto bring = [&](std::size_t first, std::size_t count) {
    upload_queries(queries, first, count);
  };
  Counters total = run(queries.rows, k, out, counts, bring, [&](std::uint32_t count) {
    ExactTask task;
    task.queries = d_queries_.data();
    task.query_stride = vectors_.stride();
    task.count = count;
    task.k = k;
    task.out = d_keys_.data();
    task.scratch = d_scratch_.data();
    task.scratch_floats = d_scratch_.size();
    device_.exact_async(view, task, mirror_.compute());
  });
  std::fill_n(counts, queries.rows, std::min(k, graph_.size()));
  total.distances = std::uint64_t{queries.rows} * graph_.size();
  return total;
}

}  // namespace concord::cuda
