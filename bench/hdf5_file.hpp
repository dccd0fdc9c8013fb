// Reads data sets of ann-benchmarks.com: HDF5 with `train`, `test`, `neighbors` and the attribute
// `distance`. Compiled from hdf5_file.cpp, or from hdf5_absent.cpp in builds without HDF5.
// Errors are InputErrors. Not thread-safe (Debian's HDF5 is not).
#pragma once

#include <filesystem>
#include <string>

#include "bench/matrix.hpp"

namespace concord::bench {

struct Hdf5Wanted {
  bool train = true;
  bool test = true;
  bool neighbors = true;
};

struct Hdf5Contents {
  std::string distance;        ///< "euclidean", "angular", …; empty where absent
  std::size_t train_rows = 0;  ///< rows in the file, also where `train` was not read or cut
  FloatMatrix train;
  FloatMatrix test;
  IdMatrix neighbors;
};

/// True in builds with HDF5.
bool hdf5_supported() noexcept;

/// Reads what is wanted and there; integer and half-float elements are converted to float by HDF5.
/// `train_limit` and `test_limit` cut train and test (with neighbors) to their first rows.
Hdf5Contents read_hdf5(const std::filesystem::path& path, Hdf5Wanted wanted,
                       std::size_t train_limit, std::size_t test_limit);

}  // namespace concord::bench
