// Files written beside the old one and renamed over it.

#include "common/atomic_file.hpp"

#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <string>
#include <thread>

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
