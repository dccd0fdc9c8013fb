// A growing array that takes the memory and the addresses it needs, and is never copied once large.
//
// A small array is on the heap and doubles. A large one is mapped far from all others, and grows in
// place: the addresses behind it are free, but not reserved. If it meets another mapping there
// after all, it moves. After a move the old memory stays readable, unchanged, until free_left(). So
// readers go on while an array grows, and its owner frees the old memory when no reader can be
// using it. New elements are zero. Large arrays ask for huge pages. An array that shrinks, and one
// whose first elements are used no more, gives whole pages back to the system; its addresses stay.
// Thread-safety: one thread grows and frees; others may read elements that existed before. Who
// reads a size or the number of an element first, and the address afterwards, finds it there.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

namespace concord::core {

class File;

/// The untyped half: a range of memory that grows at its end.
class VirtualMemory {
 public:
  VirtualMemory() = default;
  /// `bytes` of a file from `offset` on, a multiple of 64 that need not be one of the page size,
  /// which is up to 64 KiB on Arm; they may only be read.
  VirtualMemory(const File& file, std::uint64_t offset, std::size_t bytes);
  ~VirtualMemory();
  VirtualMemory(VirtualMemory&& other) noexcept;
  VirtualMemory& operator=(VirtualMemory&& other) noexcept;

  [[nodiscard]] std::byte* data() const noexcept { return data_.load(); }
  [[nodiscard]] std::size_t committed() const noexcept { return committed_; }

  /// Makes [0, bytes) usable. Throws Error(out_of_memory) and names what ran out; then nothing
  /// changed.
  void commit(std::size_t bytes);
  /// Makes the bytes [from, to) zero, and gives whole pages of them back to the system. REQUIRES
  /// that nobody uses them, and memory that is no file's.
  void clear(std::size_t from, std::size_t to) noexcept;
  /// The same for the whole pages of the first `bytes` alone. They count as given back until
  /// reuse_front().
  void give_front_back(std::size_t bytes) noexcept;
  void reuse_front() noexcept { given_back_ = 0; }
  /// Lets the pages of a file go that were read; they are read anew when they are used. REQUIRES
  /// memory of a file.
  void leave_to_file() const noexcept;
  [[nodiscard]] std::size_t given_back() const noexcept { return given_back_; }
  /// True while memory that commit() has left is kept for readers.
  [[nodiscard]] bool has_left() const noexcept { return !left_.empty(); }
  /// Frees that memory. REQUIRES that nobody reads it.
  void free_left() noexcept;

 private:
  struct Range {
    std::byte* data = nullptr;
    std::size_t bytes = 0;
    bool is_mapped = false;
  };
  [[nodiscard]] static Range allocate(std::size_t bytes);
  [[nodiscard]] static Range map(std::size_t bytes);
  static void free(const Range& range) noexcept;
  [[nodiscard]] bool grow_in_place(std::size_t bytes) noexcept;

  std::atomic<std::byte*> data_{nullptr};
  std::size_t committed_ = 0;
  std::size_t given_back_ = 0;
  bool is_mapped_ = false;
  std::vector<Range> left_;
};

template <class T>
class VirtualArray {
  static_assert(std::is_trivially_copyable_v<T>, "elements live in raw zeroed memory");

 public:
  VirtualArray() = default;
  /// `size` elements of a file, which may only be read.
  VirtualArray(const File& file, std::uint64_t offset, std::size_t size)
      : memory_(file, offset, size * sizeof(T)), size_(size) {}

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] T* data() const noexcept { return reinterpret_cast<T*>(memory_.data()); }
  [[nodiscard]] T& operator[](std::size_t i) const noexcept { return data()[i]; }
  [[nodiscard]] std::span<T> span() const noexcept { return {data(), size_}; }
  /// Bytes held; less than the elements take if pages were given back.
  [[nodiscard]] std::size_t bytes() const noexcept {
    return size_ * sizeof(T) - memory_.given_back();
  }

  /// Makes room for `size` elements without changing size(): what may fail, fails here.
  void reserve(std::size_t size) { memory_.commit(size * sizeof(T)); }
  /// Grows to `size` elements; new ones are zero where never written before.
  void resize(std::size_t size) {
    reserve(size);
    size_ = size;
  }
  /// Forgets the elements from `size` on and gives their pages back. REQUIRES that nobody reads
  /// them any more, as the two members below.
  void shrink(std::size_t size) noexcept {
    size_ = size;
    memory_.clear(size * sizeof(T), memory_.committed());
  }
  /// The first `count` elements, unspecified from here on, give their pages back.
  void give_front_back(std::size_t count) noexcept { memory_.give_front_back(count * sizeof(T)); }
  /// Elements [first, last) become zero and give their pages back.
  void clear(std::size_t first, std::size_t last) noexcept {
    memory_.clear(first * sizeof(T), last * sizeof(T));
  }
  void leave_to_file() const noexcept { memory_.leave_to_file(); }
  /// Elements at the front will be written again.
  void reuse_front() noexcept { memory_.reuse_front(); }
  [[nodiscard]] bool has_left() const noexcept { return memory_.has_left(); }
  void free_left() noexcept { memory_.free_left(); }

 private:
  VirtualMemory memory_;
  std::size_t size_ = 0;
};

}  // namespace concord::core
