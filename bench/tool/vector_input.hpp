// Vectors from any file but HDF5, chosen by the end of its name: the plain formats (vec_files.hpp),
// .npy, and, with python3, .npz (numpy) and .parquet (pyarrow). Errors are InputErrors that name
// the file.
#pragma once

#include <filesystem>
#include <string>

#include "bench/tool/matrix.hpp"

namespace concord::bench {

/// "…, …" list of the ends of names, for messages.
std::string vector_input_types();
bool is_vector_input(const std::filesystem::path& path);

/// The first `limit` rows. `column` chooses the array of an .npz or the column of a .parquet that
/// has several; other files have no columns to choose from, and it must be empty.
FloatMatrix read_vector_input(const std::filesystem::path& path, std::size_t limit,
                              const std::string& column);

}  // namespace concord::bench
