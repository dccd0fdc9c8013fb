#include "bench/tool/hdf5_file.hpp"

#include <hdf5.h>

#include <algorithm>
#include <array>

namespace concord::bench {
namespace {

/// Owns an HDF5 identifier; closes it with the function given.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  [[nodiscard]] hid_t get() const noexcept { return id_; }
  [[nodiscard]] bool valid() const noexcept { return id_ >= 0; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

struct Shape {
  std::size_t rows = 0;
  std::size_t cols = 0;
};

constexpr std::size_t kMaxElementBytes = 16;
constexpr std::size_t kMaxTextBytes = 1024;
// Deflate, the strongest filter these files come with, shrinks to 1/1032 at best.
constexpr std::size_t kMaxCompression = 1032;

Shape shape_of(const Handle& dataset, const std::string& where) {
  const Handle space(H5Dget_space(dataset.get()), H5Sclose);
  if (H5Sget_simple_extent_ndims(space.get()) != 2) {
    throw InputError(where + ": is not a matrix (rows x columns)");
  }
  std::array<hsize_t, 2> sizes{};
  H5Sget_simple_extent_dims(space.get(), sizes.data(), nullptr);
  return {sizes[0], sizes[1]};
}

/// Refuses data stored in other files, and filters that these files never use: their decoders
/// should not see a hostile file.
void check_storage(const Handle& dataset, const std::string& where) {
  const Handle plist(H5Dget_create_plist(dataset.get()), H5Pclose);
  if (H5Pget_layout(plist.get()) == H5D_VIRTUAL || H5Pget_external_count(plist.get()) != 0) {
    throw InputError(where + ": is stored in other files");
  }
  const int filters = H5Pget_nfilters(plist.get());
  for (int i = 0; i < filters; ++i) {
    std::size_t values = 0;
    const H5Z_filter_t filter = H5Pget_filter2(plist.get(), static_cast<unsigned>(i), nullptr,
                                               &values, nullptr, 0, nullptr, nullptr);
    if (filter == H5Z_FILTER_DEFLATE || filter == H5Z_FILTER_SHUFFLE ||
        filter == H5Z_FILTER_FLETCHER32)
      continue;
    throw InputError(where + ": uses filter " + std::to_string(filter) +
                     " of HDF5; allowed are gzip, shuffle and fletcher32");
  }
}

/// Bytes of a matrix of `shape`, or of one of its chunks if that is larger: HDF5 reads whole ones.
std::size_t bytes_to_read(const Handle& dataset, Shape shape, std::size_t element,
                          const std::string& where) {
  const std::size_t bytes = checked_bytes(shape.rows, shape.cols, element, where);
  const Handle plist(H5Dget_create_plist(dataset.get()), H5Pclose);
  if (H5Pget_layout(plist.get()) != H5D_CHUNKED) return bytes;
  std::array<hsize_t, 2> chunk{};
  if (H5Pget_chunk(plist.get(), 2, chunk.data()) != 2) {
    throw InputError(where + ": its chunks are not matrices");
  }
  return std::max(bytes, checked_bytes(chunk[0], chunk[1], element, where));
}

/// The first `limit` rows of `name`, converted by HDF5 to `memory_type`.
template <class T>
Matrix<T> read_matrix(const Handle& file, const std::string& path, const char* name,
                      hid_t memory_type, std::size_t limit) {
  const std::string where = path + ": " + name;
  const Handle dataset(H5Dopen2(file.get(), name, H5P_DEFAULT), H5Dclose);
  if (!dataset.valid()) throw InputError(where + ": cannot be opened as a data set");
  const Handle stored_type(H5Dget_type(dataset.get()), H5Tclose);
  const H5T_class_t type_class = H5Tget_class(stored_type.get());
  if (type_class != H5T_INTEGER && type_class != H5T_FLOAT) {
    throw InputError(where + ": holds neither integers nor floating-point numbers");
  }
  const std::size_t element = H5Tget_size(stored_type.get());
  if (element > kMaxElementBytes) {
    throw InputError(where + ": has elements of " + std::to_string(element) + " bytes, at most " +
                     std::to_string(kMaxElementBytes) + " are allowed");
  }
  check_storage(dataset, where);
  const Shape shape = shape_of(dataset, where);
  const std::size_t bytes = bytes_to_read(dataset, shape, element, where);
  const hsize_t stored =
      std::min<hsize_t>(H5Dget_storage_size(dataset.get()), std::filesystem::file_size(path));
  if (bytes / kMaxCompression > stored) {
    throw InputError(where + ": claims " + std::to_string(bytes) +
                     " bytes, more than the file can hold");
  }
  Matrix<T> matrix(std::min(shape.rows, limit), shape.cols);
  if (matrix.values.empty()) return matrix;

  const std::array<hsize_t, 2> start{0, 0};
  const std::array<hsize_t, 2> count{matrix.rows, matrix.cols};
  const Handle file_space(H5Dget_space(dataset.get()), H5Sclose);
  const Handle memory_space(H5Screate_simple(2, count.data(), nullptr), H5Sclose);
  H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, start.data(), nullptr, count.data(),
                      nullptr);
  if (H5Dread(dataset.get(), memory_type, memory_space.get(), file_space.get(), H5P_DEFAULT,
              matrix.values.data()) < 0) {
    throw InputError(where + ": reading failed; the file is damaged or truncated");
  }
  return matrix;
}

/// The first `rows` integers of a data set of one dimension.
std::vector<std::int64_t> read_column(const Handle& file, const std::string& where,
                                      const std::string& name, std::size_t rows) {
  const Handle dataset(H5Dopen2(file.get(), name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!dataset.valid()) throw InputError(where + ": cannot be opened as a data set");
  const Handle type(H5Dget_type(dataset.get()), H5Tclose);
  const Handle space(H5Dget_space(dataset.get()), H5Sclose);
  hsize_t stored = 0;
  if (H5Tget_class(type.get()) != H5T_INTEGER || H5Sget_simple_extent_ndims(space.get()) != 1 ||
      H5Sget_simple_extent_dims(space.get(), &stored, nullptr) != 1) {
    throw InputError(where + ": is not a column of integers");
  }
  check_storage(dataset, where);
  if (stored < rows) {
    throw InputError(where + ": has " + std::to_string(stored) + " values for " +
                     std::to_string(rows) + " vectors");
  }
  std::vector<std::int64_t> values(rows);
  const hsize_t start = 0;
  const hsize_t count = rows;
  const Handle memory_space(H5Screate_simple(1, &count, nullptr), H5Sclose);
  H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, &start, nullptr, &count, nullptr);
  if (rows > 0 && H5Dread(dataset.get(), H5T_NATIVE_INT64, memory_space.get(), space.get(),
                          H5P_DEFAULT, values.data()) < 0) {
    throw InputError(where + ": reading failed; the file is damaged or truncated");
  }
  return values;
}

Handle open_file(const std::filesystem::path& path) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // errors are thrown, not printed by HDF5
  if (!std::filesystem::exists(path)) throw InputError(path.string() + ": no such file");
  const hid_t id = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  if (id < 0) throw InputError(path.string() + ": is not an HDF5 file, or is damaged");
  return {id, H5Fclose};
}

/// The text of the attribute `distance`, in either of HDF5's two kinds of string.
std::string read_distance(const Handle& file) {
  if (H5Aexists(file.get(), "distance") <= 0) return {};
  const Handle attribute(H5Aopen(file.get(), "distance", H5P_DEFAULT), H5Aclose);
  const Handle type(H5Aget_type(attribute.get()), H5Tclose);
  if (!attribute.valid() || H5Tget_class(type.get()) != H5T_STRING) return {};
  const Handle space(H5Aget_space(attribute.get()), H5Sclose);
  if (H5Sget_simple_extent_npoints(space.get()) != 1) return {};  // only one text fits
  if (H5Tis_variable_str(type.get()) > 0) {
    char* text = nullptr;
    if (H5Aread(attribute.get(), type.get(), static_cast<void*>(&text)) < 0) return {};
    std::string result = text == nullptr ? "" : text;
    H5free_memory(text);
    return result;
  }
  if (H5Tget_size(type.get()) > kMaxTextBytes) return {};
  std::string text(H5Tget_size(type.get()), '\0');
  if (H5Aread(attribute.get(), type.get(), text.data()) < 0) return {};
  return text.substr(0, text.find('\0'));
}

/// Whether the file has it. Refuses a link to another place, which may be another file.
bool has(const Handle& file, const char* name, const std::string& path) {
  if (H5Lexists(file.get(), name, H5P_DEFAULT) <= 0) return false;
  H5L_info_t link{};
  if (H5Lget_info(file.get(), name, &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD) {
    throw InputError(path + ": " + name + ": is a link, not a data set of this file");
  }
  return true;
}

}  // namespace

bool hdf5_supported() noexcept { return true; }

Hdf5Contents read_hdf5(const std::filesystem::path& path, Hdf5Wanted wanted,
                       std::size_t train_limit, std::size_t test_limit) {
  const Handle file = open_file(path);

  Hdf5Contents contents;
  contents.distance = read_distance(file);
  const std::string name = path.string();
  if (has(file, "train", name)) {
    const Handle train(H5Dopen2(file.get(), "train", H5P_DEFAULT), H5Dclose);
    if (!train.valid()) throw InputError(name + ": train: cannot be opened as a data set");
    contents.train_rows = shape_of(train, name + ": train").rows;
    if (wanted.train) {
      contents.train = read_matrix<float>(file, name, "train", H5T_NATIVE_FLOAT, train_limit);
    }
  }
  if (wanted.test && has(file, "test", name)) {
    contents.test = read_matrix<float>(file, name, "test", H5T_NATIVE_FLOAT, test_limit);
  }
  if (wanted.neighbors && has(file, "neighbors", name)) {
    contents.neighbors =
        read_matrix<std::uint32_t>(file, name, "neighbors", H5T_NATIVE_UINT32, test_limit);
  }
  return contents;
}

std::vector<std::int64_t> read_hdf5_column(const std::filesystem::path& path,
                                           const std::string& name, std::size_t rows) {
  const Handle file = open_file(path);
  if (!has(file, name.c_str(), path.string())) {
    throw InputError(path.string() + ": has no data set \"" + name + "\"");
  }
  return read_column(file, path.string() + ": " + name, name, rows);
}

}  // namespace concord::bench
