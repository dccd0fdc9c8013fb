#include "index.hpp"

#include <algorithm>
#include <chrono>
#include <concord/cuda.hpp>
#include <filesystem>
#include <thread>
#include <vector>

#include "answers.hpp"
#include "errors.hpp"
#include "number.hpp"
#include "reports.hpp"
#include "row_reader.hpp"

namespace nb = nanobind;

namespace concord::python {
namespace {

struct Stopped {};

constexpr double kPieceSeconds = 0.03;  // of a search, between two looks at signals
constexpr std::size_t kIngestBytes = 4 << 20;

// What the library tells goes to Python's logging, logger "concord".
void log(LogLevel level, std::string_view message) noexcept {
  const nb::gil_scoped_acquire gil;
  try {
    nb::module_::import_("logging").attr("getLogger")("concord").attr(
        level == LogLevel::warning ? "warning" : "info")("%s",
                                                         nb::str(message.data(), message.size()));
  } catch (nb::python_error& error) {
    error.discard_as_unraisable("concord's log");
  }
}

RuntimeOptions options(unsigned threads, const std::string& device) {
  RuntimeOptions options;
  options.threads = threads;
  options.device = device;
  options.log = log;
  return options;
}

std::filesystem::path to_path(const nb::bytes& path) {
  return std::string(path.c_str(), path.size());
}

cuda::DeviceMatrixView<const float> device_view(const Array& array) {
  if (!array.is_matrix_of(Element::float32)) {
    throw ArrayTypeError(std::string(array.name()) + " in device memory must be float32 with the " +
                         "elements of a row side by side; these are " + array.element_name());
  }
  return {reinterpret_cast<const float*>(array.data()), array.rows(), array.cols(),
          array.matrix_stride()};
}

/// Queries of the next piece of an exact search, by what the last one took: its speed depends on
/// the index's size and on the device.
class Pace {
 public:
  /// Fewer than `least` at a time would read the vectors too often.
  explicit Pace(std::size_t least) : least_(least), queries_(least) {}
  [[nodiscard]] std::size_t queries() const noexcept { return queries_; }
  void took(std::size_t queries, std::chrono::duration<double> time) noexcept {
    const double factor = std::clamp(kPieceSeconds / std::max(time.count(), 1e-6), 0.25, 4.0);
    queries_ = std::max(least_, static_cast<std::size_t>(factor * static_cast<double>(queries)));
  }

