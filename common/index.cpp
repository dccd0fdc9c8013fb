// The public Index over the parts: vectors, labels, graph, committer, and whoever proposes and
// searches. The one file that knows the backends.

#include <algorithm>
#include <atomic>
#include <concord/index.hpp>
#include <limits>
#include <mutex>
#include <new>

#include "common/audit.hpp"
#include "common/builder.hpp"
#include "common/committer.hpp"
#include "common/digest.hpp"
#include "common/file_format.hpp"
#include "common/float_environment.hpp"
#include "common/graph.hpp"
#include "common/hybrid_proposer.hpp"
#include "common/index_access.hpp"
#include "common/label_map.hpp"
#include "common/stopwatch.hpp"
#include "common/thread_pool.hpp"
#include "common/vector_store.hpp"
#include "cpu/isa.hpp"
#include "cpu/proposer.hpp"
#include "cpu/searcher.hpp"
#include "cuda/backend.hpp"

namespace concord {
namespace {

constexpr std::uint32_t kMaxSearchWidth = 65536;
constexpr const char* kNotOpened = "not needed yet";

RuntimeOptions validated(RuntimeOptions options) {
  if (options.threads > 1024) {
    throw Error(ErrorCode::invalid_parameter, "threads is " + std::to_string(options.threads) +
                                                  "; allowed are 0 (all hardware threads) to 1024");
  }
  return options;
}

IndexParams validated(const IndexParams& params) {
  params.validate();
  return params;
}

void check_search_width(const char* name, std::uint32_t value, std::uint32_t low) {
  if (value >= low && value <= kMaxSearchWidth) return;
  throw Error(ErrorCode::invalid_parameter, std::string(name) + " is " + std::to_string(value) +
                                                "; allowed are " + std::to_string(low) + " to " +
                                                std::to_string(kMaxSearchWidth));
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

}  // namespace

struct Index::Impl {
  explicit Impl(const IndexParams& params, RuntimeOptions runtime)
      : options(validated(std::move(runtime))),
        kernels(&cpu::choose_kernels()),
        device_spec(cuda::DeviceSpec::parse(options.device)),
        pool(std::make_unique<core::ThreadPool>(options.threads)),
        vectors(validated(params)),
        graph(params),
        committer(graph, build),
        searcher(graph, vectors, metric_kernels()) {
    if (device_spec.required) open_device();
  }

  [[nodiscard]] const cpu::MetricKernels& metric_kernels() const {
    return cpu::for_metric(*kernels, graph.params().metric);
  }

  std::size_t add(MatrixView<const float> rows, std::span<const std::uint64_t> new_labels,
                  const ProgressCallback& progress);
  using OnDevice = cuda::DeviceMatrixView<const float>;
  /// `write` brings `count` rows; `there` is the same rows where device memory has them.
  std::size_t add(std::size_t count, std::span<const std::uint64_t> new_labels,
                  const ProgressCallback& progress, const IndexAccess::WriteRows& write,
                  OnDevice there = {});
  void insert(const ProgressCallback& progress, OnDevice there);
  void truncate() noexcept;

  /// Opens the device where one is wanted and none was tried yet. Throws Error(unsupported) only
  /// where options.device requires one.
  void open_device();
  cuda::OpenedDevice try_device(const RuntimeOptions& with, const cuda::DeviceSpec& spec,
                                core::ThreadPool& threads);
  void log_opened(const cuda::OpenedDevice& opened, bool taken) const;
  /// The device, opened where `worth_it`; null where there is none.
  cuda::Backend* device(bool worth_it);
  void give_up_device(const Error& error);
  void log(LogLevel level, const std::string& message) const {
    if (options.log) options.log(level, message);
  }
  cpu::SearchCounts search(MatrixView<const float> rows, std::uint32_t k, std::uint32_t ef,
                           core::Key* keys, std::uint32_t* found);
  cpu::SearchCounts exact(MatrixView<const float> rows, std::uint32_t k, core::Key* keys,
                          std::uint32_t* found);

  template <class Run>
  void answer(std::size_t n, std::uint32_t k, MatrixView<std::uint64_t> labels_out,
              MatrixView<float> distances_out, std::span<std::uint32_t> counts,
              const Run& run) const;

