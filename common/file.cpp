#include "common/file.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <concord/error.hpp>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/file_system.hpp"

namespace concord::core {
namespace {

constexpr std::size_t kMostAtOnce = std::size_t{1} << 30;

[[noreturn]] void fail_at(const std::string& path, const char* action) {
  throw Error(ErrorCode::io,
              std::string("cannot ") + action + " '" + path + "': " + std::strerror(errno));
}

}  // namespace

FileIdentity identity_of(const std::filesystem::path& path) {
  struct stat status {};
  if (file_system().stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    fail_at(path.string(), "examine");
  }
  return {status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec,
          status.st_mtim.tv_nsec};
}

std::filesystem::path resolved(const std::filesystem::path& path) {
  constexpr int kMostLinks = 40;  // as Linux
  if (!path.has_filename()) {
    throw Error(ErrorCode::io, "'" + path.string() + "' is not the name of a file");
  }
  std::error_code error;
  std::filesystem::path at = std::filesystem::absolute(path, error);
  if (error) throw Error(ErrorCode::io, "cannot find '" + path.string() + "': " + error.message());
  for (int links = 0; links < kMostLinks; ++links) {
    std::array<char, 4096> target;
    const ssize_t length = file_system().readlink(at.c_str(), target.data(), target.size());
    if (length < 0 && (errno == EINVAL || errno == ENOENT)) return at;
    if (length < 0) fail_at(at.string(), "examine");
    at = at.parent_path() / std::string_view(target.data(), static_cast<std::size_t>(length));
  }
  errno = ELOOP;
  fail_at(path.string(), "examine");
}

void sync_directory_of(const std::filesystem::path& path) {
  const std::filesystem::path parent = path.has_parent_path() ? path.parent_path() : ".";
  FileSystem& system = file_system();
  const int directory = system.open(parent.c_str(), O_RDONLY | O_DIRECTORY, 0);
  if (directory < 0) {
    if (errno == EACCES) return;
    fail_at(parent.string(), "open the directory");
  }
  const int result = system.fsync(directory);
  const int reason = errno;
  system.close(directory);
  if (result == 0 || reason == EINVAL || reason == ENOTSUP) return;
  errno = reason;
  fail_at(parent.string(), "sync the directory");
}

File::File(const std::filesystem::path& path, int flags, mode_t mode) : path_(path.string()) {
  descriptor_ = file_system().open(path_.c_str(), flags, mode);
  if (descriptor_ < 0) fail("open");
}

File File::temporary_for(const std::filesystem::path& path) {
  File file;
  file.path_ = path.string();
  std::string name = file.path_ + ".tmp-XXXXXX";
  struct stat old {};
  const bool replaces = file_system().stat(file.path_.c_str(), &old) == 0;
  if (!replaces && errno != ENOENT) file.fail("examine");
  const mode_t mode = replaces ? old.st_mode & 0777 : 0666;
  file.descriptor_ = file_system().open_temporary(name.data(), mode);
  if (file.descriptor_ < 0) file.fail("create a temporary file for");
  file.temporary_ = std::move(name);
  // The process's mask may have taken some away; where they cannot be given, it has fewer.
  if (replaces) file_system().fchmod(file.descriptor_, mode);
  return file;
}

File::~File() { discard(); }

File::File(File&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

File& File::operator=(File&& other) noexcept {
  if (this == &other) return *this;
  discard();
  path_ = std::move(other.path_);
  temporary_ = std::exchange(other.temporary_, {});
  descriptor_ = std::exchange(other.descriptor_, -1);
  return *this;
}

void File::fail(const char* action) const { fail_at(path_, action); }

struct stat File::status() const {
  struct stat status {};
  if (file_system().fstat(descriptor_, &status) != 0) fail("examine");
  return status;
}

std::size_t File::read(std::uint64_t offset, void* to, std::size_t bytes) const {
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t n =
        file_system().pread(descriptor_, static_cast<char*>(to) + done,
                            std::min(bytes - done, kMostAtOnce), static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("read");
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

void* File::map(std::uint64_t offset, std::size_t bytes) const {
  void* const memory = file_system().map(descriptor_, bytes, static_cast<off_t>(offset));
  if (memory == MAP_FAILED) fail("map");
  return memory;
}

void File::write(std::uint64_t offset, const void* from, std::size_t bytes) const {
  const char* next = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t n = file_system().pwrite(descriptor_, next, std::min(bytes, kMostAtOnce),
                                           static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = ENOSPC;
    if (n <= 0) fail("write");
    next += n;
    offset += static_cast<std::uint64_t>(n);
    bytes -= static_cast<std::size_t>(n);
  }
}

void File::truncate(std::uint64_t bytes) const {
  if (file_system().ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0) fail("shorten");
}

// After a failure the system may keep in memory, as if it were on disk, what is not: whoever opens
// the file next must not be shown it.
void File::sync() const {
  if (file_system().fsync(descriptor_) == 0) return;
  const int reason = errno;
  file_system().forget_cached(descriptor_);
  errno = reason;
  fail("sync");
}

bool File::lock() const {
  if (file_system().lock(descriptor_) == 0) return true;
  if (errno != EWOULDBLOCK) fail("lock");
  return false;
}

void File::rename_to_path() {
  if (file_system().rename(temporary_.c_str(), path_.c_str()) != 0) {
    fail("rename the temporary file to");
  }
  temporary_.clear();
}

void File::close() {
  const int descriptor = std::exchange(descriptor_, -1);
  if (descriptor >= 0 && file_system().close(descriptor) != 0) fail("close");
}

void File::discard() noexcept {
  if (descriptor_ >= 0) file_system().close(std::exchange(descriptor_, -1));
  if (!temporary_.empty()) file_system().unlink(temporary_.c_str());
  temporary_.clear();
}

}  // namespace concord::core
