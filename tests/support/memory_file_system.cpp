#include "tests/support/memory_file_system.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/system/boot.hpp"
#include "tests/support/data_sets.hpp"

namespace concord::test {
namespace {

constexpr std::size_t kSector = 64;

// The sectors of a write that chance keeps, as writes.
template <class Change>
std::vector<Change> some_sectors(const Change& change, std::uint64_t seed, std::uint64_t number) {
  std::vector<Change> kept;
  for (std::size_t at = 0; at < change.bytes.size();) {
    const std::size_t end =
        std::min(change.bytes.size(), at + kSector - (change.offset + at) % kSector);
    if (hash(seed, number, at) % 2 == 0) {
      const auto first = change.bytes.begin();
      kept.push_back(
          {change.offset + at,
           {first + static_cast<std::ptrdiff_t>(at), first + static_cast<std::ptrdiff_t>(end)},
           false});
    }
    at = end;
  }
  return kept;
}

}  // namespace

// ------------------------------------------------------------------------------------------ crash

void MemoryFileSystem::apply(const Change& change, Content& content) {
  if (change.is_length) return content.resize(change.offset);
  if (content.size() < change.offset + change.bytes.size())
    content.resize(change.offset + change.bytes.size());
  std::copy(change.bytes.begin(), change.bytes.end(),
            content.begin() + static_cast<std::ptrdiff_t>(change.offset));
}

void MemoryFileSystem::apply(const NameChange& change, Names& names) {
  if (!change.from.empty()) names.erase(change.from);
  if (!change.to.empty()) names[change.to] = change.inode;
}

void MemoryFileSystem::crash(Survival survival, std::uint64_t seed) {
  const auto survivors = [&](std::size_t count, std::uint64_t stream) {
    std::vector<bool> kept(count, survival == Survival::all);
    if (survival == Survival::first) {
      std::fill_n(kept.begin(), hash(seed, stream) % (count + 1), true);
    } else if (survival == Survival::any) {
      for (std::size_t i = 0; i < count; ++i) kept[i] = hash(seed, stream, i) % 2 == 0;
    }
    return kept;
  };
  for (auto& [number, inode] : disk_.inodes) {
    const std::vector<bool> kept = survivors(inode.unsynced.size(), number);
    for (std::size_t i = 0; i < kept.size(); ++i) {
      const Change& change = inode.unsynced[i];
      const bool torn = survival == Survival::any ||
                        (survival == Survival::first && !kept[i] && (i == 0 || kept[i - 1]));
      if (torn && !change.is_length) {
        for (const Change& piece : some_sectors(change, seed, i)) apply(piece, inode.durable);
      } else if (kept[i]) {
        apply(change, inode.durable);
      }
    }
    inode.content = inode.durable;
    inode.unsynced.clear();
  }
  const std::vector<bool> kept = survivors(disk_.unsynced_names.size(), 0);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i]) apply(disk_.unsynced_names[i], disk_.durable_names);
  }
  disk_.names = disk_.durable_names;
  disk_.unsynced_names.clear();
  open_.clear();
  locked_.clear();
  ++disk_.starts;
}

// --------------------------------------------------------------------------------------- for tests

std::vector<std::string> MemoryFileSystem::names() const {
  std::vector<std::string> result;
  for (const auto& [name, inode] : disk_.names) result.push_back(name);
  return result;
}

std::vector<char> MemoryFileSystem::content(const std::string& path) const {
  return disk_.inodes.at(disk_.names.at(path)).content;
}

void MemoryFileSystem::replace(const std::string& path, std::vector<char> content) {
  create(path);
  Inode& inode = disk_.inodes.at(disk_.names.at(path));
  inode.content = inode.durable = std::move(content);
}

// ------------------------------------------------------------------------------------------- calls

// Non-zero, with errno set, where the oracle says so.
int MemoryFileSystem::fails(Call call, Fate* fate) {
  const Fate decided = oracle_ ? oracle_(call) : Fate{};
  if (fate != nullptr) *fate = decided;
  if (decided.error == 0) return 0;
  errno = decided.error;
  return -1;
}

int MemoryFileSystem::open_inode(ino_t inode) {
  open_[next_file_] = inode;
  return next_file_++;
}

void MemoryFileSystem::change_name(const NameChange& change) {
  apply(change, disk_.names);
  disk_.unsynced_names.push_back(change);
}

void MemoryFileSystem::create(const std::string& path) {
  const ino_t inode = disk_.next_inode++;
  disk_.inodes[inode].modified = disk_.clock++;
  change_name({{}, path, inode});
}

int MemoryFileSystem::open_boot_id() {
  constexpr ino_t kBootId = ~ino_t{0};
  const std::string digits = std::to_string(100000000 + disk_.starts).substr(1);
  const std::string text = digits + "-4a5b-8c6d-9e0f-1a2b3c4d5e6f\n";
  Inode& inode = disk_.inodes[kBootId];
  inode.content = inode.durable = {text.begin(), text.end()};
  return open_inode(kBootId);
}

int MemoryFileSystem::open(const char* path, int flags, mode_t) {
  if (fails(Call::open) != 0) return -1;
  if (std::string(path) == core::kBootIdPath) return open_boot_id();
  if (std::string(path) == kDirectory) return open_inode(0);
  if (!exists(path)) {
    if ((flags & O_CREAT) == 0) {
      errno = ENOENT;
      return -1;
    }
    create(path);
  }
  return open_inode(disk_.names.at(path));
}

int MemoryFileSystem::open_temporary(char* name, mode_t) {
  if (fails(Call::open) != 0) return -1;
  const std::string number = std::to_string(1000000 + disk_.next_inode);
  std::memcpy(name + std::strlen(name) - 6, number.data() + 1, 6);
  create(name);
  return open_inode(disk_.names.at(name));
}

