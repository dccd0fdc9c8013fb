// Where a file is written to: in order, with a way back to its beginning.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace concord::core {

class Output {
 public:
  Output() = default;
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  virtual ~Output() = default;

  virtual void write(const void* data, std::size_t bytes) = 0;
  /// Overwrites earlier bytes; does not move position().
  virtual void rewrite(std::uint64_t offset, const void* data, std::size_t bytes) = 0;
  /// Writes zeros up to `offset`. REQUIRES offset ≥ position().
  void pad_to(std::uint64_t offset) {
    static constexpr std::array<char, 4096> kZeros{};
    while (position_ < offset) {
      write(kZeros.data(),
            static_cast<std::size_t>(std::min<std::uint64_t>(kZeros.size(), offset - position_)));
    }
  }
  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }

 protected:
  std::uint64_t position_ = 0;
};

}  // namespace concord::core
