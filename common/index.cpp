// The public Index over its parts: its life, additions, device, file and inspection
// (index_search.cpp has the searches, index_open.cpp the journal).

#include <unistd.h>

#include <algorithm>

#include "common/audit.hpp"
#include "common/builder.hpp"
#include "common/digest.hpp"
#include "common/file_format.hpp"
#include "common/float_environment.hpp"
#include "common/hybrid_proposer.hpp"
#include "common/index_impl.hpp"
#include "common/stopwatch.hpp"
#include "cpu/proposer.hpp"

namespace concord {
namespace {

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

// Results could not be read with such a label. What loads files takes it, from earlier commits.
void check_labels(std::span<const std::uint64_t> labels) {
  const auto found = std::find(labels.begin(), labels.end(), kNoLabel);
  if (found == labels.end()) return;
  throw Error(ErrorCode::invalid_parameter,
              "the label of vector " + std::to_string(found - labels.begin()) + " is " +
                  std::to_string(kNoLabel) +
                  ", which stands for no label in results; allowed are 0 to " +
                  std::to_string(kNoLabel - 1));
}

}  // namespace

Index::Impl::Impl(const IndexParams& params, RuntimeOptions runtime)
    : process(getpid()),
      options(validated(std::move(runtime))),
      kernels(&cpu::choose_kernels()),
      device_spec(cuda::DeviceSpec::parse(options.device)),
      pool(std::make_unique<core::ThreadPool>(options.threads)),
      vectors(validated(params), &readers),
      labels(&readers),
      graph(params),
      committer(graph, build),
      searcher(graph, vectors, metric_kernels()) {
  if (device_spec.required) open_device();
}

// A call that is on its way in cannot be seen; one that has entered ends well.
Index::Impl::~Impl() {
  writer_lock.wait_for_writer();
  const core::WriterLock::Visit visit(writer_lock);
  readers.wait_for_readers();
}

// Threads do not survive a fork: waiting for them does not end, or worse.
void Index::Impl::keep_after_fork(std::unique_ptr<Impl>& impl) noexcept {
  if (impl && impl->process != getpid()) static_cast<void>(impl.release());
}

Index::Index(const IndexParams& params, RuntimeOptions options)
    : impl_(std::make_unique<Impl>(params, std::move(options))) {}
Index::Index(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Index::~Index() { Impl::keep_after_fork(impl_); }
Index::Index(Index&&) noexcept = default;
Index& Index::operator=(Index&& other) noexcept {
  Impl::keep_after_fork(impl_);
  impl_ = std::move(other.impl_);
  return *this;
}

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
  if (check_mapped) {
    throw Error(ErrorCode::unsupported,
                "the index is mapped from a file and can only be read; Index::load gives one that "
                "takes additions");
  }
  if (count == 0) return 0;
  check_labels(new_labels);
  const core::FloatEnvironment environment;
  core::WriterLock::Writing writing(writer_lock);
  const auto end_keeping = [](Impl* impl) { impl->keep_device_for_writer(false); };
  const std::unique_ptr<Impl, decltype(end_keeping)> keeping(this, end_keeping);
  keep_device_for_writer(true);
  if (journal) journal->check_usable(graph.size());
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
    insert(writing, progress, there);
  } catch (...) {
    truncate();
    throw;
  }
  truncate();
  if (journal) journal->sync();
  return graph.size() - before;
}

// Drops what was announced and not committed.
void Index::Impl::truncate() noexcept {
  graph.retract();
  labels.truncate(graph.size());
  vectors.resize(graph.size());
}

void Index::Impl::insert(core::WriterLock::Writing& writing, const ProgressCallback& progress,
                         OnDevice there) {
  cpu::CpuProposer cpu_proposer(graph, vectors, metric_kernels(), *pool, build);
  cuda::Backend* on =
      device(graph.announced() - graph.size() >= cuda::Backend::kSmallestAddition, true);
  if (on != nullptr) on->begin_addition(graph.size(), there);
  const auto end_addition = [](cuda::Backend* used) { used->end_addition(); };
  const std::unique_ptr<cuda::Backend, decltype(end_addition)> addition(on, end_addition);
  core::HybridProposer proposer(on == nullptr ? nullptr : &on->proposer(), cpu_proposer,
                                cuda::Backend::kSmallestBatch,
                                [&](const Error& error) { give_up_device(error); });
  const auto end_recording = [](core::Journal* used) { used->end_addition(); };
  const std::unique_ptr<core::Journal, decltype(end_recording)> recording(journal.get(),
                                                                          end_recording);
  core::InsertionHooks hooks;
  hooks.between_steps = [&] {
    if (!writing.is_awaited()) return;
    proposer.settle();
    writing.lend();
  };
  if (journal) hooks.before_commit = [&](const core::ProposalBatch& batch) { record(batch); };
  core::insert_announced(graph, committer, proposer, progress, hooks);
}

