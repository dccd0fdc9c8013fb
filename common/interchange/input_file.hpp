// Sequential reading of an untrusted file.
//
// Reads nothing beyond the length that the file had when it was opened. Allocates no array whose
// elements the rest of the file could not hold.
// Thread-safety: one thread.
#pragma once

#include <concord/error.hpp>
#include <concord/interchange.hpp>
#include <concord/params.hpp>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace concord::interchange {

class InputFile {
 public:
  /// `kind` is what the file should be, for messages. Throws Error(io), Error(corrupt_file) where
  /// it is no regular file.
  InputFile(const std::filesystem::path& path, std::string kind);

  /// Throws Error(corrupt_file): the file is damaged or of another kind.
  [[noreturn]] void refuse(const std::string& reason) const;
  /// Throws Error(unsupported): the file is sound, and beyond what Concord takes.
  [[noreturn]] void refuse_unsupported(const std::string& reason) const;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  /// Bytes not read yet.
  [[nodiscard]] std::uint64_t left() const noexcept { return left_; }
  void read(void* to, std::uint64_t bytes);
  /// Goes to where so many bytes are left, before or behind.
  void return_to(std::uint64_t left);

  template <class T>
  T read() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    read(&value, sizeof value);
    return value;
  }
  template <class T>
  std::vector<T> read_array(std::uint64_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (count > left_ / sizeof(T)) refuse_early_end();
    std::vector<T> values(count);
    read(values.data(), count * sizeof(T));
    return values;
  }
  void expect_end() const;
  /// That at least so many bytes are left.
  void expect_left(std::uint64_t bytes) const {
    if (bytes > left_) refuse_early_end();
  }

 private:
  [[noreturn]] void refuse_early_end() const { refuse("it ends early"); }

  struct Close {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  std::filesystem::path path_;
  std::string kind_;
  std::unique_ptr<std::FILE, Close> file_;
  std::uint64_t left_ = 0;
};

/// Sets params.M and params.ef_construction as a file has them. Refuses an M outside 2 … 64, but
/// that one above becomes 64 where the file's links are not adopted.
void set_build_params(IndexParams& params, std::uint64_t M, std::uint64_t ef_construction,
                      Adopt adopt, const InputFile& file);

}  // namespace concord::interchange
