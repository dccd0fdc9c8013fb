// The system calls by which the library reads and writes files, all in one place.
//
// Everything in common/ that touches a file goes through file_system(), so that a test can put
// another one in its place: one whose calls fail, or one that forgets what was not synced
// (tests/crash). Calls, flags, results and errno are those of POSIX.
// Thread-safety: any thread, on other files; replaced only while no file is in use.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

namespace concord::core {

class FileSystem {
 public:
  FileSystem() = default;
  FileSystem(const FileSystem&) = delete;
  FileSystem& operator=(const FileSystem&) = delete;
  virtual ~FileSystem() = default;

  virtual int open(const char* path, int flags, mode_t mode);
  /// A new file named by the template, whose last six characters are replaced.
  virtual int open_temporary(char* name, mode_t mode);
  virtual int fchmod(int file, mode_t mode);
  /// -1 leaves the owner or the group as it is.
  virtual int fchown(int file, uid_t owner, gid_t group);
  virtual int close(int file);
  virtual ssize_t pread(int file, void* to, std::size_t bytes, off_t offset);
  virtual ssize_t pwrite(int file, const void* from, std::size_t bytes, off_t offset);
  /// Asks the system to begin to read what will be wanted: posix_fadvise(WILLNEED).
  virtual void read_ahead(int file, std::size_t bytes, off_t offset);
  virtual int fsync(int file);
  /// Asks the system to read what is in the file from the disk again: posix_fadvise(DONTNEED).
  virtual void forget_cached(int file);
  virtual int ftruncate(int file, off_t bytes);
  virtual int fstat(int file, struct stat* status);
  virtual int stat(const char* path, struct stat* status);
  virtual ssize_t readlink(const char* path, char* to, std::size_t bytes);
  /// flock(LOCK_EX | LOCK_NB).
  virtual int lock(int file);
  virtual int unlock(int file);
  /// mmap, read-only and shared; MAP_FAILED where it fails. Undone by munmap.
  virtual void* map(int file, std::size_t bytes, off_t offset);
  /// Lets the pages go that such memory took; they are read anew when they are used:
  /// madvise(DONTNEED).
  virtual void leave(void* memory, std::size_t bytes);
  virtual int rename(const char* from, const char* to);
  virtual int unlink(const char* path);
  virtual int mkdir(const char* path, mode_t mode);
  /// Adds the names in a directory.
  virtual int list(const char* directory, std::vector<std::string>& names);
};

/// The file system in use: the system's, unless a test has replaced it.
FileSystem& file_system() noexcept;

/// Puts another in place, null for the system's; returns the one before. For tests.
FileSystem* replace_file_system(FileSystem* other) noexcept;

}  // namespace concord::core