int MemoryFileSystem::close(int file) {
  unlock(file);
  open_.erase(file);  // even where it fails, as on Linux
  return fails(Call::close);
}

ssize_t MemoryFileSystem::pread(int file, void* to, std::size_t bytes, off_t offset) {
  if (fails(Call::read) != 0) return -1;
  const Content& content = disk_.inodes.at(open_.at(file)).content;
  const std::size_t first = std::min(content.size(), static_cast<std::size_t>(offset));
  const std::size_t count = std::min(bytes, content.size() - first);
  if (count > 0) std::memcpy(to, content.data() + first, count);
  return static_cast<ssize_t>(count);
}

void* MemoryFileSystem::map(int file, std::size_t bytes, off_t offset) {
  void* const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || pread(file, memory, bytes, offset) >= 0) return memory;
  munmap(memory, bytes);
  return MAP_FAILED;
}

ssize_t MemoryFileSystem::pwrite(int file, const void* from, std::size_t bytes, off_t offset) {
  Fate fate;
  const int failed = fails(Call::write, &fate);
  if (fate.half_done) bytes /= 2;
  if (failed != 0 && (!fate.half_done || bytes == 0)) return -1;
  Inode& inode = disk_.inodes.at(open_.at(file));
  const char* const first = static_cast<const char*>(from);
  inode.unsynced.push_back({static_cast<std::size_t>(offset), {first, first + bytes}, false});
  apply(inode.unsynced.back(), inode.content);
  inode.modified = disk_.clock++;
  return static_cast<ssize_t>(bytes);
}

int MemoryFileSystem::fsync(int file) {
  const bool failed = fails(Call::sync) != 0;
  if (open_.at(file) == 0) {
    if (failed) return -1;
    disk_.durable_names = disk_.names;
    disk_.unsynced_names.clear();
    return 0;
  }
  Inode& inode = disk_.inodes.at(open_.at(file));
  if (!failed) inode.durable = after(inode);
  inode.unsynced.clear();
  return failed ? -1 : 0;
}

void MemoryFileSystem::forget_cached(int file) {
  Inode& inode = disk_.inodes.at(open_.at(file));
  inode.content = after(inode);
}

// What is in a file when all that is not durable will have been written.
MemoryFileSystem::Content MemoryFileSystem::after(const Inode& inode) {
  Content content = inode.durable;
  for (const Change& change : inode.unsynced) apply(change, content);
  return content;
}

int MemoryFileSystem::ftruncate(int file, off_t bytes) {
  if (fails(Call::truncate) != 0) return -1;
  Inode& inode = disk_.inodes.at(open_.at(file));
  inode.unsynced.push_back({static_cast<std::size_t>(bytes), {}, true});
  apply(inode.unsynced.back(), inode.content);
  inode.modified = disk_.clock++;
  return 0;
}

void MemoryFileSystem::fill(ino_t number, struct stat* status) const {
  const Inode& inode = disk_.inodes.at(number);
  *status = {};
  status->st_dev = 1;
  status->st_ino = number;
  status->st_mode = S_IFREG | 0644;
  status->st_size = static_cast<off_t>(inode.content.size());
  status->st_mtim.tv_sec = inode.modified;
  status->st_nlink =
      static_cast<nlink_t>(std::count_if(disk_.names.begin(), disk_.names.end(),
                                         [&](const auto& name) { return name.second == number; }));
}

int MemoryFileSystem::fstat(int file, struct stat* status) {
  if (fails(Call::status) != 0) return -1;
  fill(open_.at(file), status);
  return 0;
}

int MemoryFileSystem::stat(const char* path, struct stat* status) {
  if (fails(Call::status) != 0) return -1;
  const auto found = disk_.names.find(path);
  if (found == disk_.names.end()) {
    errno = ENOENT;
    return -1;
  }
  fill(found->second, status);
  return 0;
}

// There are no links.
ssize_t MemoryFileSystem::readlink(const char* path, char*, std::size_t) {
  if (fails(Call::status) != 0) return -1;
  errno = exists(path) ? EINVAL : ENOENT;
  return -1;
}

int MemoryFileSystem::lock(int file) {
  if (fails(Call::lock) != 0) return -1;
  const auto [place, taken] = locked_.try_emplace(open_.at(file), file);
  if (taken || place->second == file) return 0;
  errno = EWOULDBLOCK;
  return -1;
}

int MemoryFileSystem::unlock(int file) {
  std::erase_if(locked_, [&](const auto& lock) { return lock.second == file; });
  return 0;
}

int MemoryFileSystem::rename(const char* from, const char* to) {
  if (fails(Call::rename) != 0) return -1;
  if (!exists(from)) {
    errno = ENOENT;
    return -1;
  }
  change_name({from, to, disk_.names.at(from)});
  return 0;
}

int MemoryFileSystem::unlink(const char* path) {
  if (fails(Call::unlink) != 0) return -1;
  if (!exists(path)) {
    errno = ENOENT;
    return -1;
  }
  change_name({path, {}, 0});
  return 0;
}

int MemoryFileSystem::list(const char* directory, std::vector<std::string>& names) {
  if (fails(Call::open) != 0) return -1;
  for (const auto& [path, inode] : disk_.names) {
    const std::filesystem::path name(path);
    if (name.parent_path() == directory) names.push_back(name.filename());
  }
  return 0;
}

int MemoryFileSystem::mkdir(const char*, mode_t) {
  errno = EEXIST;
  return -1;
}

}  // namespace concord::test
