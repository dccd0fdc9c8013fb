// Sequential writing of small records to an AtomicFile.
// Thread-safety: one thread.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <type_traits>
#include <vector>

#include "common/system/atomic_file.hpp"

namespace concord::interchange {

class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& path) : file_(path) {}

  template <class T>
  void write(const T& value) {
    write(std::span<const T>(&value, 1));
  }
  template <class T>
  void write(std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
    buffer_.insert(buffer_.end(), bytes, bytes + values.size_bytes());
    if (buffer_.size() >= kFlushAt) flush();
  }
  /// `count` times `value`.
  template <class T>
  void fill(std::size_t count, const T& value) {
    for (std::size_t i = 0; i < count; ++i) write(value);
  }
  void commit() {
    flush();
    file_.commit();
  }

 private:
  static constexpr std::size_t kFlushAt = std::size_t{1} << 20;

  void flush() {
    file_.write(buffer_.data(), buffer_.size());
    buffer_.clear();
  }

  core::AtomicFile file_;
  std::vector<std::byte> buffer_;
};

}  // namespace concord::interchange
