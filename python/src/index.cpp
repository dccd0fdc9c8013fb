#include "index.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <limits>
#include <new>
#include <span>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "answers.hpp"
#include "changes.hpp"
#include "device_memory.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "number.hpp"
#include "pieces.hpp"
#include "reports.hpp"
#include "row_reader.hpp"

namespace nb = nanobind;

namespace concord::python {
namespace {

struct Stopped {};

constexpr std::size_t kIngestBytes = 4 << 20;

// What the library tells goes to Python's logging, logger "concord".
void log(LogLevel level, std::string_view message) noexcept {
  const WithGil gil;
  try {
    const StaysInside scope;
    nb::module_::import_("logging").attr("getLogger")("concord").attr(
        level == LogLevel::warning ? "warning" : "info")("%s", to_text(message));
  } catch (nb::python_error& error) {
    error.discard_as_unraisable("concord's log");
  }
}

/// Several devices, which only shards have, are separated by commas.
template <class Core>
RuntimeOf<Core> runtime(unsigned threads, const std::string& device, bool certificates = true,
                        double checked_share = RuntimeOptions{}.checked_share) {
  RuntimeOptions options;
  options.threads = threads;
  options.certificates = certificates;
  options.checked_share = checked_share;
  options.log = log;
  if constexpr (std::is_same_v<Core, Index>) {
    options.device = device;
    return options;
  } else {
    ShardRuntime shards{std::move(options), {}};
    for (std::size_t begin = 0; begin <= device.size();) {
      const std::size_t end = std::min(device.find(',', begin), device.size());
      shards.devices.push_back(device.substr(begin, end - begin));
      begin = end + 1;
    }
    return shards;
  }
}

std::filesystem::path to_path(const nb::bytes& path) {
  return std::string(path.c_str(), path.size());
}

std::size_t add_there(Index& index, cuda::DeviceMatrixView<const float> rows,
                      std::span<const std::uint64_t> labels, cuda::CudaStream stream,
                      const ProgressCallback& progress) {
  return cuda::add(index, rows, labels, stream, progress);
}
std::size_t add_there(ShardedIndex&, cuda::DeviceMatrixView<const float>,
                      std::span<const std::uint64_t>, cuda::CudaStream, const ProgressCallback&) {
  refuse_device_memory();
}

SearchResult search_there(const Index& index, cuda::DeviceMatrixView<const float> rows,
                          const SearchParams& how, cuda::CudaStream stream) {
  return cuda::search(index, rows, how, stream);
}
SearchResult search_there(const ShardedIndex&, cuda::DeviceMatrixView<const float>,
                          const SearchParams&, cuda::CudaStream) {
  refuse_device_memory();
}

}  // namespace

Durability to_durability(const std::string& name) {
  if (name == "synced") return Durability::synced;
  if (name == "system") return Durability::system;
  throw Error(ErrorCode::invalid_parameter,
              "durability '" + name + "' is unknown; allowed are synced and system");
}

RuntimeOptions runtime_of_index(unsigned threads, const std::string& device) {
  return runtime<Index>(threads, device);
}

/// `work` beside other readers, without the GIL.
template <class Core>
template <class Work>
auto PythonIndexOf<Core>::read(const Work& work) const {
  const Reading reading(*lock_);
  const WithoutGil released;
  return work();
}

template <class Core>
PythonIndexOf<Core>::PythonIndexOf(const IndexParams& params, unsigned threads,
                                   const std::string& device) requires std::is_same_v<Core, Index>
    : PythonIndexOf(Core(params, runtime<Core>(threads, device)), threads, device) {}

template <class Core>
PythonIndexOf<Core>::PythonIndexOf(
    const IndexParams& params, const ShardParams& shards, unsigned threads,
    const std::string& device) requires std::is_same_v<Core, ShardedIndex>
    : PythonIndexOf(Core(params, shards, runtime<Core>(threads, device)), threads, device) {}

template <class Core>
PythonIndexOf<Core>* PythonIndexOf<Core>::load(nb::bytes path, unsigned threads,
                                               const std::string& device, const Loader& loader) {
  const std::filesystem::path from = to_path(path);
  const WithoutGil released;
  return with_path(from.string(), [&] {
    return new PythonIndexOf(loader(from, runtime<Core>(threads, device)), threads, device);
  });
}

template <class Core>
void PythonIndexOf<Core>::save(nb::bytes path, const Saver& saver) const {
  const std::filesystem::path to = to_path(path);
  with_path(to.string(), [&] { read([&] { saver(*index_, to); }); });
}

template <class Core>
nb::object PythonIndexOf<Core>::to_bytes() const requires std::is_same_v<Core, Index> {
  nb::object bytes;
  char* next = nullptr;
  read([&] {
    index_->write([&](std::span<const std::byte> piece, std::uint64_t left) {
      if (next == nullptr) {
        const WithGil gil;
        bytes = nb::steal(
            PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(piece.size() + left)));
        if (!bytes.is_valid()) {
          PyErr_Clear();
          throw std::bad_alloc();
        }
        next = PyBytes_AS_STRING(bytes.ptr());
      }
      next = std::copy_n(reinterpret_cast<const char*>(piece.data()), piece.size(), next);
    });
  });
  return bytes;
}

