#include "common/system/file_system.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "common/base/finally.hpp"
#include "common/base/immortal.hpp"

namespace concord::core {
namespace {

FileSystem* replacement = nullptr;

}  // namespace

int FileSystem::open(const char* path, int flags, mode_t mode) {
  return ::open(path, flags | O_CLOEXEC, mode);
}

// Like mkostemp, but not private: the system applies the process's mask to `mode`. The library
// cannot read the mask itself, because umask() changes it for all threads.
int FileSystem::open_temporary(char* name, mode_t mode) {
  constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuv";
  char* const suffix = name + std::strlen(name) - 6;
  for (;;) {
    unsigned char random[6];
    if (getentropy(random, sizeof random) != 0) return -1;
    for (int i = 0; i < 6; ++i) suffix[i] = kDigits[random[i] % 32];
    const int file = ::open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (file >= 0 || errno != EEXIST) return file;
  }
}

int FileSystem::fchmod(int file, mode_t mode) { return ::fchmod(file, mode); }

int FileSystem::fchown(int file, uid_t owner, gid_t group) { return ::fchown(file, owner, group); }

int FileSystem::close(int file) { return ::close(file); }

ssize_t FileSystem::pread(int file, void* to, std::size_t bytes, off_t offset) {
  return ::pread(file, to, bytes, offset);
}

ssize_t FileSystem::pwrite(int file, const void* from, std::size_t bytes, off_t offset) {
  return ::pwrite(file, from, bytes, offset);
}

int FileSystem::fsync(int file) { return ::fsync(file); }

void FileSystem::read_ahead(int file, std::size_t bytes, off_t offset) {
  posix_fadvise(file, offset, static_cast<off_t>(bytes), POSIX_FADV_WILLNEED);
}

void FileSystem::forget_cached(int file) { posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED); }

int FileSystem::ftruncate(int file, off_t bytes) { return ::ftruncate(file, bytes); }

int FileSystem::fstat(int file, struct stat* status) { return ::fstat(file, status); }

int FileSystem::stat(const char* path, struct stat* status) { return ::stat(path, status); }

ssize_t FileSystem::readlink(const char* path, char* to, std::size_t bytes) {
  return ::readlink(path, to, bytes);
}

int FileSystem::lock(int file) { return flock(file, LOCK_EX | LOCK_NB); }

int FileSystem::unlock(int file) { return flock(file, LOCK_UN); }

void* FileSystem::map(int file, std::size_t bytes, off_t offset) {
  return mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file, offset);
}

void FileSystem::leave(void* memory, std::size_t bytes) { madvise(memory, bytes, MADV_DONTNEED); }

int FileSystem::rename(const char* from, const char* to) { return ::rename(from, to); }

int FileSystem::unlink(const char* path) { return ::unlink(path); }

int FileSystem::mkdir(const char* path, mode_t mode) { return ::mkdir(path, mode); }

int FileSystem::list(const char* directory, std::vector<std::string>& names) {
  DIR* const entries = opendir(directory);
  if (entries == nullptr) return -1;
  const Finally close([&] { closedir(entries); });
  errno = 0;
  while (const dirent* const entry = readdir(entries)) names.emplace_back(entry->d_name);
  return errno == 0 ? 0 : -1;
}

FileSystem& file_system() noexcept {
  static const Immortal<FileSystem> system;
  return replacement != nullptr ? *replacement : *system;
}

FileSystem* replace_file_system(FileSystem* other) noexcept {
  return std::exchange(replacement, other);
}

}  // namespace concord::core
