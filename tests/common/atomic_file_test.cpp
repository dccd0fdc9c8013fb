// Files written beside the old one and renamed over it.

#include "common/system/atomic_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "tests/support/memory_file_system.hpp"
#include "tests/support/support.hpp"

namespace concord::core {
namespace {

std::size_t files_in(const std::filesystem::path& directory) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory)) ++count;
  return count;
}

TEST(AtomicFile, WritesPadsAndRewrites) {
  const test::TempPath path;
  {
    AtomicFile file(path);
    file.write("abc", 3);
    file.pad_to(9000);
    EXPECT_EQ(file.position(), 9000u);
    file.write("z", 1);
    file.rewrite(1, "XY", 2);
    EXPECT_EQ(file.position(), 9001u);
    file.commit();
  }
  const std::vector<char> bytes = test::read_file(path);
  ASSERT_EQ(bytes.size(), 9001u);
  EXPECT_EQ(std::string(bytes.data(), 4), std::string("aXY\0", 4));
  EXPECT_EQ(bytes[9000], 'z');
  EXPECT_EQ(files_in(path.path().parent_path()), 1u);
}

TEST(AtomicFile, LeavesTheOldFileUntilCommit) {
  const test::TempPath path;
  test::write_file(path, {'o', 'l', 'd'});
  {
    AtomicFile file(path);
    file.write("new", 3);
    EXPECT_EQ(test::read_file(path), (std::vector<char>{'o', 'l', 'd'}));
  }
  EXPECT_EQ(test::read_file(path), (std::vector<char>{'o', 'l', 'd'}));
  EXPECT_EQ(files_in(path.path().parent_path()), 1u) << "the temporary file is removed";
}

TEST(AtomicFile, HasThePermissionsOfAPlainFile) {
  const test::TempPath path;
  const mode_t mask = umask(027);
  {
    AtomicFile file(path);
    file.commit();
  }
  umask(mask);
  struct stat status {};
  ASSERT_EQ(stat(path.path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0640u);
}

TEST(AtomicFile, HasThePermissionsOfTheFileThatItReplaces) {
  const test::TempPath path;
  for (const mode_t mode : {0600u, 0666u, 0640u}) {
    test::write_file(path, {'o', 'l', 'd'});
    ASSERT_EQ(chmod(path.path().c_str(), mode), 0);
    AtomicFile(path).commit();
    struct stat status {};
    ASSERT_EQ(stat(path.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_size, 0);
    EXPECT_EQ(status.st_mode & 0777u, mode);
  }
}

// The mask belongs to the process: umask() asks for it by changing it for all threads, of which two
// that ask may leave it changed.
TEST(AtomicFile, LeavesTheMaskOfPermissionsAlone) {
  const mode_t mask = umask(027);
  std::atomic<bool> done{false};
  std::thread writer([&] {
    const test::TempPath path;
    for (int i = 0; i < 10'000; ++i) const AtomicFile file(path);
    done = true;
  });
  int changed = 0;
  while (!done) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("Umask:")) changed += line.ends_with("0027") ? 0 : 1;
    }
  }
  writer.join();
  umask(mask);
  EXPECT_EQ(changed, 0);
}

struct stat status_of(const std::filesystem::path& path) {
  struct stat status {};
  EXPECT_EQ(stat(path.c_str(), &status), 0);
  return status;
}

void write_new(const std::filesystem::path& path) {
  AtomicFile file(path);
  file.write("new", 3);
  file.commit();
}
const std::vector<char> kNew = {'n', 'e', 'w'};

// To a file in another folder, over two links, and to one that is not there yet.
TEST(AtomicFile, WritesWhereASymbolicLinkLeads) {
  const test::TempPath path;
  const std::filesystem::path folder = path.path().parent_path();
  const std::filesystem::path target = folder / "elsewhere" / "target";
  std::filesystem::create_directory(folder / "elsewhere");
  std::filesystem::create_symlink("elsewhere/target", folder / "link");
  std::filesystem::create_symlink("link", path);
  for (const bool exists : {false, true}) {
    SCOPED_TRACE(exists);
    if (exists) test::write_file(target, {'o', 'l', 'd'});
    write_new(path);
    EXPECT_TRUE(std::filesystem::is_symlink(path.path()));
    EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
    EXPECT_EQ(test::read_file(target), kNew);
    EXPECT_EQ(files_in(folder), 3u);
    EXPECT_EQ(files_in(folder / "elsewhere"), 1u);
  }
  std::filesystem::create_symlink("loop", folder / "loop");
  test::expect_error(ErrorCode::io, {"loop", "symbolic links"},
                     [&] { write_new(folder / "loop"); });
}

TEST(AtomicFile, TakesEveryNameThatTheFileSystemTakes) {
  const test::TempPath path;
  const std::filesystem::path folder = path.path().parent_path();
  std::string wide;  // 82 characters of three bytes
  for (int i = 0; i < 82; ++i) wide += "\xe7\xb4\xa2";
  for (const std::string& name : {std::string(230, 'n'), std::string(255, 'n'), wide}) {
    write_new(folder / name);
    write_new(folder / name);
    EXPECT_EQ(test::read_file(folder / name), kNew);
  }
  EXPECT_EQ(files_in(folder), 3u);
  test::expect_error(ErrorCode::io, {"too long"},
                     [&] { write_new(folder / std::string(256, 'n')); });
}

/// A process that may change no owner and no group, where files are of another group.
class ForeignGroup final : public FileSystem {
 public:
  int stat(const char* path, struct stat* status) override {
    const int result = FileSystem::stat(path, status);
    ++status->st_gid;
    return result;
  }
  int fchown(int, uid_t, gid_t) override {
    errno = EPERM;
    return -1;
  }
};

