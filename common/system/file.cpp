#include "common/system/file.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <concord/error.hpp>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/base/xxh3.hpp"
#include "common/system/file_system.hpp"

namespace concord::core {
namespace {

constexpr std::size_t kMostAtOnce = std::size_t{1} << 30;
constexpr std::string_view kMarker = ".unfinished-";  // of temporary files
constexpr std::size_t kDrawn = 6;                     // characters behind it

[[noreturn]] void fail_at(const std::string& path, const char* action) {
  const int reason = errno;
  throw Error(ErrorCode::io,
              std::string("cannot ") + action + " '" + path + "': " + std::strerror(reason),
              reason);
}

// The name of a temporary file for `path`, up to the characters that are drawn.
std::filesystem::path temporary_prefix(const std::filesystem::path& path) {
  constexpr std::size_t kMostBytes = 255;  // of a name, on Linux
  const std::string name = path.filename().string();
  if (name.size() + kMarker.size() + kDrawn <= kMostBytes) return path.string() + kMarker.data();
  std::array<char, 17> hash;
  std::snprintf(hash.data(), hash.size(), "%016llx",
                static_cast<unsigned long long>(XXH3_64bits(name.data(), name.size())));
  return path.parent_path() / (std::string("concord-") + hash.data() + kMarker.data());
}

}  // namespace

FileIdentity identity_of(const struct stat& status) noexcept {
  return {status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec,
          status.st_mtim.tv_nsec};
}

FileIdentity identity_of(const std::filesystem::path& path) {
  struct stat status {};
  if (file_system().stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    fail_at(path.string(), "examine");
  }
  return identity_of(status);
}

std::filesystem::path resolved(const std::filesystem::path& path) {
  constexpr int kMostLinks = 40;  // as Linux
  if (!path.has_filename()) {
    throw Error(ErrorCode::io, "'" + path.string() + "' is not the name of a file");
  }
  std::error_code error;
  std::filesystem::path at = std::filesystem::absolute(path, error);
  if (error) {
    throw Error(ErrorCode::io, "cannot find '" + path.string() + "': " + error.message(),
                error.value());
  }
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

// Whoever dies leaves the lock, and by that remove_leftovers_of() tells.
File File::temporary_for(const std::filesystem::path& path) {
  File file;
  file.path_ = path.string();
  struct stat old {};
  const bool replaces = file_system().stat(file.path_.c_str(), &old) == 0;
  if (!replaces && errno != ENOENT) file.fail("examine");
  std::string name;
  do {
    file.discard();
    name = temporary_prefix(path).string() + std::string(kDrawn, 'X');
    file.descriptor_ = file_system().open_temporary(name.data(), replaces ? 0600 : 0666);
    if (file.descriptor_ < 0) file.fail("create a temporary file for");
    file.temporary_ = name;
  } while (!file.is_kept());
  if (replaces) file.take_access_of(old, old.st_mode & 0777);
  return file;
}

// False if someone took a new file for a leftover before it could be locked. Where there are no
// locks, nobody can.
bool File::is_kept() const {
  if (file_system().lock(descriptor_) != 0 && errno == EWOULDBLOCK) return false;
  return status().st_nlink > 0;
}

void File::take_access_of(const struct stat& other, mode_t mode) const {
  FileSystem& system = file_system();
  const struct stat own = status();
  const bool keeps_group = own.st_gid == other.st_gid ||
                           system.fchown(descriptor_, static_cast<uid_t>(-1), other.st_gid) == 0;
  if (own.st_uid != other.st_uid) {
    system.fchown(descriptor_, other.st_uid, static_cast<gid_t>(-1));  // only root may
  }
  if (!keeps_group) {
    const mode_t of_both = (mode >> 3) & mode & 07;
    mode = (mode & 0700) | of_both << 3 | of_both;
  }
  system.fchmod(descriptor_, mode);  // otherwise only the owner may use it
}

namespace {

void remove_unless_locked(const std::filesystem::path& leftover) {
  try {
    const File file(leftover, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (S_ISREG(file.status().st_mode) && file.lock()) file_system().unlink(leftover.c_str());
  } catch (const Error&) {  // it stays
  }
}

}  // namespace

void remove_leftovers_of(std::initializer_list<std::filesystem::path> paths) {
  const std::filesystem::path folder = paths.begin()->parent_path();
  std::vector<std::string> names;
  if (file_system().list(folder.c_str(), names) != 0) return;
  for (const std::filesystem::path& path : paths) {
    const std::string prefix = temporary_prefix(path).filename().string();
    for (const std::string& name : names) {
      if (name.size() == prefix.size() + kDrawn && name.starts_with(prefix)) {
        remove_unless_locked(folder / name);
      }
    }
  }
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

// After a failure the system may keep data in memory as if it were on disk. The next process that
// opens the file must not see it.
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
