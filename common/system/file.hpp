// An open file that reads and writes whole ranges and reports failures as Error(io).
// Thread-safety: one thread; reads may run beside one another.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>

#include "common/system/file_system.hpp"

namespace concord::core {

/// Identifies a file and its last modification.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  off_t bytes = 0;
  std::int64_t modified_seconds = 0;
  std::int64_t modified_nanoseconds = 0;

  [[nodiscard]] bool exists() const noexcept { return inode != 0; }
  /// True if both are of one file, even if it was written to in between.
  [[nodiscard]] bool is_same_file(const FileIdentity& other) const noexcept {
    return exists() && inode == other.inode && device == other.device;
  }
  bool operator==(const FileIdentity&) const = default;
};

/// Identity of a file with this status.
FileIdentity identity_of(const struct stat& status) noexcept;
/// Identity of the file at `path`; exists() is false if there is no file. Throws Error(io).
FileIdentity identity_of(const std::filesystem::path& path);

/// The absolute path of the file that `path` names, or would name: links are followed. Throws
/// Error(io).
std::filesystem::path resolved(const std::filesystem::path& path);

/// Makes renames and new names in the directory of `path` durable. Does nothing if the file system
/// cannot do that or the process may not read the directory. Throws Error(io).
void sync_directory_of(const std::filesystem::path& path);

/// Removes the temporary files for these paths, all in one folder, that killed processes left. A
/// file that a process is writing to stays, and so does what cannot be removed.
void remove_leftovers_of(std::initializer_list<std::filesystem::path> paths);

class File {
 public:
  File() noexcept = default;
  /// Opens with flags of open(2); a new file gets `mode`, less what the process's mask takes away.
  File(const std::filesystem::path& path, int flags, mode_t mode = 0666);
  /// A new file beside `path`, locked, named `path`.unfinished-…, or by a hash where that is too
  /// long for a name. If a file exists at `path`, the new file may be used as that one:
  /// take_access_of() it.
  static File temporary_for(const std::filesystem::path& path);
  ~File();
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;

  [[nodiscard]] bool is_open() const noexcept { return descriptor_ >= 0; }
  [[nodiscard]] struct stat status() const;
  /// Gives an empty file that only its owner can open the owner and group of another, as far as the
  /// process may, and these permissions. If the group cannot be kept, neither it nor others may do
  /// what not both may.
  void take_access_of(const struct stat& other, mode_t mode) const;
  [[nodiscard]] std::uint64_t size() const { return static_cast<std::uint64_t>(status().st_size); }
  /// Reads `bytes` bytes, or fewer at the file's end; returns how many.
  std::size_t read(std::uint64_t offset, void* to, std::size_t bytes) const;
  /// Begins to read a range that read() will be asked for, and does not wait for it.
  void read_ahead(std::uint64_t offset, std::size_t bytes) const noexcept {
    file_system().read_ahead(descriptor_, bytes, static_cast<off_t>(offset));
  }
  /// Maps a range of the file that begins at a page, read-only; munmap() ends it.
  [[nodiscard]] void* map(std::uint64_t offset, std::size_t bytes) const;
  void write(std::uint64_t offset, const void* from, std::size_t bytes) const;
  void truncate(std::uint64_t bytes) const;
  void sync() const;
  /// False if another open file holds the lock. The lock is held until this file is closed.
  [[nodiscard]] bool lock() const;
  /// Releases the lock, for forked processes that have the file open as well.
  void unlock() const noexcept { file_system().unlock(descriptor_); }
  /// Renames a temporary file over the path that it is for.
  void rename_to_path();
  /// Closes, and throws on failure, which the destructor cannot do.
  void close();
  /// Closes a temporary file and removes it.
  void discard() noexcept;

  /// Throws Error(io, "cannot `action` '`path`': …") with what errno says.
  [[noreturn]] void fail(const char* action) const;

 private:
  [[nodiscard]] bool is_kept() const;

  std::string path_;       ///< what messages call the file
  std::string temporary_;  ///< its name until rename_to_path(); else empty
  int descriptor_ = -1;
};

}  // namespace concord::core
