// Searches of an Index: checks arguments, chooses who answers, turns keys into labels.

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include "common/base/float_environment.hpp"
#include "common/index/dispatch.hpp"
#include "common/index/index_impl.hpp"
#include "cpu/grouped_search.hpp"

namespace concord {
namespace {

// The parts of a mapped file that a search reads, and that are checked before.
constexpr std::array kUsedBySearch = {core::FilePart::graph, core::FilePart::vectors,
                                      core::FilePart::labels};
constexpr std::array kUsedByExactSearch = {core::FilePart::vectors, core::FilePart::labels};

// What the time of a search is proportional to.
std::uint32_t beam_width(const SearchParams& how) {
  return how.k == 0 ? 0 : std::max(how.ef, how.k);
}

// Places of a row of results.
std::uint32_t width_of(const SearchParams& params, const SearchOptions& options) {
  return options.groups == nullptr ? params.k : params.k * options.group_hits;
}

}  // namespace

SearchResult Index::search(MatrixView<const float> queries, const SearchParams& params) const {
  check_search(params, impl_->contents.graph.params().metric);
  SearchResult result = result_of(queries.rows, params.k);
  const SearchOutput out = output_of(result);
  search(queries, params, out.labels, out.distances, out.counts);
  return result;
}

void Index::search(MatrixView<const float> queries, const SearchParams& params,
                   MatrixView<std::uint64_t> labels, MatrixView<float> distances,
                   std::span<std::uint32_t> counts) const {
  check_search(params, impl_->contents.graph.params().metric);
  const core::FloatEnvironment environment;
  impl_->contents.vectors.check_shape(queries, "queries");
  impl_->answer(kUsedBySearch, queries.rows, params.k, {labels, distances, counts},
                [&](core::Key* keys, std::uint32_t* found, DeferredLog& log) {
                  return impl_->search(queries, params, keys, found, *impl_->pool, log);
                });
}

SearchResult Index::search(MatrixView<const float> queries, const SearchParams& params,
                           const SearchOptions& options) const {
  check_search(params, impl_->contents.graph.params().metric);
  if (options.groups != nullptr) (void)IndexAccess::groups_of(*this, params, options);
  SearchResult result = result_of(queries.rows, width_of(params, options));
  const SearchOutput out = output_of(result);
  search(queries, params, options, out.labels, out.distances, out.counts);
  return result;
}

void Index::search(MatrixView<const float> queries, const SearchParams& params,
                   const SearchOptions& options, MatrixView<std::uint64_t> labels,
                   MatrixView<float> distances, std::span<std::uint32_t> counts) const {
  const std::vector<const core::MatchSet*> filters =
      IndexAccess::filters_of(*this, options, queries.rows);
  if (filters.empty() && options.groups == nullptr) {
    return search(queries, params, labels, distances, counts);
  }
  check_search(params, impl_->contents.graph.params().metric);
  const core::FloatEnvironment environment;
  impl_->contents.vectors.check_shape(queries, "queries");
  if (options.groups != nullptr) {
    return impl_->grouped(queries, params, IndexAccess::groups_of(*this, params, options), filters,
                          Impl::Scan::by_rule, {labels, distances, counts});
  }
  impl_->answer(kUsedBySearch, queries.rows, params.k, {labels, distances, counts},
                [&](core::Key* keys, std::uint32_t* found, DeferredLog& log) {
                  return impl_->filtered(queries, params, {filters}, keys, found, *impl_->pool,
                                         log);
                });
}

SearchResult IndexAccess::search(const Index& index, cuda::DeviceMatrixView<const float> queries,
                                 const SearchParams& params, cuda::CudaStream stream,
                                 const FetchRows& fetch) {
  const core::FloatEnvironment environment;
  Index::Impl& impl = *index.impl_;
  check_search(params, impl.contents.graph.params().metric);
  SearchResult result = result_of(queries.rows, params.k);
  impl.answer(kUsedBySearch, queries.rows, params.k, output_of(result),
              [&](core::Key* keys, std::uint32_t* found, DeferredLog& log) {
                return impl.search_there(queries, params, stream, fetch, keys, found, log);
              });
  return result;
}

bool IndexAccess::search_there(const Index& index, cuda::DeviceMatrixView<const float> queries,
                               const SearchParams& params, cuda::CudaStream stream,
                               const cuda::DeviceResults& results) {
  const core::FloatEnvironment environment;
  Index::Impl& impl = *index.impl_;
  check_search(params, impl.contents.graph.params().metric);
  DeferredLog log(impl.options.log);
  bool answered = true;
  log.deliver_after([&] {
    const auto reading = impl.readers.enter();
    impl.mapped.expect_sound(kUsedBySearch);
    const cpu::SearchCounts work = device_or_cpu(
        impl.device, impl.device_for(queries.rows, params), log,
        [&](cuda::Backend& on) -> std::optional<cuda::Counters> {
          try {
            return on.search_there({queries, stream}, params, results);
          } catch (const Error& error) {
            if (error.code() != ErrorCode::invalid_vector) throw;
            return std::nullopt;
          }
        },
        [&] {
          answered = false;
          return cpu::SearchCounts();
        });
    if (answered) impl.count(queries.rows, work);
  });
  return answered;
}

SearchResult Index::exact_search(MatrixView<const float> queries, std::uint32_t k) const {
  check_exact(k);
  const core::FloatEnvironment environment;
  impl_->contents.vectors.check_shape(queries, "queries");
  SearchResult result = result_of(queries.rows, k);
  impl_->answer(kUsedByExactSearch, queries.rows, k, output_of(result),
                [&](core::Key* keys, std::uint32_t* found, DeferredLog& log) {
                  return impl_->exact(queries, k, keys, found, *impl_->pool, log);
                });
  return result;
}

SearchResult Index::exact_search(MatrixView<const float> queries, std::uint32_t k,
                                 const SearchOptions& options) const {
  const std::vector<const core::MatchSet*> filters =
      IndexAccess::filters_of(*this, options, queries.rows);
  if (filters.empty() && options.groups == nullptr) return exact_search(queries, k);
  check_exact(k);
  const core::FloatEnvironment environment;
  impl_->contents.vectors.check_shape(queries, "queries");
  if (options.groups != nullptr) {
    const core::GroupRule groups = IndexAccess::groups_of(*this, {.k = k}, options);
    SearchResult of_groups = result_of(queries.rows, groups.k * groups.hits);
    impl_->grouped(queries, {.k = k}, groups, filters, Impl::Scan::always, output_of(of_groups));
    return of_groups;
  }
  SearchResult result = result_of(queries.rows, k);
  impl_->answer(kUsedByExactSearch, queries.rows, k, output_of(result),
                [&](core::Key* keys, std::uint32_t* found, DeferredLog& log) {
                  return impl_->exact(queries, k, {filters}, keys, found, *impl_->pool, log);
                });
  return result;
}

void Index::Impl::grouped(MatrixView<const float> rows, const SearchParams& how,
                          const core::GroupRule& groups, std::vector<const core::MatchSet*> filters,
                          Scan scan, const SearchOutput& out) const {
  if (filters.empty()) filters.push_back(nullptr);
  answer(kUsedBySearch, rows.rows, groups.k * groups.hits, out,
         [&](core::Key* keys, std::uint32_t* found, DeferredLog& /*log*/) {
           return searcher.grouped(rows, how, groups, {filters}, scan == Scan::always, keys, found,
                                   *pool);
         });
}

RangeResult Index::range_search(MatrixView<const float> queries, float radius,
                                const RangeParams& params, const SearchOptions& options) const {
  std::vector<const core::MatchSet*> filters =
      IndexAccess::filters_of(*this, options, queries.rows);
  if (filters.empty()) filters.push_back(nullptr);
  check_range(radius, params, impl_->contents.graph.params().metric);
  if (options.groups != nullptr) {
    throw Error(ErrorCode::invalid_parameter, "a range search takes no groups; a search does");
  }
  const core::FloatEnvironment environment;
  impl_->contents.vectors.check_shape(queries, "queries");
  const core::RangeRule rule(radius, params.ef, params.slack,
                             params.limit ? *params.limit : core::RangeRule::kNoLimit);
  std::vector<std::vector<core::Key>> hits(queries.rows);
  const auto reading = impl_->readers.enter();
  impl_->mapped.expect_sound(kUsedBySearch);
  impl_->count(queries.rows, impl_->searcher.range(queries, rule, {filters}, hits, *impl_->pool));
  return impl_->to_result(hits);
}

RangeResult Index::Impl::to_result(std::span<const std::vector<core::Key>> hits) const {
  RangeResult result;
  result.lims.reserve(hits.size() + 1);
  result.lims.push_back(0);
  for (const auto& keys : hits) result.lims.push_back(result.lims.back() + keys.size());
  result.labels.reserve(result.lims.back());
  result.distances.reserve(result.lims.back());
  for (const auto& keys : hits) {
    for (const core::Key key : keys) {
      result.labels.push_back(contents.labels.label(core::key_id(key)));
      result.distances.push_back(core::key_distance(key));
    }
  }
  return result;
}

cpu::SearchCounts Index::Impl::filtered(MatrixView<const float> rows, const SearchParams& how,
                                        const core::QueryFilters& filters, core::Key* keys,
                                        std::uint32_t* found, core::ThreadPool& threads,
                                        DeferredLog& log) {
  return routed(
      device, {&cuda::Backend::takes_filtered, &cuda::Backend::note_cpu_filtered},
      is_worth_a_device(rows.rows), rows.rows, beam_width(how), log,
      [&](cuda::Backend& on) { return on.filtered(rows, how, filters, keys, found); },
      [&] { return searcher.filtered(rows, how, filters, false, keys, found, threads); });
}

cpu::SearchCounts Index::Impl::search(MatrixView<const float> rows, const SearchParams& how,
                                      core::Key* keys, std::uint32_t* found,
                                      core::ThreadPool& threads, DeferredLog& log) {
  return routed(
      device, {&cuda::Backend::takes_search, &cuda::Backend::note_cpu_search},
      is_worth_a_device(rows.rows), rows.rows, beam_width(how), log,
      [&](cuda::Backend& on) { return on.search(rows, how, keys, found); },
      [&] { return searcher.search(rows, how, keys, found, threads); });
}

cuda::Backend* Index::Impl::device_for(std::size_t rows, const SearchParams& how) const {
  cuda::Backend* const open = device.in_use();
  const bool takes =
      open != nullptr && how.k > 0 && open->takes_search(rows, std::max(how.ef, how.k));
  return takes ? open : nullptr;
}

cpu::SearchCounts Index::Impl::search_there(OnDevice rows, const SearchParams& how,
                                            cuda::CudaStream stream,
                                            const IndexAccess::FetchRows& fetch, core::Key* keys,
                                            std::uint32_t* found, DeferredLog& log) {
  return device_or_cpu(
      device, device_for(rows.rows, how), log,
      [&](cuda::Backend& on) -> std::optional<cuda::Counters> {
        try {
          return on.search({rows, stream}, how, keys, found);
        } catch (const Error& error) {
          if (error.code() != ErrorCode::invalid_vector) throw;
          return std::nullopt;  // on the host the message will name the query
        }
      },
      [&] { return search(fetch(), how, keys, found, *pool, log); });
}

cpu::SearchCounts Index::Impl::exact(MatrixView<const float> rows, std::uint32_t k, core::Key* keys,
                                     std::uint32_t* found, core::ThreadPool& threads,
                                     DeferredLog& log) {
  const std::uint64_t n = contents.graph.size();
  cuda::Backend* const open =
      device.get(is_worth_a_device(rows.rows, n), DeviceSlot::Wait::for_nothing, log);
  const bool takes = open != nullptr && k > 0 && rows.rows > 1 && n > 0 && open->takes_exact(k);
  return device_or_cpu(
      device, takes ? open : nullptr, log,
      [&](cuda::Backend& on) { return on.exact(rows, k, keys, found); },
      [&] { return searcher.exact(rows, k, keys, found, threads); });
}

cpu::SearchCounts Index::Impl::exact(MatrixView<const float> rows, std::uint32_t k,
                                     const core::QueryFilters& filters, core::Key* keys,
                                     std::uint32_t* found, core::ThreadPool& threads,
                                     DeferredLog& log) {
  std::uint64_t pairs = 0;
  for (std::size_t q = 0; q < rows.rows; ++q) {
    pairs += filters[q] == nullptr ? contents.graph.size() : filters[q]->ids().size();
  }
  const auto matches = static_cast<std::uint32_t>(pairs / std::max<std::size_t>(rows.rows, 1));
  const std::uint32_t width = k == 0 ? 0 : matches;
  return routed(
      device, {&cuda::Backend::takes_exact_filtered, &cuda::Backend::note_cpu_exact_filtered},
      is_worth_a_device(rows.rows, width), rows.rows, width, log,
      [&](cuda::Backend& on) { return on.exact_filtered(rows, k, matches, filters, keys, found); },
      [&] { return searcher.filtered(rows, {.k = k}, filters, true, keys, found, threads); });
}

template <class Run>
void Index::Impl::answer(std::span<const core::FilePart> used, std::size_t n, std::uint32_t k,
                         const SearchOutput& out, const Run& run) const {
  DeferredLog log(options.log);
  log.deliver_after([&] {
    const auto reading = readers.enter();
    mapped.expect_sound(used);
    expect_room(n, k, out);
    std::vector<core::Key> keys(n * k);
    count(n, run(keys.data(), out.counts.data(), log));
    write_results(keys, k, out);
  });
}

void Index::Impl::count(std::size_t n, const cpu::SearchCounts& work) const {
  queries += n;
  search_distances += work.distances;
  search_hops += work.hops;
  search_rescored += work.rescored;
}

bool IndexAccess::has_device(const Index& index, bool worth_it) {
  DeferredLog log(index.impl_->options.log);
  bool has = false;
  log.deliver_after([&] {
    has = index.impl_->device.get(worth_it, DeviceSlot::Wait::for_nothing, log) != nullptr;
  });
  return has;
}

void IndexAccess::search_keys(const Index& index, MatrixView<const float> queries,
                              const SearchParams& params, const core::QueryFilters& filters,
                              const KeyOutput& out, core::ThreadPool& pool) {
  const core::FloatEnvironment environment;
  Index::Impl& impl = *index.impl_;
  DeferredLog log(impl.options.log);
  log.deliver_after([&] {
    const auto reading = impl.readers.enter();
    impl.mapped.expect_sound(kUsedBySearch);
    impl.count(queries.rows,
               filters.sets.empty()
                   ? impl.search(queries, params, out.keys, out.counts, pool, log)
                   : impl.filtered(queries, params, filters, out.keys, out.counts, pool, log));
  });
}

void IndexAccess::exact_keys(const Index& index, MatrixView<const float> queries, std::uint32_t k,
                             const core::QueryFilters& filters, const KeyOutput& out,
                             core::ThreadPool& pool) {
  const core::FloatEnvironment environment;
  Index::Impl& impl = *index.impl_;
  DeferredLog log(impl.options.log);
  log.deliver_after([&] {
    const auto reading = impl.readers.enter();
    impl.mapped.expect_sound(kUsedByExactSearch);
    impl.count(queries.rows,
               filters.sets.empty()
                   ? impl.exact(queries, k, out.keys, out.counts, pool, log)
                   : impl.exact(queries, k, filters, out.keys, out.counts, pool, log));
  });
}

void IndexAccess::range_keys(const Index& index, MatrixView<const float> queries,
                             const core::RangeRule& rule, const core::QueryFilters& filters,
                             std::span<std::vector<core::Key>> found, core::ThreadPool& pool) {
  const core::FloatEnvironment environment;
  const Index::Impl& impl = *index.impl_;
  const auto reading = impl.readers.enter();
  impl.mapped.expect_sound(kUsedBySearch);
  const core::MatchSet* const none = nullptr;
  const core::QueryFilters all{{&none, 1}};
  impl.count(queries.rows,
             impl.searcher.range(queries, rule, filters.sets.empty() ? all : filters, found, pool));
}

void IndexAccess::grouped_keys(const Index& index, MatrixView<const float> queries,
                               const SearchParams& params, const core::GroupRule& rule,
                               bool is_exact, const core::QueryFilters& filters,
                               const KeyOutput& out, std::uint32_t* groups,
                               core::ThreadPool& pool) {
  const core::FloatEnvironment environment;
  const Index::Impl& impl = *index.impl_;
  const auto reading = impl.readers.enter();
  impl.mapped.expect_sound(kUsedBySearch);
  const core::MatchSet* const none = nullptr;
  const core::QueryFilters all{{&none, 1}};
  impl.count(queries.rows,
             impl.searcher.grouped(queries, params, rule, filters.sets.empty() ? all : filters,
                                   is_exact, out.keys, out.counts, pool));
  const core::Graph& graph = impl.contents.graph;
  const core::PlacedGroups placed = cpu::groups_beside(graph, graph.tombstones().hole(), rule.set);
  const std::size_t width = std::size_t{rule.k} * rule.hits;
  for (std::size_t q = 0; q < queries.rows; ++q) {
    for (std::size_t j = 0; j < out.counts[q]; ++j) {
      groups[q * width + j] = placed[core::key_id(out.keys[q * width + j])];
    }
  }
}

// Nodes before the hole of a slide have the ids behind it.
std::uint64_t IndexAccess::number_of(const Index& index, core::NodeId id) noexcept {
  const core::Graph& graph = index.impl_->contents.graph;
  if (!graph.is_sliding()) return graph.numbering().number(id);
  const bool has_moved = id < graph.tombstones().hole().begin;
  return (has_moved ? graph.next_numbering() : graph.numbering()).number(id);
}

void Index::Impl::write_results(const std::vector<core::Key>& keys, std::uint32_t k,
                                const SearchOutput& out) const {
  for (std::size_t q = 0; q < out.counts.size(); ++q) {
    for (std::uint32_t j = 0; j < k; ++j) {
      const core::Key key = keys[q * k + j];
      const bool found = j < out.counts[q];
      out.labels.row(q)[j] = found ? contents.labels.label(core::key_id(key)) : kNoLabel;
      out.distances.row(q)[j] =
          found ? core::key_distance(key) : std::numeric_limits<float>::infinity();
    }
  }
}

}  // namespace concord
