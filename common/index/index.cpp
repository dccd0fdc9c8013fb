// The public Index over its parts: its life, additions, files and inspection (search.cpp has the
// searches, open.cpp the journal).

#include <algorithm>

#include "common/base/float_environment.hpp"
#include "common/base/stopwatch.hpp"
#include "common/contents/digest.hpp"
#include "common/file/file_format.hpp"
#include "common/file/presets_file.hpp"
#include "common/graph/audit.hpp"
#include "common/index/addition.hpp"
#include "common/index/index_impl.hpp"

namespace concord {
namespace {

RuntimeOptions validated(RuntimeOptions options) {
  check_runtime(options);
  return options;
}

IndexParams validated(const IndexParams& params) {
  params.validate();
  return params;
}

}  // namespace

Index::Impl::Impl(const IndexParams& params, RuntimeOptions runtime)
    : options(validated(std::move(runtime))),
      kernels(&cpu::choose_kernels()),
      pool(std::make_unique<core::ThreadPool>(options.threads)),
      contents(validated(params), &readers),
      committer(contents.graph, build),
      tail_codes(params.metric, cpu::bounds_beside(*kernels)),
      searcher(contents, metric_kernels()) {
  DeferredLog log(options.log);
  log.deliver_after([&] { device.reset(options, *pool, log); });
}

// Waits for calls that have entered. A call that has not entered yet cannot be seen.
Index::Impl::~Impl() {
  writer_lock.wait_for_writer();
  const core::WriterLock::Pause pause(writer_lock);
  readers.wait_for_readers();
}

// Runs in a forked child, before anything else of the library.
void Index::Impl::after_fork() noexcept {
  writer_lock.after_fork();
  readers.after_fork();
  contents.graph.after_fork();
  pool->after_fork();
  mapped.after_fork();
  device.after_fork();
  presets.after_fork();
  if (journal) journal->after_fork();
}

// Of a child whose parent's addition was cut short anywhere, nothing can be freed.
void Index::Impl::end(std::unique_ptr<Impl>& impl) noexcept {
  if (impl && impl->writer_lock.is_interrupted()) static_cast<void>(impl.release());
}

Index::Index(const IndexParams& params, RuntimeOptions options)
    : impl_(std::make_unique<Impl>(params, std::move(options))) {}
Index::Index(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Index::~Index() { Impl::end(impl_); }
Index::Index(Index&&) noexcept = default;
Index& Index::operator=(Index&& other) noexcept {
  Impl::end(impl_);
  impl_ = std::move(other.impl_);
  return *this;
}

// ------------------------------------------------------------------------------------------- add

std::size_t Index::add(MatrixView<const float> vectors, const ProgressCallback& progress) {
  return impl_->add(impl_->new_rows(vectors), {}, progress);
}

std::size_t Index::add(MatrixView<const float> vectors, std::span<const std::uint64_t> labels,
                       const ProgressCallback& progress) {
  check_label_count(labels.size(), vectors.rows);
  return impl_->add(impl_->new_rows(vectors), labels, progress);
}

std::size_t Index::add_from(const RowSource& source, std::size_t count,
                            std::span<const std::uint64_t> labels,
                            const ProgressCallback& progress) {
  if (!labels.empty()) check_label_count(labels.size(), count);
  const auto write = [&](core::VectorStore& store, std::size_t at) {
    for (std::size_t done = 0; done < count;) {
      const MatrixView<const float> rows = source(done);
      check_piece(rows.rows, done, count);
      store.check_shape(rows, "vectors");
      store.write(at + done, rows, *impl_->pool, done);
      done += rows.rows;
    }
  };
  return impl_->add({count, write}, labels, progress);
}

IndexAccess::NewRows Index::Impl::new_rows(MatrixView<const float> rows) const {
  contents.vectors.check_shape(rows, "vectors");
  return {rows.rows, [=, this](core::VectorStore& store, std::size_t first) {
            store.write(first, rows, *pool);
          }};
}

void Index::Impl::expect_writable() const {
  if (!followed.empty()) {
    throw Error(ErrorCode::unsupported,
                "the index is that of a replica and can only be read; Replica::promote gives one "
                "that takes changes");
  }
  if (!mapped.is_mapped()) return;
  throw Error(ErrorCode::unsupported,
              "the index is mapped from a file and can only be read; Index::load gives one that "
              "takes additions");
}

std::size_t Index::Impl::add(const NewRows& rows, std::span<const std::uint64_t> new_labels,
                             const ProgressCallback& progress) {
  expect_writable();
  if (rows.count == 0) return 0;
  check_labels(new_labels);
  IndexAccess::Addition addition(*this);
  addition.reserve(rows.count);
  addition.write(rows.write);
  addition.label(new_labels);
  return addition.insert(rows.count, progress, rows.there);
}

// --------------------------------------------------------------------------------- file, content

void Index::save(const std::filesystem::path& path) const {
  core::WriterLock::Pause pause(impl_->writer_lock);
  impl_->mapped.expect_sound(core::kAllParts);
  IndexAccess::expect_not_its_own(*this, path);
  IndexAccess::expect_not_its_own(*this, core::presets_path(path));
  const std::vector<Preset> presets = impl_->presets.all();
  core::remove_presets(path);  // first, so that none is ever beside a file that it is not of
  {
    const auto reading = impl_->readers.enter();
    core::save_index(path, impl_->contents, [&] { pause.end(); });
  }
  if (!presets.empty()) core::write_presets(path, presets);
}

void Index::write(const ByteSink& sink) const {
  core::WriterLock::Pause pause(impl_->writer_lock);
  impl_->mapped.expect_sound(core::kAllParts);
  const auto reading = impl_->readers.enter();
  core::write_index(sink, impl_->contents, [&] { pause.end(); });
}

Index Index::Impl::read(const LoadFile& load, RuntimeOptions options) {
  const core::FloatEnvironment environment;  // codes are made
  std::unique_ptr<Impl> impl;
  load([&](const IndexParams& params) -> core::LoadTarget {
    impl = std::make_unique<Impl>(params, std::move(options));
    return {impl->contents, *impl->pool};
  });
  impl->committer.find_overfull();
  return Index(std::move(impl));
}

Index Index::load(const std::filesystem::path& path, RuntimeOptions options) {
  Index index = Impl::read([&](const Impl::MakeTarget& make) { core::load_index(path, make); },
                           std::move(options));
  index.impl_->read_presets(path);
  return index;
}

Index Index::from_bytes(std::span<const std::byte> bytes, RuntimeOptions options) {
  return Impl::read([&](const Impl::MakeTarget& make) { core::load_index(bytes, make); },
                    std::move(options));
}

Index Index::map(const std::filesystem::path& path, MapCheck check, RuntimeOptions options) {
  const core::FloatEnvironment environment;  // codes are made
  std::unique_ptr<Impl> impl;
  std::function<void(core::FilePart)> check_content =
      core::map_index(path, [&](const IndexParams& params) -> core::LoadTarget {
        impl = std::make_unique<Impl>(params, std::move(options));
        return {impl->contents, *impl->pool};
      });
  impl->mapped.begin(std::move(check_content));
  if (check == MapCheck::on_open) impl->mapped.expect_sound(core::kAllParts);
  impl->read_presets(path);
  return Index(std::move(impl));
}

std::size_t Index::size() const noexcept { return impl_->contents.graph.living(); }
const IndexParams& Index::params() const noexcept { return impl_->contents.graph.params(); }
bool Index::contains(std::uint64_t label) const {
  const auto reading = impl_->readers.enter();
  impl_->mapped.expect_sound({core::FilePart::labels});
  return impl_->find(label) != core::kNoNode;
}

std::vector<float> Index::vector(std::uint64_t label) const {
  const auto reading = impl_->readers.enter();
  impl_->mapped.expect_sound({core::FilePart::labels, core::FilePart::vectors});
  const core::NodeId node = impl_->find(label);
  if (node == core::kNoNode) {
    throw Error(ErrorCode::unknown_label, "no vector has label " + std::to_string(label));
  }
  std::vector<float> vector(impl_->contents.vectors.stride());
  impl_->contents.vectors.copy(node, 1, vector.data());
  vector.resize(params().dimension);
  return vector;
}

std::vector<std::uint64_t> Index::insertion_numbers(std::span<const std::uint64_t> labels) const {
  const auto reading = impl_->readers.enter();
  impl_->mapped.expect_sound({core::FilePart::labels});
  std::vector<std::uint64_t> numbers;
  numbers.reserve(labels.size());
  for (const std::uint64_t label : labels) {
    const core::NodeId node = impl_->find(label);
    numbers.push_back(node == core::kNoNode ? kNoLabel : IndexAccess::number_of(*this, node));
  }
  return numbers;
}

std::vector<std::uint64_t> Index::labels() const { return IndexAccess::labels(*this, nullptr); }

std::vector<std::uint64_t> IndexAccess::labels(const Index& index,
                                               std::vector<std::uint64_t>* numbers) {
  const Index::Impl& impl = *index.impl_;
  const auto reading = impl.readers.enter();
  impl.mapped.expect_sound({core::FilePart::labels});
  const core::Graph& graph = impl.contents.graph;
  std::vector<std::uint64_t> labels;
  core::Patience::Tries tries(graph.patience());
  for (;; tries.again()) {  // a seal may unlink what is replaced by a node that the view lacks
    const std::uint64_t unlinkings = graph.unlinkings();
    const core::Hole hole = graph.tombstones().hole();
    const core::NodeId n = graph.size();  // before the address, which has all labels of it
    const std::uint64_t* const first = impl.contents.labels.data();
    const bool any_died = graph.tombstones().any();
    if (numbers == nullptr && !any_died) return {first, first + n};
    labels.clear();
    if (numbers != nullptr) numbers->clear();
    for (core::NodeId node = 0; node < n; ++node) {
      if (hole.contains(node)) node = hole.end;
      if (node >= n || (any_died && graph.tombstones().is_dead(node, n))) continue;
      labels.push_back(first[node]);
      if (numbers != nullptr) numbers->push_back(number_of(index, node));
    }
    if (graph.unlinkings() == unlinkings) return labels;
  }
}

void Index::Impl::give_memory_back(core::EmptySlots share) noexcept {
  if (!core::give_memory_back(contents, share)) return;
  committer.find_overfull();
  tail_codes.clear();
}

// A vector that is replaced meanwhile is in one of the two views.
core::NodeId Index::Impl::find(std::uint64_t label) const {
  core::NodeId n;
  core::NodeId node;
  do {
    n = contents.graph.size();
    node = contents.labels.find(label, n);
  } while (node == core::kNoNode && contents.graph.size() != n);
  return node;
}

// ------------------------------------------------------------------------------------ inspection

AuditReport Index::audit() const {
  const core::WriterLock::Pause pause(impl_->writer_lock);
  impl_->mapped.expect_sound({core::FilePart::graph});
  AuditReport report = core::audit(impl_->contents.graph);
  if (impl_->contents.graph.copies().any()) {
    impl_->mapped.expect_sound({core::FilePart::vectors});
    core::audit_copies(impl_->contents.graph, impl_->contents.vectors, report);
  }
  return report;
}

std::string Index::digest() const { return core::to_hex(IndexAccess::digest(*this)); }

Stats Index::stats() const {
  const core::WriterLock::Pause pause(impl_->writer_lock);
  impl_->mapped.expect_sound({core::FilePart::graph});
  const core::Graph& graph = impl_->contents.graph;
  Stats stats;
  stats.size = graph.living();
  stats.insertions = graph.insertions();
  stats.removals = graph.removals();
  stats.tombstones = graph.pending().size();
  stats.copies = graph.living_copies();
  stats.max_level = graph.entry_point().level;
  stats.isa = impl_->kernels->isa;
  stats.threads = impl_->pool->size();
  stats.build = impl_->build;
  if (impl_->journal) stats.journal = impl_->journal->stats();
  stats.search = {impl_->queries, impl_->search_distances, impl_->search_hops,
                  impl_->search_rescored};
  stats.device = impl_->device.stats();
  for (core::NodeId node = 0; node < graph.size(); ++node) {
    if (!graph.is_linked(node)) continue;
    const auto count = [](std::vector<std::uint64_t>& histogram, std::size_t place) {
      if (histogram.size() <= place) histogram.resize(place + 1);
      ++histogram[place];
    };
    count(stats.level_histogram, graph.level(node));
    count(stats.degree_histogram, graph.base().degree(node));
  }
  return stats;
}

MemoryUse Index::memory() const {
  const core::WriterLock::Pause pause(impl_->writer_lock);
  const auto without_checks = impl_->mapped.without_checks();
  MemoryUse use;
  use.vectors = impl_->contents.vectors.bytes();
  use.links = impl_->contents.graph.base().bytes();
  use.upper = impl_->contents.graph.upper().bytes();
  use.labels = impl_->contents.labels.bytes();
  use.nodes = impl_->contents.graph.node_bytes() + impl_->contents.copy_finder.bytes();
  use.epoch = impl_->contents.graph.base().epoch_bytes() +
              impl_->contents.graph.upper().epoch_bytes() + impl_->tail_codes.bytes();
  use.scratch = impl_->searcher.scratch_bytes();
  return use;
}

void Index::set_runtime(RuntimeOptions options) {
  RuntimeOptions checked = validated(std::move(options));
  DeferredLog log(checked.log);
  log.deliver_after([&] {
    const core::WriterLock::Writing writing(impl_->writer_lock);
    auto pool = std::make_unique<core::ThreadPool>(checked.threads);
    impl_->device.reset(checked, *pool, log);  // throws, or nothing below does
    impl_->options = std::move(checked);
    if (!impl_->options.certificates) impl_->tail_codes.clear();
    impl_->pool = std::move(pool);  // after the device that borrowed the old one
  });
}

}  // namespace concord
