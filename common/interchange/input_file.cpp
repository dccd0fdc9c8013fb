#include "common/interchange/input_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace concord::interchange {
namespace {

constexpr std::uint64_t kMaxM = 64;
constexpr std::uint64_t kMaxEfConstruction = 1024;

[[noreturn]] void fail(const char* action, const std::filesystem::path& path, int reason) {
  throw Error(
      ErrorCode::io,
      std::string("cannot ") + action + " '" + path.string() + "': " + std::strerror(reason),
      reason);
}

}  // namespace

InputFile::InputFile(const std::filesystem::path& path, std::string kind)
    : path_(path), kind_(std::move(kind)) {
  // Without O_NONBLOCK a pipe would be waited for before it could be refused.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) fail("open", path, errno);
  file_.reset(fdopen(descriptor, "rb"));
  if (!file_) {
    const int reason = errno;
    close(descriptor);
    fail("open", path, reason);
  }
  struct stat status {};
  if (fstat(descriptor, &status) != 0) fail("open", path, errno);
  if (!S_ISREG(status.st_mode)) refuse("it is not a regular file");
  left_ = static_cast<std::uint64_t>(status.st_size);
}

void InputFile::refuse(const std::string& reason) const {
  throw Error(ErrorCode::corrupt_file,
              "'" + path_.string() + "' is not a sound " + kind_ + " file: " + reason);
}

void InputFile::refuse_unsupported(const std::string& reason) const {
  throw Error(ErrorCode::unsupported, "'" + path_.string() + "' cannot be adopted: " + reason);
}

void InputFile::read(void* to, std::uint64_t bytes) {
  if (bytes > left_) refuse_early_end();
  if (bytes == 0) return;
  if (std::fread(to, 1, bytes, file_.get()) != bytes) {
    if (std::ferror(file_.get()) != 0) fail("read", path_, errno);
    refuse_early_end();
  }
  left_ -= bytes;
}

void InputFile::return_to(std::uint64_t left) {
  if (std::fseek(file_.get(), -static_cast<long>(left - left_), SEEK_CUR) != 0) {
    fail("read", path_, errno);
  }
  left_ = left;
}

void InputFile::expect_end() const {
  if (left_ > 0) refuse(std::to_string(left_) + " bytes follow its end");
}

void set_build_params(IndexParams& params, std::uint64_t M, std::uint64_t ef_construction,
                      Adopt adopt, const InputFile& file) {
  if (M < 2 || (M > kMaxM && adopt == Adopt::graph)) {
    file.refuse_unsupported("its M is " + std::to_string(M) + "; allowed are 2 to 64" +
                            (M > kMaxM ? ", or its vectors alone (adopt \"vectors\")" : ""));
  }
  if (ef_construction == 0) file.refuse("its ef_construction is 0");
  params.M = static_cast<std::uint32_t>(std::min(M, kMaxM));
  params.ef_construction =
      static_cast<std::uint32_t>(std::min(ef_construction, kMaxEfConstruction));
}

}  // namespace concord::interchange
