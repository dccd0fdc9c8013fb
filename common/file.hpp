// An open file that reads and writes whole ranges and reports failures as Error(io).
// Thread-safety: one thread; reads may run beside one another.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "common/file_system.hpp"

namespace concord::core {

/// Which file a path led to, and when it was last written.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  off_t bytes = 0;
  std::int64_t modified_seconds = 0;
  std::int64_t modified_nanoseconds = 0;

  [[nodiscard]] bool exists() const noexcept { return inode != 0; }
  bool operator==(const FileIdentity&) const = default;
};

/// What is at `path` now; exists() is false where there is nothing. Throws Error(io).
FileIdentity identity_of(const std::filesystem::path& path);

/// The absolute path of the file that `path` names, or would name: links are followed. Throws
/// Error(io).
std::filesystem::path resolved(const std::filesystem::path& path);

/// Makes renames and new names in the directory of `path` durable. Does nothing where the file
/// system cannot, or where the directory may not be read. Throws Error(io).
void sync_directory_of(const std::filesystem::path& path);

class File {
 public:
  File() noexcept = default;
  /// Opens with flags of open(2); a new file gets `mode`, less what the process's mask takes away.
  File(const std::filesystem::path& path, int flags, mode_t mode = 0666);
  /// A new file beside `path`, whose name is `path`.tmp-…. It has the permissions of the file that
  /// is at `path`, where there is one, from the first moment on.
  static File temporary_for(const std::filesystem::path& path);
  ~File();
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;

  [[nodiscard]] bool is_open() const noexcept { return descriptor_ >= 0; }
  [[nodiscard]] struct stat status() const;
  [[nodiscard]] std::uint64_t size() const { return static_cast<std::uint64_t>(status().st_size); }
  /// Reads `bytes` bytes, or fewer at the file's end; returns how many.
  std::size_t read(std::uint64_t offset, void* to, std::size_t bytes) const;
  /// Maps a range of the file that begins at a page, read-only; munmap() ends it.
  [[nodiscard]] void* map(std::uint64_t offset, std::size_t bytes) const;
  void write(std::uint64_t offset, const void* from, std::size_t bytes) const;
  void truncate(std::uint64_t bytes) const;
  void sync() const;
  /// False where another open file holds the lock. It is held until this one is closed.
  [[nodiscard]] bool lock() const;
  /// Gives the lock back, also for processes that were forked and have the file open.
  void unlock() const noexcept { file_system().unlock(descriptor_); }
  /// Renames a temporary file over the path that it is for.
  void rename_to_path();
  /// Closes and reports a failure, which the destructor does not.
  void close();
  /// Closes a temporary file and removes it.
  void discard() noexcept;

  /// Throws Error(io, "cannot `action` '`path`': …") with what errno says.
  [[noreturn]] void fail(const char* action) const;

 private:
  std::string path_;       ///< what messages call the file
  std::string temporary_;  ///< its name until rename_to_path(); else empty
  int descriptor_ = -1;
};

}  // namespace concord::core
