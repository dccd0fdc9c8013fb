// The global operator new of this binary, which fails when it is told to, and counts bytes.
#include "tests/allocation/failing_allocations.hpp"

#include <malloc.h>

#include <cstdlib>
#include <new>

namespace concord::test {

std::atomic<std::int64_t> allocations_left{-1};
std::atomic<std::int64_t> bytes_held{0};

}  // namespace concord::test

namespace {

using concord::test::allocations_left;
using concord::test::bytes_held;

void* take(std::size_t bytes, std::size_t alignment) {
  if (allocations_left.load(std::memory_order_relaxed) >= 0 && allocations_left.fetch_sub(1) == 0) {
    throw std::bad_alloc();
  }
  const std::size_t size = (bytes + alignment - 1) / alignment * alignment;
  void* const memory = std::aligned_alloc(alignment, size > 0 ? size : alignment);
  if (memory == nullptr) throw std::bad_alloc();
  bytes_held += static_cast<std::int64_t>(malloc_usable_size(memory));
  return memory;
}

void give(void* memory) noexcept {
  bytes_held -= static_cast<std::int64_t>(malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t bytes) { return take(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return take(bytes, static_cast<std::size_t>(alignment));
}
// A sanitizer has its own, which do not come here.
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  try {
    return take(bytes, alignof(std::max_align_t));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* operator new(std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  try {
    return take(bytes, static_cast<std::size_t>(alignment));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void operator delete(void* memory) noexcept { give(memory); }
void operator delete(void* memory, std::size_t) noexcept { give(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { give(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { give(memory); }