template <class Core>
void PythonIndexOf<Core>::write(nb::object put) const requires std::is_same_v<Core, Index> {
  Watch watch(std::move(put));
  read([&] {
    try {
      index_->write([&](std::span<const std::byte> piece, std::uint64_t) {
        while (!piece.empty()) {
          const auto some = piece.first(std::min(piece.size(), kPieceBytes));
          if (!watch.take(some.data(), some.size())) throw Stopped();
          piece = piece.subspan(some.size());
        }
      });
    } catch (const Stopped&) {
    }
  });
  watch.rethrow();
}

template <class Core>
PythonIndexOf<Core>* PythonIndexOf<Core>::from_bytes(
    nb::handle content, unsigned threads,
    const std::string& device) requires std::is_same_v<Core, Index> {
  const Array bytes(content, "bytes of an index");
  if (bytes.dtype() != DType::uint8 || !bytes.is_matrix_of(DType::uint8) || bytes.ndim() != 1) {
    throw ArrayTypeError("an index is read from bytes, a bytearray or a memoryview of bytes");
  }
  const WithoutGil released;
  return new PythonIndexOf(
      Index::from_bytes({bytes.data(), bytes.cols()}, runtime<Core>(threads, device)), threads,
      device);
}

template <class Core>
void PythonIndexOf<Core>::expect_own() const {
  if (!of_shards_) return;
  throw Error(ErrorCode::unsupported,
              "the index is a shard of a ShardedIndex and can only be read; add to the whole");
}

template <class Core>
void PythonIndexOf<Core>::compact() {
  expect_own();
  const Writing turn(changing_);
  const Reading beside_readers(*lock_);
  const WithoutGil released;
  index_->compact();
}

// ------------------------------------------------------------------------------------------- add

template <class Core>
bool PythonIndexOf<Core>::labels_fit() const {
  if (range_->is_known) return range_->fits;
  bool fits = true;
  const std::uint64_t ended = range_->ended;
  {
    const WithoutGil released;
    fits = fit_int64(index_->labels());
  }
  if (range_->is_known) return range_->fits;  // an addition knows better
  if (range_->begun == ended) {               // else others may have come behind those seen
    range_->is_known = true;
    range_->fits = fits;
  }
  return fits;
}

template <class Core>
bool PythonIndexOf<Core>::labels_fit(std::span<const std::uint64_t> answer) const {
  return fit_int64(answer) && labels_fit();
}

template <class Core>
std::size_t PythonIndexOf<Core>::add(nb::handle vectors, nb::handle labels, nb::object progress) {
  expect_own();
  const Array rows(vectors, "vectors");
  std::optional<Array> label_array;
  std::span<const std::uint64_t> label_span;
  if (!labels.is_none()) {
    label_array.emplace(labels, "labels");
    label_span = labels_of(*label_array);
    expect_one_each(label_span, rows);
  }
  Watch watch(std::move(progress));
  return change(label_span, [&] { return insert(rows, label_span, watch); });
}

template <class Core>
std::size_t PythonIndexOf<Core>::insert(const Array& vectors, std::span<const std::uint64_t> labels,
                                        Watch& watch) {
  std::size_t added = 0;
  if (vectors.on_device()) {
    const auto view = device_view(vectors);
    const WithoutGil released;
    added = add_there(
        *index_, view, labels, vectors.stream(),
        [&](std::uint64_t done, std::uint64_t total) { return watch.go_on(done, total); });
  } else {
    added = add_from_host(vectors, labels, watch);
  }
  watch.rethrow();
  return added;
}

