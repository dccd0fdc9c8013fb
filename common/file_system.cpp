#include "common/file_system.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace concord::core {
namespace {

FileSystem* replacement = nullptr;

}  // namespace

int FileSystem::open(const char* path, int flags, mode_t mode) {
  return ::open(path, flags | O_CLOEXEC, mode);
}

int FileSystem::open_temporary(char* name) {
  const int file = mkostemp(name, O_CLOEXEC);
  if (file < 0) return file;
  const mode_t mask = umask(0);
  umask(mask);
  fchmod(file, 0666 & ~mask);  // mkostemp makes it private; a plain new file would not be
  return file;
}

int FileSystem::close(int file) { return ::close(file); }

ssize_t FileSystem::pread(int file, void* to, std::size_t bytes, off_t offset) {
  return ::pread(file, to, bytes, offset);
}

ssize_t FileSystem::pwrite(int file, const void* from, std::size_t bytes, off_t offset) {
  return ::pwrite(file, from, bytes, offset);
}

int FileSystem::fsync(int file) { return ::fsync(file); }

int FileSystem::ftruncate(int file, off_t bytes) { return ::ftruncate(file, bytes); }

int FileSystem::fstat(int file, struct stat* status) { return ::fstat(file, status); }

int FileSystem::stat(const char* path, struct stat* status) { return ::stat(path, status); }

int FileSystem::lock(int file) { return flock(file, LOCK_EX | LOCK_NB); }

void* FileSystem::map(int file, std::size_t bytes, off_t offset) {
  return mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file, offset);
}

int FileSystem::rename(const char* from, const char* to) { return ::rename(from, to); }

int FileSystem::unlink(const char* path) { return ::unlink(path); }

FileSystem& file_system() noexcept {
  static FileSystem system;
  return replacement != nullptr ? *replacement : system;
}

FileSystem* replace_file_system(FileSystem* other) noexcept {
  return std::exchange(replacement, other);
}

}  // namespace concord::core
