// Reads data sets of ann-benchmarks.com: HDF5 with `train`, `test`, `neighbors` and the attribute
// `distance`. Compiled from hdf5_file.cpp, or from hdf5_absent.cpp in builds without HDF5.
// Errors are InputErrors. Not thread-safe (Debian's HDF5 is not).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/tool/file_type.hpp"
#include "bench/tool/matrix.hpp"

namespace concord::bench {

struct Hdf5Wanted {
  bool train = true;
  bool test = true;
  bool neighbors = true;
};

struct Hdf5Contents {
  std::string distance;        ///< "euclidean", "angular", …; empty if absent
  std::size_t train_rows = 0;  ///< rows in the file, even if `train` was not read or was cut
  FloatMatrix train;
  FloatMatrix test;
  IdMatrix neighbors;
};

/// Whether the name ends as one of HDF5.
inline bool is_hdf5_file(const std::filesystem::path& path) {
  return file_type(path) == ".hdf5" || file_type(path) == ".h5";
}

/// True in builds with HDF5.
bool hdf5_supported() noexcept;

/// Reads the wanted parts that the file has. HDF5 converts integers and half floats to float.
/// `train_limit` and `test_limit` cut train and test (with neighbors) to their first rows.
Hdf5Contents read_hdf5(const std::filesystem::path& path, Hdf5Wanted wanted,
                       std::size_t train_limit, std::size_t test_limit);

/// The first `rows` values of a column of integers, one for each vector.
std::vector<std::int64_t> read_hdf5_column(const std::filesystem::path& path,
                                           const std::string& name, std::size_t rows);

}  // namespace concord::bench
