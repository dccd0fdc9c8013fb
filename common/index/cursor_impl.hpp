// What a Cursor goes on with: the pages of one index, or of several.
//
// Thread-safety: as Cursor.
#pragma once

#include <concord/cursor.hpp>
#include <concord/index.hpp>
#include <cstddef>
#include <cstdint>

namespace concord {

struct Cursor::Impl {
  Impl() = default;
  virtual ~Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  /// As Cursor::next and Cursor::given.
  [[nodiscard]] virtual SearchResult next(std::uint32_t k) = 0;
  [[nodiscard]] virtual std::size_t given() const noexcept = 0;
};

}  // namespace concord