template <class Core>
std::size_t PythonIndexOf<Core>::add_from_host(const Array& vectors,
                                               std::span<const std::uint64_t> labels,
                                               Watch& watch) {
  RowReader reader(vectors);
  const std::size_t most = std::max<std::size_t>(
      kIngestBytes / sizeof(float) / std::max<std::size_t>(vectors.cols(), 1), 1);
  const auto source = [&](std::size_t first) {
    if (!watch.go_on()) throw Stopped();
    return reader.read(first, most);
  };
  const auto progress = [&](std::uint64_t done, std::uint64_t total) {
    return watch.go_on(done, total);
  };
  const WithoutGil released;
  try {
    return index_->add_from(source, vectors.rows(), labels, progress);
  } catch (const Stopped&) {
    return 0;
  }
}

// ---------------------------------------------------------------------------------------- search

template <class Core>
std::size_t PythonIndexOf<Core>::workers() const {
  static const unsigned hardware =
      std::max(std::thread::hardware_concurrency(), 1U);  // asks the system
  return threads_ == 0 ? hardware : threads_;
}

// By the distances that a search of the built-in sample takes and what one costs.
template <class Core>
std::size_t PythonIndexOf<Core>::queries_per_piece(std::uint32_t ef) const {
  const std::size_t nanoseconds = (200 + std::size_t{11} * ef) * (20 + params().dimension / 8);
  return std::max(static_cast<std::size_t>(kPieceSeconds * 1e9) / nanoseconds, std::size_t{1}) *
         workers();
}

template <class Core>
nb::object PythonIndexOf<Core>::search(nb::handle queries, nb::handle k, nb::handle ef,
                                       nb::handle slack, nb::handle rescore, bool use_codes,
                                       nb::handle out, nb::handle progress) const {
  const Array rows(queries, "queries");
  const SearchParams how = search_params(k, ef, slack, rescore, use_codes);
  const Reading reading(*lock_);
  use_first(used_links_, [&] { (void)index_->search({}, how); });
  (void)index_->search({},
                       how);  // refuses what is not allowed before any memory is taken for answers
  const Answers answers(rows.rows(), how.k, rows.ndim() == 1, out);
  if (rows.on_device()) {
    const auto view = device_view(rows);
    const WithoutGil released;
    answers.put(search_there(*index_, view, how, rows.stream()), 0);
    return answers.arrays(labels_fit());
  }
  std::vector<std::uint32_t> counts;
  const std::size_t most = queries_per_piece(std::max(how.ef, how.k));
  const std::size_t done = in_pieces(
      rows, progress, [&] { return most; },
      [&](std::size_t first, MatrixView<const float> piece) {
        counts.resize(piece.rows);
        index_->search(piece, how, answers.labels().rows_from(first, piece.rows),
                       answers.distances().rows_from(first, piece.rows), counts);
      });
  answers.leave_empty(done);
  return answers.arrays(labels_fit());
}

template <class Core>
nb::object PythonIndexOf<Core>::exact_search(nb::handle queries, nb::handle k, nb::handle out,
                                             nb::handle progress) const {
  const Array rows(queries, "queries");
  if (rows.on_device()) {
    throw Error(ErrorCode::unsupported, "exact_search reads queries from host memory only");
  }
  const std::uint32_t width = number32(k, "k");
  const Reading reading(*lock_);
  use_first(used_vectors_, [&] { (void)index_->exact_search({}, width); });
  (void)index_->exact_search({}, width);
  const Answers answers(rows.rows(), width, rows.ndim() == 1, out);
  Pace pace(4 * workers());
  const std::size_t done = in_pieces(
      rows, progress, [&] { return pace.queries(); },
      [&](std::size_t first, MatrixView<const float> piece) {
        const auto start = std::chrono::steady_clock::now();
        answers.put(index_->exact_search(piece, width), first);
        pace.took(piece.rows, std::chrono::steady_clock::now() - start);
      });
  answers.leave_empty(done);
  return answers.arrays(labels_fit());
}

