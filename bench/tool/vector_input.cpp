#include "bench/tool/vector_input.hpp"

#include <cerrno>
#include <cstring>
#include <memory>

#include "bench/tool/file_type.hpp"
#include "bench/tool/npy_file.hpp"
#include "bench/tool/python_program.hpp"
#include "bench/tool/vec_files.hpp"

namespace concord::bench {
namespace {

bool is_table(const std::filesystem::path& path) {
  return file_type(path) == ".npz" || file_type(path) == ".parquet";
}

FloatMatrix read_npy_file(const std::filesystem::path& path, std::size_t limit) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             std::fclose);
  if (!file) throw InputError(path.string() + ": " + std::strerror(errno));
  if (!std::filesystem::is_regular_file(path)) {
    throw InputError(path.string() + ": is not a regular file");
  }
  return read_npy(file.get(), std::filesystem::file_size(path), limit, path.string());
}

FloatMatrix read_table(const std::filesystem::path& path, std::size_t limit,
                       const std::string& column) {
  if (!std::filesystem::exists(path)) {
    throw InputError(path.string() + ": " + std::strerror(ENOENT));
  }
  const PythonOutput output({python_program("read_table.py").string(), path.string(), column});
  const int first = std::fgetc(output.stream());
  if (first != '!') {
    std::ungetc(first, output.stream());
    return read_npy(output.stream(), kAllRows, limit, path.string());
  }
  std::string reason;
  for (int c = std::fgetc(output.stream()); c != EOF; c = std::fgetc(output.stream())) {
    reason += static_cast<char>(c);
  }
  throw InputError(path.string() + ": " + reason);
}

}  // namespace

std::string vector_input_types() { return vector_file_extensions() + ", .npy, .npz, .parquet"; }

bool is_vector_input(const std::filesystem::path& path) {
  return is_vector_file(path) || file_type(path) == ".npy" || is_table(path);
}

FloatMatrix read_vector_input(const std::filesystem::path& path, std::size_t limit,
                              const std::string& column) {
  if (is_table(path)) return read_table(path, limit, column);
  if (!column.empty()) {
    throw InputError(path.string() + ": has no columns; --column is for .npz and .parquet");
  }
  if (file_type(path) == ".npy") return read_npy_file(path, limit);
  return read_vectors(path, limit);
}

}  // namespace concord::bench
