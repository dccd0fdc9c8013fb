// What every group of tests needs: sizes, temporary paths, environment variables, typed errors.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <concord/index.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace concord::test {

/// `n` in the measure that CONCORD_TEST_SCALE asks for (per cent), but at least `least`.
std::size_t scaled(std::size_t n, std::size_t least = 1);
/// True unless CONCORD_TEST_SCALE asks for less than the whole.
bool full_scale();

/// A path in the tests' temporary directory that no other test uses; removed with its content.
class TempPath {
 public:
  explicit TempPath(const std::string& name = "file");
  ~TempPath();
  TempPath(const TempPath&) = delete;
  TempPath& operator=(const TempPath&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  operator const std::filesystem::path&() const noexcept { return path_; }

 private:
  std::filesystem::path directory_;
  std::filesystem::path path_;
};

/// Sets an environment variable for a scope.
class ScopedEnvironment {
 public:
  ScopedEnvironment(std::string name, const std::string& value);
  ~ScopedEnvironment();
  ScopedEnvironment(const ScopedEnvironment&) = delete;
  ScopedEnvironment& operator=(const ScopedEnvironment&) = delete;

 private:
  std::string name_;
  std::optional<std::string> old_;
};

/// The kernels of this machine, from scalar to the widest that run.
std::vector<std::string> supported_isas();

std::vector<char> read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::vector<char>& bytes);

/// The error that `action` throws; a failed expectation where it throws none or another type.
template <class Action>
std::optional<Error> error_of(Action&& action) {
  try {
    std::forward<Action>(action)();
  } catch (const Error& error) {
    return error;
  } catch (const std::exception& error) {
    ADD_FAILURE() << "threw another type: " << error.what();
    return std::nullopt;
  }
  ADD_FAILURE() << "threw nothing";
  return std::nullopt;
}

/// Expects concord::Error of this code whose message contains all `words`.
template <class Action>
void expect_error(ErrorCode code, const std::vector<std::string>& words, Action&& action) {
  const std::optional<Error> error = error_of(std::forward<Action>(action));
  if (!error) return;
  EXPECT_EQ(to_string(error->code()), std::string(to_string(code))) << error->what();
  for (const std::string& word : words) EXPECT_THAT(error->what(), testing::HasSubstr(word));
}

/// Expects a clean audit; shows the findings otherwise.
void expect_sound(const AuditReport& report);

}  // namespace concord::test