 private:
  const std::size_t least_;
  std::size_t queries_;
};

template <class T>
nb::object to_numpy(const std::vector<T>& values, const char* type) {
  const nb::object array = nb::module_::import_("numpy").attr("empty")(values.size(), type);
  const Array memory(array, "new array", true);
  std::copy(values.begin(), values.end(), reinterpret_cast<T*>(memory.data()));
  return array;
}

}  // namespace

/// `work` beside other readers, without the GIL.
template <class Work>
auto PythonIndex::read(const Work& work) const {
  const Reading reading(lock_);
  const nb::gil_scoped_release released;
  return work();
}

template <class Use>
void PythonIndex::use_first(bool& was_used, const Use& use) const {
  if (was_used) return;
  {
    const nb::gil_scoped_release released;
    use();
  }
  was_used = true;
}

PythonIndex::PythonIndex(const IndexParams& params, unsigned threads, const std::string& device)
    : index_(params, options(threads, device)), threads_(threads), device_(device) {}

PythonIndex* PythonIndex::load(nb::bytes path, unsigned threads, const std::string& device,
                               const Loader& loader) {
  const std::filesystem::path from = to_path(path);
  const nb::gil_scoped_release released;
  return new PythonIndex(loader(from, options(threads, device)), threads, device);
}

void PythonIndex::save(nb::bytes path, const Saver& saver) const {
  const std::filesystem::path to = to_path(path);
  read([&] { saver(index_, to); });
}

void PythonIndex::compact() {
  const Writing turn(adding_);
  const Reading beside_readers(lock_);
  const nb::gil_scoped_release released;
  index_.compact();
}

// ------------------------------------------------------------------------------------------- add

std::size_t PythonIndex::add(nb::handle vectors, nb::handle labels, nb::object progress) {
  const Array rows(vectors, "vectors");
  std::optional<Array> label_array;
  std::span<const std::uint64_t> label_span;
  if (!labels.is_none()) {
    label_array.emplace(labels, "labels");
    label_span = {reinterpret_cast<const std::uint64_t*>(label_array->data()), label_array->cols()};
    if (label_span.size() != rows.rows()) {
      throw Error(ErrorCode::dimension_mismatch, std::to_string(label_span.size()) +
                                                     " labels for " + std::to_string(rows.rows()) +
                                                     " vectors; there must be one each");
    }
  }
  const Writing turn(adding_);
  const Reading beside_readers(lock_);
  Watch watch(std::move(progress));
  std::size_t added = 0;
  if (rows.on_device()) {
    const auto view = device_view(rows);
    const nb::gil_scoped_release released;
    added = cuda::add(
        index_, view, label_span, rows.stream(),
        [&](std::uint64_t done, std::uint64_t total) { return watch.go_on(done, total); });
  } else {
    added = add_from_host(rows, label_span, watch);
  }
  watch.rethrow();
  return added;
}

std::size_t PythonIndex::add_from_host(const Array& vectors, std::span<const std::uint64_t> labels,
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
  const nb::gil_scoped_release released;
  try {
    return index_.add_from(source, vectors.rows(), labels, progress);
  } catch (const Stopped&) {
    return 0;
  }
}

// ---------------------------------------------------------------------------------------- search

std::size_t PythonIndex::workers() const {
  static const unsigned hardware =
      std::max(std::thread::hardware_concurrency(), 1U);  // asks the system
  return threads_ == 0 ? hardware : threads_;
}

// By the distances that a search of README.md's sample takes and what one costs.
std::size_t PythonIndex::queries_per_piece(std::uint32_t ef) const {
  const std::size_t nanoseconds = (200 + std::size_t{11} * ef) * (20 + params().dimension / 8);
  return std::max(static_cast<std::size_t>(kPieceSeconds * 1e9) / nanoseconds, std::size_t{1}) *
         workers();
}

/// Calls run(first, rows) for pieces of `queries`, of piece() each, one after the other.
template <class Piece, class Run>
void PythonIndex::in_pieces(const Array& queries, const Piece& piece, const Run& run) const {
  RowReader reader(queries);
  Watch watch{nb::none()};
  {
    const nb::gil_scoped_release released;
    std::size_t first = 0;
    do {
      const MatrixView<const float> rows = reader.read(first, piece());
      try {
        run(first, rows);
      } catch (const Error& error) {
        if (first == 0 || error.code() != ErrorCode::invalid_vector) throw;
        throw Error(error.code(),
                    "counted from query " + std::to_string(first) + ": " + error.what());
      }
      first += rows.rows;
    } while (first < queries.rows() && watch.go_on());
  }
  watch.rethrow();
}

nb::object PythonIndex::search(nb::handle queries, nb::handle k, nb::handle ef, nb::handle slack,
                               nb::handle out) const {
  const Array rows(queries, "queries");
  const SearchParams how{number32(k, "k"), number32(ef, "ef"), real_number(slack, "slack")};
  const Reading reading(lock_);
  use_first(used_links_, [&] { (void)index_.search({}, how); });
  (void)index_.search({},
                      how);  // refuses what is not allowed before any memory is taken for answers
  const Answers answers(rows.rows(), how.k, rows.ndim() == 1, out);
  if (rows.on_device()) {
    const auto view = device_view(rows);
    const nb::gil_scoped_release released;
    answers.put(cuda::search(index_, view, how, rows.stream()), 0);
    return answers.arrays();
  }
  std::vector<std::uint32_t> counts;
  const std::size_t most = queries_per_piece(std::max(how.ef, how.k));
  in_pieces(
      rows, [&] { return most; },
      [&](std::size_t first, MatrixView<const float> piece) {
        counts.resize(piece.rows);
        index_.search(piece, how, answers.labels().rows_from(first, piece.rows),
                      answers.distances().rows_from(first, piece.rows), counts);
      });
  return answers.arrays();
}

nb::object PythonIndex::exact_search(nb::handle queries, nb::handle k, nb::handle out) const {
  const Array rows(queries, "queries");
  if (rows.on_device()) {
    throw Error(ErrorCode::unsupported, "exact_search reads queries from host memory only");
  }
  const std::uint32_t width = number32(k, "k");
  const Reading reading(lock_);
  use_first(used_vectors_, [&] { (void)index_.exact_search({}, width); });
  (void)index_.exact_search({}, width);
  const Answers answers(rows.rows(), width, rows.ndim() == 1, out);
  Pace pace(4 * workers());
  in_pieces(
      rows, [&] { return pace.queries(); },
      [&](std::size_t first, MatrixView<const float> piece) {
        const auto start = std::chrono::steady_clock::now();
        answers.put(index_.exact_search(piece, width), first);
        pace.took(piece.rows, std::chrono::steady_clock::now() - start);
      });
  return answers.arrays();
}

// --------------------------------------------------------------------------------------- content

std::size_t PythonIndex::size() const {
  const Reading reading(lock_);
  return index_.size();
}

bool PythonIndex::contains(std::uint64_t label) const {
  const Reading reading(lock_);
  use_first(used_labels_, [&] { (void)index_.contains(label); });
  return index_.contains(label);
}

nb::object PythonIndex::vector(std::uint64_t label) const {
  const Reading reading(lock_);
  use_first(used_vectors_, [&] { (void)index_.exact_search({}, 0); });
  return to_numpy(index_.vector(label), "f4");
}

nb::object PythonIndex::labels() const {
  return to_numpy(read([&] { return index_.labels(); }), "u8");
}

std::string PythonIndex::digest() const {
  return read([&] { return index_.digest(); });
}

nb::dict PythonIndex::audit() const {
  return to_dict(read([&] { return index_.audit(); }));
}

nb::dict PythonIndex::stats() const {
  return to_dict(read([&] { return index_.stats(); }));
}

nb::dict PythonIndex::memory() const {
  return to_dict(read([&] { return index_.memory(); }));
}

void PythonIndex::set_runtime(unsigned threads, const std::string& device) {
  const Writing writing(lock_);
  {
    const nb::gil_scoped_release released;
    index_.set_runtime(options(threads, device));
  }
  threads_ = threads;
  device_ = device;
}

}  // namespace concord::python
