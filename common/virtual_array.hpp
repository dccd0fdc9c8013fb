// A growing array whose elements never move: reserved address space, committed as it grows.
//
// Growing never copies and never invalidates a pointer, so readers need no lock against it and no
// max_elements has to be guessed. New elements are zero. Large arrays ask for huge pages.
// Thread-safety: one thread grows; others may read elements that existed before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

namespace concord::core {

class File;

/// The untyped half: a reserved range of addresses, committed from its start.
class VirtualMemory {
 public:
  /// Reserves up to `max_bytes` (less where the system has less to give). Throws
  /// Error(out_of_memory) where not even a small range can be had.
  explicit VirtualMemory(std::size_t max_bytes);
  /// `bytes` of a file from `offset` on, a multiple of the page size; they may only be read.
  VirtualMemory(const File& file, std::uint64_t offset, std::size_t bytes);
  ~VirtualMemory();
  VirtualMemory(VirtualMemory&& other) noexcept;
  VirtualMemory& operator=(VirtualMemory&& other) noexcept;

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t committed() const noexcept { return committed_; }

  /// Makes [0, bytes) usable. Throws Error(out_of_memory), Error(capacity); then nothing changed.
  void commit(std::size_t bytes);

 private:
  void release() noexcept;
  std::byte* data_ = nullptr;
  std::size_t reserved_ = 0;
  std::size_t committed_ = 0;
};

template <class T>
class VirtualArray {
  static_assert(std::is_trivially_copyable_v<T>, "elements live in raw zeroed memory");

 public:
  explicit VirtualArray(std::size_t max_size) : memory_(max_size * sizeof(T)) {}
  /// `size` elements of a file, which may only be read.
  VirtualArray(const File& file, std::uint64_t offset, std::size_t size)
      : memory_(file, offset, size * sizeof(T)), size_(size) {}

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] T* data() const noexcept { return reinterpret_cast<T*>(memory_.data()); }
  [[nodiscard]] T& operator[](std::size_t i) const noexcept { return data()[i]; }
  [[nodiscard]] std::span<T> span() const noexcept { return {data(), size_}; }
  [[nodiscard]] std::size_t bytes() const noexcept { return size_ * sizeof(T); }

  /// Makes room for `size` elements without changing size(): what may fail, fails here.
  void reserve(std::size_t size) { memory_.commit(size * sizeof(T)); }
  /// Grows to `size` elements; new ones are zero where never written before.
  void resize(std::size_t size) {
    reserve(size);
    size_ = size;
  }

 private:
  VirtualMemory memory_;
  std::size_t size_ = 0;
};

}  // namespace concord::core
