// Searching an Index: arguments checked, whoever answers chosen, keys turned into labels.

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <new>
#include <optional>

#include "common/float_environment.hpp"
#include "common/index_impl.hpp"
#include "common/number_text.hpp"
#include "common/stopwatch.hpp"

namespace concord {
namespace {

constexpr std::uint32_t kMaxSearchWidth = 65536;

// What of a mapped file is used, and checked before.
constexpr std::array kUsedBySearch = {core::Content::graph, core::Content::vectors,
                                      core::Content::labels};
constexpr std::array kUsedByExactSearch = {core::Content::vectors, core::Content::labels};

void check_search_width(const char* name, std::uint32_t value, std::uint32_t low) {
  if (value >= low && value <= kMaxSearchWidth) return;
  throw Error(ErrorCode::invalid_parameter, std::string(name) + " is " + std::to_string(value) +
                                                "; allowed are " + std::to_string(low) + " to " +
                                                std::to_string(kMaxSearchWidth));
}

void check(const SearchParams& params, Metric metric) {
  check_search_width("k", params.k, 0);
  check_search_width("ef", params.ef, 1);
  if (!(params.slack >= 0)) {
    throw Error(ErrorCode::invalid_parameter,
                "slack is " + core::text_of(params.slack) + "; allowed are 0 to infinity");
  }
  if (metric == Metric::inner_product && !std::isinf(params.slack)) {
    throw Error(ErrorCode::invalid_parameter,
                "slack is " + core::text_of(params.slack) +
                    "; with inner_product, which is no metric, only infinity is allowed");
  }
}

SearchResult result_of(std::size_t queries, std::uint32_t k) {
  SearchResult result;
  result.queries = queries;
  result.k = k;
  try {
    if (k > 0 && queries > ~std::size_t{0} / k) throw std::bad_alloc();
    result.labels.resize(queries * k);
    result.distances.resize(queries * k);
    result.counts.resize(queries);
  } catch (const std::exception&) {  // bad_alloc, length_error
    throw Error(ErrorCode::out_of_memory,
                "no memory for the results of " + std::to_string(queries) +
                    " queries with k = " + std::to_string(k) + "; search in smaller batches");
  }
  return result;
}

std::optional<cpu::SearchCounts> counts_of(const std::optional<cuda::Counters>& work) {
  if (!work) return std::nullopt;
  return cpu::SearchCounts{work->distances, work->hops};
}

}  // namespace

SearchResult Index::search(MatrixView<const float> queries, const SearchParams& params) const {
  check(params, impl_->graph.params().metric);
  SearchResult result = result_of(queries.rows, params.k);
  search(queries, params, {result.labels.data(), queries.rows, params.k},
         {result.distances.data(), queries.rows, params.k}, result.counts);
  return result;
}

void Index::search(MatrixView<const float> queries, const SearchParams& params,
                   MatrixView<std::uint64_t> labels, MatrixView<float> distances,
                   std::span<std::uint32_t> counts) const {
  check(params, impl_->graph.params().metric);
  const core::FloatEnvironment environment;
  impl_->vectors.check_shape(queries, "queries");
  impl_->answer(kUsedBySearch, queries.rows, params.k, labels, distances, counts,
                [&](core::Key* keys, std::uint32_t* found, LogLines& later) {
                  return impl_->search(queries, params, keys, found, later);
                });
}

SearchResult IndexAccess::search(const Index& index, cuda::DeviceMatrixView<const float> queries,
                                 const SearchParams& params, cuda::CudaStream stream,
                                 const FetchRows& fetch) {
  const core::FloatEnvironment environment;
  Index::Impl& impl = *index.impl_;
  check(params, impl.graph.params().metric);
  SearchResult result = result_of(queries.rows, params.k);
  impl.answer(kUsedBySearch, queries.rows, params.k, {result.labels.data(), queries.rows, params.k},
              {result.distances.data(), queries.rows, params.k}, result.counts,
              [&](core::Key* keys, std::uint32_t* found, LogLines& later) {
                const auto work = impl.search_there(queries, params, stream, keys, found, later);
                return work ? *work : impl.search(fetch(), params, keys, found, later);
              });
  return result;
}

std::optional<cpu::SearchCounts> Index::Impl::search_there(OnDevice rows, const SearchParams& how,
                                                           cuda::CudaStream stream, core::Key* keys,
                                                           std::uint32_t* found, LogLines& later) {
  cuda::Backend* const on = device_in_use;
  if (on == nullptr || how.k == 0 || !on->takes_search(rows.rows, std::max(how.ef, how.k))) {
    return std::nullopt;
  }
  try {
    return counts_of(on->search(rows, stream, how, keys, found));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::invalid_vector) give_up_device(error, &later);
    return std::nullopt;
  }
}

