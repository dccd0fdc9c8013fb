#include "tests/support/support.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "cpu/isa.hpp"

namespace concord::test {
namespace {

std::size_t scale_per_cent() {
  const char* text = std::getenv("CONCORD_TEST_SCALE");
  if (text == nullptr || *text == '\0') return 100;
  return static_cast<std::size_t>(std::clamp(std::atol(text), 1L, 1000000L));
}

}  // namespace

std::size_t scaled(std::size_t n, std::size_t least) {
  return std::max(least, n * scale_per_cent() / 100);
}

bool full_scale() { return scale_per_cent() >= 100; }

TempPath::TempPath(const std::string& name) {
  static std::atomic<unsigned> counter{0};
  directory_ = std::filesystem::path(testing::TempDir()) /
               ("concord-" + std::to_string(getpid()) + "-" + std::to_string(counter++));
  std::filesystem::create_directories(directory_);
  path_ = directory_ / name;
}

TempPath::~TempPath() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

ScopedEnvironment::ScopedEnvironment(std::string name, const std::string& value)
    : name_(std::move(name)) {
  if (const char* old = std::getenv(name_.c_str()); old != nullptr) old_ = old;
  setenv(name_.c_str(), value.c_str(), 1);
}

ScopedEnvironment::~ScopedEnvironment() {
  if (old_) {
    setenv(name_.c_str(), old_->c_str(), 1);
  } else {
    unsetenv(name_.c_str());
  }
}

std::vector<std::string> supported_isas() {
  std::vector<std::string> names;
  for (const cpu::DistanceKernels* const kernels : cpu::compiled_kernels()) {
    if (cpu::is_supported(*kernels)) names.emplace_back(kernels->isa);
  }
  return names;
}

std::vector<char> read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_file(const std::filesystem::path& path, const std::vector<char>& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  ASSERT_TRUE(file.flush().good()) << "cannot write " << path;
}

void expect_sound(const AuditReport& report) {
  EXPECT_TRUE(report.ok) << testing::PrintToString(report.messages);
  EXPECT_TRUE(report.messages.empty());
}

}  // namespace concord::test