// --------------------------------------------------------------------------------------- content

template <class Core>
std::size_t PythonIndexOf<Core>::size() const {
  const Reading reading(*lock_);
  return index_->size();
}

template <class Core>
bool PythonIndexOf<Core>::contains(std::uint64_t label) const {
  const Reading reading(*lock_);
  use_first(used_labels_, [&] { (void)index_->contains(label); });
  return index_->contains(label);
}

template <class Core>
nb::object PythonIndexOf<Core>::vector(std::uint64_t label) const {
  const Reading reading(*lock_);
  use_first(used_vectors_, [&] { (void)index_->exact_search({}, 0); });
  return to_numpy(index_->vector(label), "f4");
}

namespace {

/// False if the vector was removed meanwhile.
template <class Copy>
bool is_copied(const Copy& copy, std::uint64_t label) {
  try {
    copy(label);
    return true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unknown_label) throw;
    return false;
  }
}

}  // namespace

template <class Core>
nb::object PythonIndexOf<Core>::vectors(nb::handle labels, bool or_nan) const {
  const Array array(labels, "labels");
  const std::span<const std::uint64_t> wanted = labels_of(array);
  const std::size_t width = params().dimension;
  const Reading reading(*lock_);
  use_first(used_vectors_, [&] { (void)index_->exact_search({}, 0); });
  const nb::object rows =
      nb::module_::import_("numpy").attr("empty")(nb::make_tuple(wanted.size(), width), "f4");
  const Array memory(rows, "new array", true);
  auto* next = reinterpret_cast<float*>(memory.data());
  const WithoutGil released;
  const auto copy = [&](std::uint64_t label) {
    const std::vector<float> vector = index_->vector(label);
    std::copy_n(vector.data(), width, next);
  };
  for (const std::uint64_t label : wanted) {
    if (!or_nan) {
      copy(label);
    } else if (!index_->contains(label) || !is_copied(copy, label)) {
      std::fill_n(next, width, std::numeric_limits<float>::quiet_NaN());
    }
    next += width;
  }
  return rows;
}

template <class Core>
nb::object PythonIndexOf<Core>::labels() const {
  const Reading reading(*lock_);
  std::vector<std::uint64_t> labels;
  {
    const WithoutGil released;
    labels = index_->labels();
  }
  return to_numpy(labels, labels_fit(labels) ? "i8" : "u8");
}

template <class Core>
nb::object PythonIndexOf<Core>::insertion_numbers(
    nb::handle labels) const requires std::is_same_v<Core, Index> {
  const Array array(labels, "labels");
  const std::span<const std::uint64_t> wanted = labels_of(array);
  return to_numpy(read([&] { return index_->insertion_numbers(wanted); }), "u8");
}

template <class Core>
std::string PythonIndexOf<Core>::digest() const {
  return read([&] { return index_->digest(); });
}

template <class Core>
nb::dict PythonIndexOf<Core>::audit() const {
  return to_dict(read([&] { return index_->audit(); }));
}

template <class Core>
nb::dict PythonIndexOf<Core>::stats() const {
  return to_dict(read([&] { return index_->stats(); }));
}

template <class Core>
nb::dict PythonIndexOf<Core>::memory() const {
  return to_dict(read([&] { return index_->memory(); }));
}

template <class Core>
void PythonIndexOf<Core>::set_runtime(unsigned threads, const std::string& device,
                                      bool certificates, double checked_share) {
  expect_own();
  const Writing writing(*lock_);
  {
    const WithoutGil released;
    index_->set_runtime(runtime<Core>(threads, device, certificates, checked_share));
  }
  threads_ = threads;
  device_ = device;
  certificates_ = certificates;
  checked_share_ = checked_share;
}

template class PythonIndexOf<Index>;
template class PythonIndexOf<ShardedIndex>;

PythonIndex* shard_of(const PythonShardedIndex& whole, std::uint32_t number) {
  const Index& shard = whole.index_->shard(number);
  // It keeps the whole alive, and is only read.
  std::shared_ptr<Index> shared(whole.index_, const_cast<Index*>(&shard));
  return new PythonIndex(std::move(shared), whole.lock_, whole.range_, whole.threads_,
                         whole.device_, true);
}

}  // namespace concord::python