SearchResult Index::exact_search(MatrixView<const float> queries, std::uint32_t k) const {
  check_search_width("k", k, 0);
  const core::FloatEnvironment environment;
  impl_->vectors.check_shape(queries, "queries");
  SearchResult result = result_of(queries.rows, k);
  impl_->answer(kUsedByExactSearch, queries.rows, k, {result.labels.data(), queries.rows, k},
                {result.distances.data(), queries.rows, k}, result.counts,
                [&](core::Key* keys, std::uint32_t* found, LogLines& later) {
                  return impl_->exact(queries, k, keys, found, later);
                });
  return result;
}

cpu::SearchCounts Index::Impl::search(MatrixView<const float> rows, const SearchParams& how,
                                      core::Key* keys, std::uint32_t* found, LogLines& later) {
  constexpr std::size_t kWorthADevice = 256;
  const std::uint32_t width = std::max(how.ef, how.k);
  cuda::Backend* on = device(rows.rows >= kWorthADevice, false, &later);
  if (on != nullptr && how.k > 0 && on->takes_search(rows.rows, width)) {
    try {
      if (const auto work = counts_of(on->search(rows, how, keys, found))) return *work;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::invalid_vector) throw;
      give_up_device(error, &later);
    }
  }
  double seconds = 0;
  cpu::SearchCounts work;
  {
    const core::Stopwatch watch(seconds);
    work = searcher.search(rows, how, keys, found, *pool);
  }
  if (on != nullptr && rows.rows > 0) on->note_cpu_search(rows.rows, width, seconds);
  return work;
}

cpu::SearchCounts Index::Impl::exact(MatrixView<const float> rows, std::uint32_t k, core::Key* keys,
                                     std::uint32_t* found, LogLines& later) {
  constexpr std::uint64_t kWorthADevice = 1 << 24;  // distances
  cuda::Backend* on =
      device(std::uint64_t{rows.rows} * graph.size() >= kWorthADevice, false, &later);
  if (on != nullptr && k > 0 && rows.rows > 1 && graph.size() > 0 && on->takes_exact(k)) {
    try {
      if (const auto work = counts_of(on->exact(rows, k, keys, found))) return *work;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::invalid_vector) throw;
      give_up_device(error, &later);
    }
  }
  return searcher.exact(rows, k, keys, found, *pool);
}

template <class Run>
void Index::Impl::answer(std::span<const core::Content> used, std::size_t n, std::uint32_t k,
                         MatrixView<std::uint64_t> labels_out, MatrixView<float> distances_out,
                         std::span<std::uint32_t> counts, const Run& run) const {
  LogLines later;
  const auto tell = [&] {
    for (const LogLine& line : later) line.log(line.level, line.message);
  };
  try {
    answer_among_readers(used, n, k, labels_out, distances_out, counts, run, later);
  } catch (...) {
    tell();
    throw;
  }
  tell();
}

template <class Run>
void Index::Impl::answer_among_readers(std::span<const core::Content> used, std::size_t n,
                                       std::uint32_t k, MatrixView<std::uint64_t> labels_out,
                                       MatrixView<float> distances_out,
                                       std::span<std::uint32_t> counts, const Run& run,
                                       LogLines& later) const {
  const auto reading = readers.enter();
  ensure_checked(used);
  const auto fits = [&](const auto& out) {
    return out.rows == n && out.cols == k && (out.rows < 2 || out.stride >= k) &&
           (out.data != nullptr || n * k == 0);
  };
  if (!fits(labels_out) || !fits(distances_out) || counts.size() != n) {
    throw Error(ErrorCode::dimension_mismatch,
                "results need " + std::to_string(n) + " rows of " + std::to_string(k) +
                    " labels and distances, a stride of at least that, and as many counts as rows");
  }
  std::vector<core::Key> keys(n * k);
  const cpu::SearchCounts work = run(keys.data(), counts.data(), later);
  for (std::size_t q = 0; q < n; ++q) {
    for (std::uint32_t j = 0; j < k; ++j) {
      const core::Key key = keys[q * k + j];
      const bool found = j < counts[q];
      labels_out.row(q)[j] = found ? labels.label(core::key_id(key)) : kNoLabel;
      distances_out.row(q)[j] =
          found ? core::key_distance(key) : std::numeric_limits<float>::infinity();
    }
  }
  queries += n;
  search_distances += work.distances;
  search_hops += work.hops;
}

}  // namespace concord
