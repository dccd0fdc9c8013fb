#include "common/system/atomic_file.hpp"

#include <concord/error.hpp>

#include "common/system/file_system.hpp"

namespace concord::core {
namespace {

// Renaming over a device or a pipe would replace it.
void expect_regular_or_absent(const std::filesystem::path& path) {
  struct stat status {};
  if (file_system().stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode)) return;
  throw Error(ErrorCode::io,
              "cannot write '" + path.string() + "': it is there and not a regular file");
}

}  // namespace

AtomicFile::AtomicFile(const std::filesystem::path& path) : path_(resolved(path)) {
  expect_regular_or_absent(path_);
  file_ = File::temporary_for(path_);
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  file_.write(position_, data, bytes);
  position_ += bytes;
}

void AtomicFile::rewrite(std::uint64_t offset, const void* data, std::size_t bytes) {
  file_.write(offset, data, bytes);
}

void AtomicFile::commit() {
  file_.sync();
  file_.rename_to_path();
  file_.close();
  sync_directory_of(path_);
}

}  // namespace concord::core
