// Memory before a page that cannot be read, as the last row of a mapped file may be. Code that
// reads beyond its end ends the test by a signal.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>

namespace concord::test {

class BytesBeforeAGuard {
 public:
  explicit BytesBeforeAGuard(std::size_t size)
      : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))),
        room_((size + page_ - 1) / page_ * page_),
        memory_(mmap(nullptr, room_ + page_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                     -1, 0)),
        data_(static_cast<std::byte*>(memory_) + room_ - size) {
    if (memory_ == MAP_FAILED || mprotect(data_ + size, page_, PROT_NONE) != 0) std::abort();
  }
  ~BytesBeforeAGuard() { munmap(memory_, room_ + page_); }
  BytesBeforeAGuard(const BytesBeforeAGuard&) = delete;
  BytesBeforeAGuard& operator=(const BytesBeforeAGuard&) = delete;
  [[nodiscard]] std::byte* data() const noexcept { return data_; }

 private:
  std::size_t page_;
  std::size_t room_;
  void* memory_;
  std::byte* data_;
};

}  // namespace concord::test
