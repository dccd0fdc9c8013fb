// What the fuzz targets share: the input as a file, and what an index that was read must stand.
#pragma once

#include <unistd.h>

#include <concord/index.hpp>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <span>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace concord::fuzz {

/// Ends the process with a message; libFuzzer then keeps the input.
[[noreturn]] inline void fail(const std::string& message) {
  std::cerr << "fuzz target: " << message << '\n';
  std::abort();
}

/// One file of this process in the temporary directory, removed at its end.
class InputPath {
 public:
  explicit InputPath(const std::string& extension)
      : path_(std::filesystem::temp_directory_path() /
              ("concord-fuzz-" + std::to_string(getpid()) + extension)) {}
  ~InputPath() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  InputPath(const InputPath&) = delete;
  InputPath& operator=(const InputPath&) = delete;

  const std::filesystem::path& write(std::span<const char> bytes) const {
    std::ofstream file(path_, std::ios::binary | std::ios::trunc);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.close();
    if (!file) fail("cannot write " + path_.string());
    return path_;
  }

 private:
  std::filesystem::path path_;
};

inline std::span<const char> as_chars(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

inline RuntimeOptions on_cpu() {
  RuntimeOptions options;
  options.threads = 1;
  options.device = "cpu";
  return options;
}

/// Refused with one of the errors for files, or an index that is sound, can be searched and grows.
template <class Load>
void expect_refused_or_sound(const Load& load) {
  try {
    Index index = load();
    const std::size_t dimension = index.params().dimension;
    const std::vector<float> vectors(4 * dimension, 0.5f);
    const MatrixView<const float> view(vectors.data(), 4, dimension);
    if (index.search(view, {3, 8}).queries != 4) fail("a search that lost queries");
    try {
      index.add(view);
    } catch (const Error& error) {  // the file may hold the labels that come next
      if (error.code() != ErrorCode::duplicate_label) throw;
    }
    const AuditReport report = index.audit();
    if (!report.ok) fail("an unsound index: " + report.messages.front());
  } catch (const Error& error) {
    const bool is_refusal = error.code() == ErrorCode::corrupt_file ||
                            error.code() == ErrorCode::unsupported ||
                            error.code() == ErrorCode::dimension_mismatch;
    if (!is_refusal) fail(std::string("refused for another reason: ") + error.what());
  }
}

}  // namespace concord::fuzz