// Otherwise the process's own group could do what the old group could.
TEST(AtomicFile, TakesTheGroupsRightsAwayWhereItCannotKeepTheGroup) {
  constexpr std::pair<mode_t, mode_t> kModes[] = {{0640, 0600}, {0644, 0644}, {0664, 0644},
                                                  {0604, 0600}, {0660, 0600}, {0666, 0666}};
  for (const auto& [before, after] : kModes) {
    const test::TempPath path;
    test::write_file(path, {'o', 'l', 'd'});
    chmod(path.path().c_str(), before);
    ForeignGroup system;
    const test::ScopedFileSystem in_place(system);
    write_new(path);
    EXPECT_EQ(status_of(path).st_mode & 0777u, after) << before;
  }
}

TEST(AtomicFile, KeepsOwnerAndGroup) {
  if (geteuid() != 0) GTEST_SKIP() << "only root may give files away";
  const test::TempPath path;
  test::write_file(path, {'o', 'l', 'd'});
  ASSERT_EQ(chown(path.path().c_str(), 65534, 1234), 0);
  chmod(path.path().c_str(), 0640);
  write_new(path);
  EXPECT_EQ(test::read_file(path), kNew);
  EXPECT_EQ(status_of(path).st_uid, 65534u);
  EXPECT_EQ(status_of(path).st_gid, 1234u);
  EXPECT_EQ(status_of(path).st_mode & 0777u, 0640u);
}

// What a killed process left goes, and nothing else: not what a living one writes, nor what only
// looks alike.
TEST(AtomicFile, LeftoversAreRemovedTheirsAlone) {
  const test::TempPath path;
  const std::filesystem::path folder = path.path().parent_path();
  const std::string name = path.path().filename().string();
  const std::string long_name(255, 'n');
  for (const std::string& of : {name, long_name}) {
    const std::filesystem::path target = folder / of;
    const std::set<std::filesystem::path> before(std::filesystem::directory_iterator(folder), {});
    AtomicFile living(target);
    std::filesystem::path unfinished;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (!before.contains(entry.path())) unfinished = entry.path();
    }
    std::string leftover = unfinished.string();
    leftover.back() = leftover.back() == '0' ? '1' : '0';
    test::write_file(leftover, {'x'});
    const std::filesystem::path others[] = {leftover + "x", leftover.substr(0, leftover.size() - 1),
                                            folder / ("x" + name + ".unfinished-000000"),
                                            folder / (name + ".tmp-000000")};
    for (const std::filesystem::path& other : others) test::write_file(other, {});
    const std::filesystem::path link = folder / (name + ".unfinished-00link");
    std::filesystem::create_symlink(name, link);
    const std::filesystem::path directory = folder / (name + ".unfinished-folder");
    std::filesystem::create_directory(directory);
    remove_leftovers_of({target});
    EXPECT_FALSE(std::filesystem::exists(leftover));
    EXPECT_TRUE(std::filesystem::exists(unfinished));
    for (const std::filesystem::path& other : others) {
      EXPECT_TRUE(std::filesystem::remove(other)) << other;
    }
    EXPECT_TRUE(std::filesystem::remove(link));
    EXPECT_TRUE(std::filesystem::remove(directory));
    living.write("new", 3);
    living.commit();
    EXPECT_EQ(test::read_file(target), kNew);
  }
}

/// Between the making of a temporary file and its lock, someone takes it for a leftover.
class HastyRemover final : public FileSystem {
 public:
  explicit HastyRemover(bool holds) : holds_(holds) {}
  int lock(int file) override {
    if (++locks_ > 3) return FileSystem::lock(file);
    if (holds_) {
      errno = EWOULDBLOCK;
      return -1;
    }
    char name[4096];
    const std::string link = "/proc/self/fd/" + std::to_string(file);
    const ssize_t length = ::readlink(link.c_str(), name, sizeof name);
    EXPECT_GT(length, 0);
    EXPECT_EQ(unlink(std::string(name, static_cast<std::size_t>(length)).c_str()), 0);
    return FileSystem::lock(file);
  }

 private:
  bool holds_;
  int locks_ = 0;
};

TEST(AtomicFile, IsMadeAnewIfItIsTakenForALeftover) {
  for (const bool holds : {false, true}) {
    const test::TempPath path;
    {
      HastyRemover system(holds);
      const test::ScopedFileSystem in_place(system);
      write_new(path);
    }
    EXPECT_EQ(test::read_file(path), kNew);
    EXPECT_EQ(files_in(path.path().parent_path()), 1u);
  }
}

// Renaming over a device or a pipe would replace it.
TEST(AtomicFile, RefusesWhatIsNoRegularFile) {
  const test::TempPath path;
  ASSERT_EQ(mkfifo(path.path().c_str(), 0600), 0);
  test::expect_error(ErrorCode::io, {path.path().string(), "regular file"},
                     [&] { AtomicFile file(path); });
  EXPECT_TRUE(std::filesystem::is_fifo(path.path()));
  test::expect_error(ErrorCode::io, {"regular file"},
                     [&] { AtomicFile file(path.path().parent_path()); });
  EXPECT_EQ(files_in(path.path().parent_path()), 1u);
}

TEST(AtomicFile, NamesThePathItCannotWrite) {
  const test::TempPath path;
  test::expect_error(ErrorCode::io, {"no-such-directory/file", "No such file"}, [&] {
    AtomicFile file(path.path().parent_path() / "no-such-directory" / "file");
  });
  test::expect_error(ErrorCode::io, {"''"}, [&] {
    AtomicFile file("");
    file.commit();
  });
}

}  // namespace
}  // namespace concord::core
