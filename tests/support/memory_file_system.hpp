// A file system in memory that can crash: whatever was not synced may be lost, in whole or in part,
// and any call can be made to fail.
//
// Model: content is durable after fsync of the file, names (new files, renames, removals) after
// fsync of the directory. A failed fsync drops what it could not write, though it can still be
// read. A crash keeps everything durable and, as Survival says, none, all, the first some or any of
// the changes since; of a write any 64-byte sectors may be kept. There is one directory,
// kDirectory. Each crash is the end of one start of the machine, as the file at kBootIdPath tells.
// Copies are independent, and do not have files open. Thread-safety: one call at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/system/file_system.hpp"

namespace concord::test {

enum class Survival { none, all, first, any };
inline constexpr Survival kAllSurvivals[] = {Survival::none, Survival::all, Survival::first,
                                             Survival::any};

class MemoryFileSystem final : public core::FileSystem {
 public:
  static constexpr const char* kDirectory = "/disk";

  /// What happens to one call: it succeeds, fails with an errno, or writes half and then fails.
  struct Fate {
    int error = 0;
    bool half_done = false;
  };
  enum class Call { open, close, read, write, sync, truncate, status, lock, rename, unlink };
  /// Asked before every call; may be empty.
  using Oracle = std::function<Fate(Call)>;

  MemoryFileSystem() = default;
  MemoryFileSystem(const MemoryFileSystem& other) : FileSystem(), disk_(other.disk_) {}
  MemoryFileSystem& operator=(const MemoryFileSystem&) = delete;

  void set_oracle(Oracle oracle) { oracle_ = std::move(oracle); }
  /// The machine goes down and comes up again. `seed` decides what survives, where it is chance.
  void crash(Survival survival, std::uint64_t seed);
  /// Lets who asks which start of the machine this is hear this number, as on another machine.
  /// Returns the number before.
  std::uint64_t pretend_start(std::uint64_t number) { return std::exchange(disk_.starts, number); }

  [[nodiscard]] bool exists(const std::string& path) const { return disk_.names.contains(path); }
  [[nodiscard]] std::vector<std::string> names() const;
  [[nodiscard]] std::vector<char> content(const std::string& path) const;
  /// Puts another file there, as someone else's program would.
  void replace(const std::string& path, std::vector<char> content);

  int open(const char* path, int flags, mode_t mode) override;
  int open_temporary(char* name, mode_t mode) override;
  /// There are no permissions.
  int fchmod(int, mode_t) override { return 0; }
  int fchown(int, uid_t, gid_t) override { return 0; }
  int close(int file) override;
  ssize_t pread(int file, void* to, std::size_t bytes, off_t offset) override;
  /// A copy of the file as it is now.
  void* map(int file, std::size_t bytes, off_t offset) override;
  ssize_t pwrite(int file, const void* from, std::size_t bytes, off_t offset) override;
  int fsync(int file) override;
  /// All is in memory.
  void read_ahead(int /*file*/, std::size_t /*bytes*/, off_t /*offset*/) override {}
  void leave(void* /*memory*/, std::size_t /*bytes*/) override {}
  void forget_cached(int file) override;
  int ftruncate(int file, off_t bytes) override;
  int fstat(int file, struct stat* status) override;
  int stat(const char* path, struct stat* status) override;
  ssize_t readlink(const char* path, char* to, std::size_t bytes) override;
  int lock(int file) override;
  int unlock(int file) override;
  int rename(const char* from, const char* to) override;
  int unlink(const char* path) override;
  /// There is one directory already.
  int mkdir(const char*, mode_t) override;
  int list(const char* directory, std::vector<std::string>& names) override;

 private:
  using Content = std::vector<char>;
  using Names = std::map<std::string, ino_t>;
  /// A write of bytes at an offset, or, without bytes, a new length.
  struct Change {
    std::size_t offset = 0;
    Content bytes;
    bool is_length = false;
  };
  struct NameChange {
    std::string from;  ///< empty: a new file
    std::string to;    ///< empty: a removal
    ino_t inode = 0;
  };
  struct Inode {
    Content content;
    Content durable;
    std::vector<Change> unsynced;
    std::int64_t modified = 0;
  };
  /// What there is when nobody has a file open.
  struct Disk {
    std::map<ino_t, Inode> inodes;
    Names names;
    Names durable_names;
    std::vector<NameChange> unsynced_names;
    ino_t next_inode = 1;
    std::int64_t clock = 1;
    std::uint64_t starts = 1;  ///< of the machine
  };

  int fails(Call call, Fate* fate = nullptr);
  int open_inode(ino_t inode);
  int open_boot_id();
  void create(const std::string& path);
  void change_name(const NameChange& change);
  static void apply(const Change& change, Content& content);
  static void apply(const NameChange& change, Names& names);
  static Content after(const Inode& inode);
  void fill(ino_t number, struct stat* status) const;

  Disk disk_;
  Oracle oracle_;
  std::map<int, ino_t> open_;    ///< 0: the directory
  std::map<ino_t, int> locked_;  ///< by which open file
  int next_file_ = 1000;
};

/// Puts a file system in place for a scope.
class ScopedFileSystem {
 public:
  explicit ScopedFileSystem(core::FileSystem& other) : before_(core::replace_file_system(&other)) {}
  ~ScopedFileSystem() { core::replace_file_system(before_); }
  ScopedFileSystem(const ScopedFileSystem&) = delete;
  ScopedFileSystem& operator=(const ScopedFileSystem&) = delete;

 private:
  core::FileSystem* before_;
};

}  // namespace concord::test
