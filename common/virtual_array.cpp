#include "common/virtual_array.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <concord/error.hpp>
#include <string>

#include "common/file.hpp"

namespace concord::core {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kSmallestReservation = std::size_t{64} << 20;

std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

// Twice the machine's memory: what an array could ever hold here, swap included. Reserving no more
// lets hundreds of indexes share the 128 TiB of addresses a process has.
std::size_t reservation_limit() {
  const auto pages = static_cast<std::size_t>(std::max(1L, sysconf(_SC_PHYS_PAGES)));
  const auto page_size = static_cast<std::size_t>(std::max(1L, sysconf(_SC_PAGESIZE)));
  return round_up(2 * pages * page_size, kHugePage);
}

}  // namespace

VirtualMemory::VirtualMemory(std::size_t max_bytes) {
  static const std::size_t limit = reservation_limit();
  const std::size_t wanted = round_up(std::min(max_bytes, limit), kHugePage);
  for (std::size_t bytes = std::max(wanted, kSmallestReservation); bytes >= kSmallestReservation;
       bytes = round_up(bytes / 2, kHugePage)) {
    void* p = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p != MAP_FAILED) {
      data_ = static_cast<std::byte*>(p);
      reserved_ = bytes;
      return;
    }
  }
  throw Error(ErrorCode::out_of_memory,
              "cannot reserve " + std::to_string(kSmallestReservation >> 20) +
                  " MiB of address space; is the address space limited (ulimit -v)?");
}

VirtualMemory::VirtualMemory(const File& file, std::uint64_t offset, std::size_t bytes) {
  if (bytes == 0) return;
  data_ = static_cast<std::byte*>(file.map(offset, bytes));
  reserved_ = bytes;
  committed_ = bytes;
}

VirtualMemory::~VirtualMemory() { release(); }

VirtualMemory::VirtualMemory(VirtualMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      reserved_(std::exchange(other.reserved_, 0)),
      committed_(std::exchange(other.committed_, 0)) {}

VirtualMemory& VirtualMemory::operator=(VirtualMemory&& other) noexcept {
  if (this != &other) {
    release();
    data_ = std::exchange(other.data_, nullptr);
    reserved_ = std::exchange(other.reserved_, 0);
    committed_ = std::exchange(other.committed_, 0);
  }
  return *this;
}

void VirtualMemory::release() noexcept {
  if (data_ != nullptr) munmap(data_, reserved_);
}

void VirtualMemory::commit(std::size_t bytes) {
  if (bytes <= committed_) return;
  if (bytes > reserved_) {
    throw Error(ErrorCode::capacity, "an array of " + std::to_string(bytes) +
                                         " bytes exceeds the " + std::to_string(reserved_) +
                                         " bytes of address space reserved for it");
  }
  // Small arrays grow by pages and stay small; large ones by huge pages.
  static const auto page = static_cast<std::size_t>(std::max(1L, sysconf(_SC_PAGESIZE)));
  const std::size_t target =
      std::min(reserved_, round_up(bytes, bytes >= 4 * kHugePage ? kHugePage : page));
  std::byte* const from = data_ + committed_;
  if (mprotect(from, target - committed_, PROT_READ | PROT_WRITE) != 0) {
    throw Error(ErrorCode::out_of_memory,
                "the system refused " + std::to_string(target - committed_) + " bytes of memory");
  }
  if (target >= kHugePage) madvise(data_, target, MADV_HUGEPAGE);
  committed_ = target;
}

}  // namespace concord::core