  RuntimeOptions options;
  const cpu::DistanceKernels* kernels;
  cuda::DeviceSpec device_spec;
  std::unique_ptr<core::ThreadPool> pool;
  core::VectorStore vectors;
  core::LabelMap labels;
  core::Graph graph;
  BuildStats build;
  core::Committer committer;
  cpu::Searcher searcher;
  std::mutex device_mutex;  ///< guards the four below where searches share them
  bool device_tried = false;
  std::atomic<bool> device_failed{false};
  std::string device_reason = kNotOpened;
  std::unique_ptr<cuda::Backend> backend;
  mutable std::atomic<std::uint64_t> queries{0};
  mutable std::atomic<std::uint64_t> search_distances{0};
  mutable std::atomic<std::uint64_t> search_hops{0};
};

Index::Index(const IndexParams& params, RuntimeOptions options)
    : impl_(std::make_unique<Impl>(params, std::move(options))) {}
Index::Index(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Index::~Index() = default;
Index::Index(Index&&) noexcept = default;
Index& Index::operator=(Index&&) noexcept = default;

// ------------------------------------------------------------------------------------------- add

std::size_t Index::add(MatrixView<const float> vectors, const ProgressCallback& progress) {
  return impl_->add(vectors, {}, progress);
}

std::size_t Index::add(MatrixView<const float> vectors, std::span<const std::uint64_t> labels,
                       const ProgressCallback& progress) {
  if (labels.size() != vectors.rows) {
    throw Error(ErrorCode::dimension_mismatch, std::to_string(labels.size()) + " labels for " +
                                                   std::to_string(vectors.rows) +
                                                   " vectors; there must be one each");
  }
  return impl_->add(vectors, labels, progress);
}

std::size_t Index::add_from(const RowSource& source, std::size_t count,
                            std::span<const std::uint64_t> labels,
                            const ProgressCallback& progress) {
  if (!labels.empty() && labels.size() != count) {
    throw Error(ErrorCode::dimension_mismatch, std::to_string(labels.size()) + " labels for " +
                                                   std::to_string(count) +
                                                   " vectors; there must be one each, or none");
  }
  return impl_->add(count, labels, progress, [&](core::VectorStore& store, std::size_t at) {
    for (std::size_t done = 0; done < count;) {
      const MatrixView<const float> rows = source(done);
      if (rows.rows == 0 || rows.rows > count - done) {
        throw Error(ErrorCode::dimension_mismatch,
                    "the source gave " + std::to_string(rows.rows) + " vectors from number " +
                        std::to_string(done) + " on; allowed are 1 to " +
                        std::to_string(count - done));
      }
      store.check_shape(rows, "vectors");
      store.write(at + done, rows, *impl_->pool, done);
      done += rows.rows;
    }
  });
}

std::size_t Index::Impl::add(MatrixView<const float> rows,
                             std::span<const std::uint64_t> new_labels,
                             const ProgressCallback& progress) {
  vectors.check_shape(rows, "vectors");
  return add(rows.rows, new_labels, progress,
             [&](core::VectorStore& store, std::size_t first) { store.write(first, rows, *pool); });
}

std::size_t Index::Impl::add(std::size_t count, std::span<const std::uint64_t> new_labels,
                             const ProgressCallback& progress, const IndexAccess::WriteRows& write,
                             OnDevice there) {
  if (count == 0) return 0;
  const core::FloatEnvironment environment;
  const core::NodeId before = graph.size();
  try {
    {
      const core::Stopwatch watch(build.ingest.seconds);
      // Saturating: a view of absurdly many rows is refused here, it must not wrap around.
      graph.reserve(before + std::min(count, ~std::size_t{0} - before));
      vectors.resize(before + count);
      write(vectors, before);
      labels.append(new_labels, count);
      graph.announce(static_cast<core::NodeId>(before + count));
      build.ingest.count += count;
    }
    insert(progress, there);
  } catch (...) {
    truncate();
    throw;
  }
  truncate();
  return graph.size() - before;
}

// Drops what was announced and not committed.
void Index::Impl::truncate() noexcept {
  graph.retract();
  labels.truncate(graph.size());
  vectors.resize(graph.size());
}

void Index::Impl::insert(const ProgressCallback& progress, OnDevice there) {
  cpu::CpuProposer cpu_proposer(graph, vectors, metric_kernels(), *pool, build);
  cuda::Backend* on = device(graph.announced() - graph.size() >= cuda::Backend::kSmallestAddition);
  if (on != nullptr) on->begin_addition(graph.size(), there);
  const auto end_addition = [](cuda::Backend* used) { used->end_addition(); };
  const std::unique_ptr<cuda::Backend, decltype(end_addition)> addition(on, end_addition);
  core::HybridProposer proposer(on == nullptr ? nullptr : &on->proposer(), cpu_proposer,
                                cuda::Backend::kSmallestBatch,
                                [&](const Error& error) { give_up_device(error); });
  core::insert_announced(graph, committer, proposer, progress);
}

// ---------------------------------------------------------------------------------------- device

cuda::OpenedDevice Index::Impl::try_device(const RuntimeOptions& with, const cuda::DeviceSpec& spec,
                                           core::ThreadPool& threads) {
  return cuda::open_backend(spec, with, graph, vectors, threads, build);
}

// The log is the caller's code, and may ask for stats: no lock is held.
void Index::Impl::log_opened(const cuda::OpenedDevice& opened, bool taken) const {
  if (taken) return log(LogLevel::info, "using " + opened.reason);
  log(opened.was_there ? LogLevel::warning : LogLevel::info, "using the CPU: " + opened.reason);
}

void Index::Impl::open_device() {
  cuda::OpenedDevice opened;
  bool taken = false;
  {
    const std::lock_guard lock(device_mutex);
    if (device_tried || !device_spec.wanted) return;
    device_tried = true;
    opened = try_device(options, device_spec, *pool);
    device_reason = opened.reason;
    backend = std::move(opened.backend);
    taken = backend != nullptr;
  }
  log_opened(opened, taken);
}

cuda::Backend* Index::Impl::device(bool worth_it) {
  if (worth_it) open_device();
  const std::lock_guard lock(device_mutex);
  return device_failed ? nullptr : backend.get();
}

// The object stays until the index goes, since other threads may be searching on it.
void Index::Impl::give_up_device(const Error& error) {
  {
    const std::lock_guard lock(device_mutex);
    if (device_failed.exchange(true)) return;
    device_reason += std::string("; given up: ") + error.what();
  }
  log(LogLevel::warning,
      std::string("the device failed, the CPU goes on from the last commit: ") + error.what());
}

cuda::Device& IndexAccess::device(const Index& index) {
  Index::Impl& impl = *index.impl_;
  impl.open_device();
  const std::lock_guard lock(impl.device_mutex);
  if (impl.backend) return impl.backend->device();
  throw Error(ErrorCode::unsupported,
              "data in device memory needs an index with a device: " +
                  (impl.device_spec.wanted ? impl.device_reason : "the CPU was asked for"));
}

core::ThreadPool& IndexAccess::pool(const Index& index) { return *index.impl_->pool; }

std::size_t IndexAccess::add(Index& index, cuda::DeviceMatrixView<const float> vectors,
                             std::span<const std::uint64_t> labels,
                             const ProgressCallback& progress, const WriteRows& write) {
  return index.impl_->add(vectors.rows, labels, progress, write, vectors);
}

IndexAccess::Content IndexAccess::content(const Index& index) {
  return {index.impl_->graph, index.impl_->labels};
}

Index IndexAccess::construct(const IndexParams& params, RuntimeOptions options,
                             const std::function<void(const Construction&)>& fill) {
  auto impl = std::make_unique<Index::Impl>(params, std::move(options));
  const core::FloatEnvironment environment;
  fill({impl->graph, impl->vectors, impl->labels, impl->committer, *impl->pool, impl->build,
        [&parts = *impl](core::ThreadPool& pool, BuildStats& stats) {
          return std::make_unique<cpu::CpuProposer>(parts.graph, parts.vectors,
                                                    parts.metric_kernels(), pool, stats);
        }});
  return Index(std::move(impl));
}

// ---------------------------------------------------------------------------------------- search

SearchResult Index::search(MatrixView<const float> queries, const SearchParams& params) const {
  check_search_width("k", params.k, 0);
  SearchResult result = result_of(queries.rows, params.k);
  search(queries, params, {result.labels.data(), queries.rows, params.k},
         {result.distances.data(), queries.rows, params.k}, result.counts);
  return result;
}

void Index::search(MatrixView<const float> queries, const SearchParams& params,
                   MatrixView<std::uint64_t> labels, MatrixView<float> distances,
                   std::span<std::uint32_t> counts) const {
  check_search_width("k", params.k, 0);
  check_search_width("ef", params.ef, 1);
  const core::FloatEnvironment environment;
  impl_->vectors.check_shape(queries, "queries");
  impl_->answer(queries.rows, params.k, labels, distances, counts,
                [&](core::Key* keys, std::uint32_t* found) {
                  return impl_->search(queries, params.k, params.ef, keys, found);
                });
}

std::optional<SearchResult> IndexAccess::search(const Index& index,
                                                cuda::DeviceMatrixView<const float> queries,
                                                const SearchParams& params,
                                                cuda::CudaStream stream) {
  check_search_width("k", params.k, 0);
  check_search_width("ef", params.ef, 1);
  Index::Impl& impl = *index.impl_;
  cuda::Backend* const on = impl.device(true);
  if (on == nullptr || params.k == 0 ||
      !on->takes_search(queries.rows, std::max(params.ef, params.k))) {
    return std::nullopt;
  }
  SearchResult result = result_of(queries.rows, params.k);
  try {
    impl.answer(queries.rows, params.k, {result.labels.data(), queries.rows, params.k},
                {result.distances.data(), queries.rows, params.k}, result.counts,
                [&](core::Key* keys, std::uint32_t* found) -> cpu::SearchCounts {
                  const cuda::Counters work =
                      on->search(queries, stream, params.k, params.ef, keys, found);
                  return {work.distances, work.hops};
                });
  } catch (const Error& error) {
    if (error.code() != ErrorCode::invalid_vector) impl.give_up_device(error);
    return std::nullopt;
  }
  return result;
}

SearchResult Index::exact_search(MatrixView<const float> queries, std::uint32_t k) const {
  check_search_width("k", k, 0);
  const core::FloatEnvironment environment;
  impl_->vectors.check_shape(queries, "queries");
  SearchResult result = result_of(queries.rows, k);
  impl_->answer(
      queries.rows, k, {result.labels.data(), queries.rows, k},
      {result.distances.data(), queries.rows, k}, result.counts,
      [&](core::Key* keys, std::uint32_t* found) { return impl_->exact(queries, k, keys, found); });
  return result;
}

cpu::SearchCounts Index::Impl::search(MatrixView<const float> rows, std::uint32_t k,
                                      std::uint32_t ef, core::Key* keys, std::uint32_t* found) {
  constexpr std::size_t kWorthADevice = 256;
  cuda::Backend* on = device(rows.rows >= kWorthADevice);
  if (on != nullptr && k > 0 && on->takes_search(rows.rows, std::max(ef, k))) {
    try {
      const cuda::Counters work = on->search(rows, k, ef, keys, found);
      return {work.distances, work.hops};
    } catch (const Error& error) {
      if (error.code() == ErrorCode::invalid_vector) throw;
      give_up_device(error);
    }
  }
  double seconds = 0;
  cpu::SearchCounts work;
  {
    const core::Stopwatch watch(seconds);
    work = searcher.search(rows, k, ef, keys, found, *pool);
  }
  if (on != nullptr && rows.rows > 0) on->note_cpu_search(rows.rows, std::max(ef, k), seconds);
  return work;
}

cpu::SearchCounts Index::Impl::exact(MatrixView<const float> rows, std::uint32_t k, core::Key* keys,
                                     std::uint32_t* found) {
  constexpr std::uint64_t kWorthADevice = 1 << 24;  // distances
  cuda::Backend* on = device(std::uint64_t{rows.rows} * graph.size() >= kWorthADevice);
  if (on != nullptr && k > 0 && rows.rows > 1 && graph.size() > 0 && on->takes_exact(k)) {
    try {
      return {on->exact(rows, k, keys, found).distances, 0};
    } catch (const Error& error) {
      if (error.code() == ErrorCode::invalid_vector) throw;
      give_up_device(error);
    }
  }
  return searcher.exact(rows, k, keys, found, *pool);
}

// Runs a search into keys and translates them to labels and distances.
template <class Run>
void Index::Impl::answer(std::size_t n, std::uint32_t k, MatrixView<std::uint64_t> labels_out,
                         MatrixView<float> distances_out, std::span<std::uint32_t> counts,
                         const Run& run) const {
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
  const cpu::SearchCounts work = run(keys.data(), counts.data());
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

// --------------------------------------------------------------------------------- file, content

void Index::save(const std::filesystem::path& path) const {
  core::save_index(path, impl_->graph, impl_->vectors, impl_->labels);
}

Index Index::load(const std::filesystem::path& path, RuntimeOptions options) {
  std::unique_ptr<Impl> impl;
  core::load_index(path, [&](const IndexParams& params) -> core::IndexParts {
    impl = std::make_unique<Impl>(params, std::move(options));
    return {impl->graph, impl->vectors, impl->labels};
  });
  impl->committer.find_crowded();
  return Index(std::move(impl));
}

std::size_t Index::size() const noexcept { return impl_->graph.size(); }
const IndexParams& Index::params() const noexcept { return impl_->graph.params(); }
bool Index::contains(std::uint64_t label) const {
  return impl_->labels.find(label) != core::kNoNode;
}

std::vector<float> Index::vector(std::uint64_t label) const {
  const core::NodeId node = impl_->labels.find(label);
  if (node == core::kNoNode) {
    throw Error(ErrorCode::unknown_label, "no vector has label " + std::to_string(label));
  }
  std::vector<float> vector(impl_->vectors.stride());
  impl_->vectors.copy(node, 1, vector.data());
  vector.resize(params().dimension);
  return vector;
}

std::vector<std::uint64_t> Index::labels() const {
  const auto labels = impl_->labels.labels();
  return {labels.begin(), labels.end()};
}

// ------------------------------------------------------------------------------------ inspection

AuditReport Index::audit() const { return core::audit(impl_->graph); }

std::string Index::digest() const {
  return core::to_hex(core::digest_of(impl_->graph, impl_->vectors, impl_->labels));
}

Stats Index::stats() const {
  const core::Graph& graph = impl_->graph;
  Stats stats;
  stats.size = graph.size();
  stats.max_level = graph.entry_point().level;
  stats.isa = impl_->kernels->isa;
  stats.threads = impl_->pool->size();
  stats.build = impl_->build;
  stats.search = {impl_->queries, impl_->search_distances, impl_->search_hops};
  {
    const std::lock_guard lock(impl_->device_mutex);
    if (impl_->backend) stats.device = impl_->backend->stats();
    if (!impl_->backend || impl_->device_failed) stats.device.name = "cpu";
    stats.device.reason =
        impl_->device_spec.wanted ? impl_->device_reason : "the CPU was asked for";
  }
  for (core::NodeId node = 0; node < graph.size(); ++node) {
    const auto count = [](std::vector<std::uint64_t>& histogram, std::size_t place) {
      if (histogram.size() <= place) histogram.resize(place + 1);
      ++histogram[place];
    };
    count(stats.level_histogram, graph.level(node));
    count(stats.degree_histogram, graph.table(0).degree(node));
  }
  return stats;
}

MemoryUse Index::memory() const {
  MemoryUse use;
  use.vectors = impl_->vectors.bytes();
  use.rows = impl_->graph.table(0).bytes();
  use.upper = impl_->graph.table(1).bytes();
  use.labels = impl_->labels.bytes();
  use.nodes = impl_->graph.node_bytes();
  use.epoch = impl_->graph.table(0).epoch_bytes() + impl_->graph.table(1).epoch_bytes();
  use.scratch = impl_->searcher.scratch_bytes();
  return use;
}

void Index::set_runtime(RuntimeOptions options) {
  RuntimeOptions checked = validated(std::move(options));
  const cuda::DeviceSpec spec = cuda::DeviceSpec::parse(checked.device);
  auto pool = std::make_unique<core::ThreadPool>(checked.threads);
  cuda::OpenedDevice opened;
  if (spec.required) opened = impl_->try_device(checked, spec, *pool);  // or nothing changes
  impl_->backend = std::move(opened.backend);
  impl_->device_tried = spec.required;
  impl_->device_failed = false;
  impl_->device_reason = spec.required ? opened.reason : kNotOpened;
  impl_->options = std::move(checked);
  impl_->device_spec = spec;
  impl_->pool = std::move(pool);  // after the backend that borrowed the old one
  if (spec.required) impl_->log_opened(opened, true);
}

}  // namespace concord