// The last batch is on disk before anyone can find it.
void Index::Impl::record(const core::ProposalBatch& batch) const {
  const bool others_follow = batch.end < graph.announced();
  journal->append(batch, vectors, labels, others_follow);
  if (!others_follow) journal->sync();
}

// ---------------------------------------------------------------------------------------- device

cuda::OpenedDevice Index::Impl::try_device(const RuntimeOptions& with, const cuda::DeviceSpec& spec,
                                           core::ThreadPool& threads) {
  return cuda::open_backend(spec, with, graph, vectors, threads, build);
}

// The log is the caller's code, and may ask for stats: no lock is held.
void Index::Impl::log_opened(const cuda::OpenedDevice& opened, bool taken, LogLines* later) const {
  if (taken) return log(LogLevel::info, "using " + opened.reason, later);
  log(opened.was_there ? LogLevel::warning : LogLevel::info, "using the CPU: " + opened.reason,
      later);
}

void Index::Impl::open_device(bool wait, LogLines* later) {
  cuda::OpenedDevice opened;
  bool taken = false;
  {
    std::unique_lock lock(device_mutex, std::defer_lock);
    if (!wait && !lock.try_lock()) return;
    if (wait) lock.lock();
    if (device_tried || !device_spec.wanted) return;
    opened = try_device(options, device_spec, *pool);
    device_reason = opened.reason;
    backend = std::move(opened.backend);
    if (backend) backend->keep_for_writer(device_is_kept);
    device_in_use = backend.get();
    device_tried = true;  // at the end: who finds it false waits for the mutex
    taken = backend != nullptr;
  }
  log_opened(opened, taken, later);
}

cuda::Backend* Index::Impl::device(bool worth_it, bool wait, LogLines* later) {
  if (worth_it && !device_tried && device_spec.wanted) open_device(wait, later);
  return device_in_use;
}

void Index::Impl::keep_device_for_writer(bool kept) noexcept {
  const std::lock_guard lock(device_mutex);
  device_is_kept = kept;
  if (backend) backend->keep_for_writer(kept);
}

