// Writing a file so that its old content stays whole until the new one is complete and on disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "common/file.hpp"

namespace concord::core {

/// A temporary file beside `path`; commit() syncs it and renames it over `path`. Destroyed without
/// commit, it is removed. Writes are sequential and buffered by the system alone: pass large
/// pieces. All members throw Error(io) with the path and the system's reason. Where commit() throws
/// because the directory cannot be synced, `path` holds the new content already.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);

  void write(const void* data, std::size_t bytes);
  /// Writes zeros up to `offset`. REQUIRES offset ≥ position().
  void pad_to(std::uint64_t offset);
  /// Overwrites earlier bytes; does not move position().
  void rewrite(std::uint64_t offset, const void* data, std::size_t bytes);
  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }
  void commit();

 private:
  std::filesystem::path path_;
  File file_;
  std::uint64_t position_ = 0;
};

}  // namespace concord::core