// The object stays until the index goes, since other threads may be searching on it.
void Index::Impl::give_up_device(const Error& error, LogLines* later) {
  {
    const std::lock_guard lock(device_mutex);
    if (device_in_use.exchange(nullptr) == nullptr) return;
    backend->give_up();
    device_reason += std::string("; given up: ") + error.what();
  }
  log(LogLevel::warning,
      std::string("the device failed, the CPU goes on from the last commit: ") + error.what(),
      later);
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

void IndexAccess::expect_not_its_own(const Index& index, const std::filesystem::path& path) {
  const core::Journal* const journal = index.impl_->journal.get();
  if (journal == nullptr || !journal->is_own_file(path)) return;
  throw Error(ErrorCode::invalid_parameter,
              "'" + path.string() + "' is a file of this very index: compact() writes it");
}

IndexAccess::Content IndexAccess::content(const Index& index) {
  auto visit = std::make_unique<core::WriterLock::Visit>(index.impl_->writer_lock);
  index.impl_->ensure_checked(core::kAllContent);
  return {index.impl_->graph, index.impl_->labels, std::move(visit)};
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

// --------------------------------------------------------------------------------- file, content

void Index::save(const std::filesystem::path& path) const {
  core::WriterLock::Visit visit(impl_->writer_lock);
  impl_->ensure_checked(core::kAllContent);
  IndexAccess::expect_not_its_own(*this, path);
  const auto reading = impl_->readers.enter();
  core::save_index(path, impl_->graph, impl_->vectors, impl_->labels, [&] { visit.end(); });
}

Index Index::load(const std::filesystem::path& path, RuntimeOptions options) {
  std::unique_ptr<Impl> impl;
  core::load_index(path, [&](const IndexParams& params) -> core::IndexParts {
    impl = std::make_unique<Impl>(params, std::move(options));
    return {impl->graph, impl->vectors, impl->labels, *impl->pool};
  });
  impl->committer.find_crowded();
  return Index(std::move(impl));
}

Index Index::map(const std::filesystem::path& path, MapCheck check, RuntimeOptions options) {
  std::unique_ptr<Impl> impl;
  std::function<void(core::Content)> check_content =
      core::map_index(path, [&](const IndexParams& params) -> core::IndexParts {
        impl = std::make_unique<Impl>(params, std::move(options));
        return {impl->graph, impl->vectors, impl->labels, *impl->pool};
      });
  impl->check_mapped = std::move(check_content);
  if (check == MapCheck::on_open) impl->ensure_checked(core::kAllContent);
  return Index(std::move(impl));
}

std::size_t Index::size() const noexcept { return impl_->graph.size(); }
const IndexParams& Index::params() const noexcept { return impl_->graph.params(); }
bool Index::contains(std::uint64_t label) const {
  const auto reading = impl_->readers.enter();
  impl_->ensure_checked({core::Content::labels});
  return impl_->labels.find(label, impl_->graph.size()) != core::kNoNode;
}

std::vector<float> Index::vector(std::uint64_t label) const {
  const auto reading = impl_->readers.enter();
  impl_->ensure_checked({core::Content::labels, core::Content::vectors});
  const core::NodeId node = impl_->labels.find(label, impl_->graph.size());
  if (node == core::kNoNode) {
    throw Error(ErrorCode::unknown_label, "no vector has label " + std::to_string(label));
  }
  std::vector<float> vector(impl_->vectors.stride());
  impl_->vectors.copy(node, 1, vector.data());
  vector.resize(params().dimension);
  return vector;
}

std::vector<std::uint64_t> Index::labels() const {
  const auto reading = impl_->readers.enter();
  impl_->ensure_checked({core::Content::labels});
  const std::uint64_t* const first = impl_->labels.data();
  return {first, first + size()};
}

// ------------------------------------------------------------------------------------ inspection

AuditReport Index::audit() const {
  const core::WriterLock::Visit visit(impl_->writer_lock);
  impl_->ensure_checked({core::Content::graph});
  return core::audit(impl_->graph);
}

std::string Index::digest() const {
  core::WriterLock::Visit visit(impl_->writer_lock);
  impl_->ensure_checked(core::kAllContent);
  const auto reading = impl_->readers.enter();
  core::Digester digester(impl_->graph);
  visit.end();
  return core::to_hex(digester.finish(impl_->vectors, impl_->labels));
}

Stats Index::stats() const {
  const core::WriterLock::Visit visit(impl_->writer_lock);
  impl_->ensure_checked({core::Content::graph});
  const core::Graph& graph = impl_->graph;
  Stats stats;
  stats.size = graph.size();
  stats.max_level = graph.entry_point().level;
  stats.isa = impl_->kernels->isa;
  stats.threads = impl_->pool->size();
  stats.build = impl_->build;
  if (impl_->journal) stats.journal = impl_->journal->stats();
  stats.search = {impl_->queries, impl_->search_distances, impl_->search_hops};
  {
    const std::lock_guard lock(impl_->device_mutex);
    if (impl_->backend) stats.device = impl_->backend->stats();
    if (impl_->device_in_use == nullptr) stats.device.name = "cpu";
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
  const core::WriterLock::Visit visit(impl_->writer_lock);
  const std::lock_guard beside_no_check(impl_->mapped_mutex);
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
  cuda::OpenedDevice opened;
  {
    const core::WriterLock::Writing writing(impl_->writer_lock);
    auto pool = std::make_unique<core::ThreadPool>(checked.threads);
    if (spec.required) opened = impl_->try_device(checked, spec, *pool);  // or nothing changes
    impl_->device_in_use = nullptr;
    impl_->backend = std::move(opened.backend);
    impl_->device_in_use = impl_->backend.get();
    impl_->device_tried = spec.required;
    impl_->device_reason = spec.required ? opened.reason : kDeviceNotOpened;
    impl_->options = std::move(checked);
    impl_->device_spec = spec;
    impl_->pool = std::move(pool);  // after the backend that borrowed the old one
  }
  if (spec.required) impl_->log_opened(opened, true);
}

}  // namespace concord
