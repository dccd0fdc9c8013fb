#include "common/system/virtual_array.hpp"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <concord/error.hpp>
#include <cstring>
#include <fstream>
#include <new>
#include <string>
#include <utility>

#include "common/system/file.hpp"

namespace concord::core {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
/// The largest array on the heap. Mappings are few: the system allows a process some 65,530.
constexpr std::size_t kLargestOnHeap = std::size_t{128} << 10;
constexpr std::size_t kSmallestOnHeap = 256;
constexpr std::align_val_t kAlignment{64};

std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

std::size_t page_size() {
  static const auto size = static_cast<std::size_t>(std::max(1L, sysconf(_SC_PAGESIZE)));
  return size;
}

/// The most addresses that the process may use at once; ~0 if that is not limited.
std::size_t address_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return ~std::size_t{0};
  return limit.rlim_cur;
}

/// An address for a large array, far from all others. The multiples of the golden ratio divide the
/// range evenly, however many there are: the first 10,000 are at least 2 GiB apart. In the range
/// are neither programs nor the heap, nor what the system places by itself, from the upper end
/// down.
void* next_address() noexcept {
  static std::atomic<std::uint64_t> count{0};
  // 18 TiB, beyond the shadow of AddressSanitizer; 64 TiB follow.
  constexpr std::uint64_t kFirst = std::uint64_t{18} << 40;
  const std::uint64_t place = (count.fetch_add(1) * 0x9E3779B97F4A7C15U) >> 18;
  return reinterpret_cast<void*>(kFirst + place / kHugePage * kHugePage);  // NOLINT(*int-to-ptr)
}

/// Large arrays grow by huge pages.
std::size_t in_pages(std::size_t bytes) {
  return round_up(bytes, bytes >= 4 * kHugePage ? kHugePage : page_size());
}

/// What keeps the system from giving the process `bytes` more.
std::string shortage(std::size_t bytes) {
  std::size_t used = 0;
  std::ifstream("/proc/self/statm") >> used;
  used *= page_size();
  if (const std::size_t limit = address_limit(); limit - std::min(limit, used) < bytes) {
    return "the process uses " + std::to_string(used >> 20) + " MiB of the " +
           std::to_string(limit >> 20) + " MiB of address space it may have (ulimit -v)";
  }
  std::size_t most = 0;
  std::ifstream("/proc/sys/vm/max_map_count") >> most;
  std::ifstream maps("/proc/self/maps");
  std::size_t mappings = 0;
  for (std::string line; std::getline(maps, line);) ++mappings;
  if (most > 0 && mappings + 8 >= most) {
    return "the process has " + std::to_string(mappings) + " of the " + std::to_string(most) +
           " memory mappings it may have (sysctl vm.max_map_count)";
  }
  return "the machine or the process's limits (ulimit -d, a container's) allow no more memory";
}

[[noreturn]] void refuse(std::size_t bytes) {
  throw Error(ErrorCode::out_of_memory, "the system refused an array of " + std::to_string(bytes) +
                                            " bytes: " + shortage(bytes));
}

}  // namespace

VirtualMemory::VirtualMemory(const File& file, std::uint64_t offset, std::size_t bytes) {
  if (bytes == 0) return;
  const std::size_t before = offset % page_size();
  data_ = static_cast<std::byte*>(file.map(offset - before, before + bytes)) + before;
  committed_ = bytes;
  is_mapped_ = true;
}

VirtualMemory::~VirtualMemory() {
  free_left();
  free({data_, committed_, is_mapped_});
}

VirtualMemory::VirtualMemory(VirtualMemory&& other) noexcept
    : data_(other.data_.exchange(nullptr)),
      committed_(std::exchange(other.committed_, 0)),
      given_back_(std::exchange(other.given_back_, 0)),
      is_mapped_(std::exchange(other.is_mapped_, false)),
      left_(std::exchange(other.left_, {})) {}

VirtualMemory& VirtualMemory::operator=(VirtualMemory&& other) noexcept {
  VirtualMemory from(std::move(other));
  from.data_ = data_.exchange(from.data_);
  std::swap(committed_, from.committed_);
  std::swap(given_back_, from.given_back_);
  std::swap(is_mapped_, from.is_mapped_);
  std::swap(left_, from.left_);
  return *this;
}

void VirtualMemory::free(const Range& range) noexcept {
  if (range.data == nullptr) return;
  if (range.is_mapped) {
    // Those of a file may begin within a page.
    const std::size_t before = reinterpret_cast<std::uintptr_t>(range.data) % page_size();
    munmap(range.data - before, before + range.bytes);
  } else {
    ::operator delete(range.data, kAlignment);
  }
}

void VirtualMemory::free_left() noexcept {
  for (const Range& range : left_) free(range);
  left_.clear();
}

VirtualMemory::Range VirtualMemory::allocate(std::size_t bytes) {
  void* const data = ::operator new(bytes, kAlignment, std::nothrow);
  if (data == nullptr) refuse(bytes);
  return {static_cast<std::byte*>(data), bytes, false};
}

VirtualMemory::Range VirtualMemory::map(std::size_t bytes) {
  void* const data = mmap(next_address(), bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) refuse(bytes);
  return {static_cast<std::byte*>(data), bytes, true};
}

bool VirtualMemory::grow_in_place(std::size_t bytes) noexcept {
  return mremap(data_, committed_, bytes, 0) != MAP_FAILED;
}

// Pages that are locked in memory cannot be given back; they are only made zero.
void VirtualMemory::clear(std::size_t from, std::size_t to) noexcept {
  if (from >= to) return;
  std::byte* const data = data_;
  const std::size_t first = std::min(round_up(from, page_size()), to);
  const std::size_t last = std::max(to / page_size() * page_size(), first);
  const bool has_pages = is_mapped_ && first < last;
  if (has_pages && madvise(data + first, last - first, MADV_DONTNEED) == 0) {
    std::memset(data + from, 0, first - from);
    std::memset(data + last, 0, to - last);
  } else {
    std::memset(data + from, 0, to - from);
  }
}

void VirtualMemory::leave_to_file() const noexcept {
  std::byte* const data = data_;
  const std::size_t before = reinterpret_cast<std::uintptr_t>(data) % page_size();
  if (committed_ > 0) file_system().leave(data - before, before + committed_);
}

void VirtualMemory::give_front_back(std::size_t bytes) noexcept {
  const std::size_t pages = bytes / page_size() * page_size();
  if (!is_mapped_ || pages <= given_back_) return;
  clear(given_back_, pages);
  given_back_ = pages;
}

void VirtualMemory::commit(std::size_t bytes) {
  if (bytes <= committed_) return;
  const bool fits_heap = bytes <= kLargestOnHeap;
  const std::size_t target =
      fits_heap ? std::max({bytes, std::min(2 * committed_, kLargestOnHeap), kSmallestOnHeap})
                : in_pages(bytes);
  if (!is_mapped_ || !grow_in_place(target)) {
    left_.reserve(left_.size() + 1);
    const Range grown = fits_heap ? allocate(target) : map(target);
    const Range old{data_, committed_, is_mapped_};
    if (old.data != nullptr) {
      std::memcpy(grown.data, old.data, old.bytes);
      left_.push_back(old);
    }
    if (!grown.is_mapped) std::memset(grown.data + old.bytes, 0, grown.bytes - old.bytes);
    data_ = grown.data;
    is_mapped_ = grown.is_mapped;
  }
  if (is_mapped_ && target >= kHugePage) madvise(data_, target, MADV_HUGEPAGE);
  committed_ = target;
}

}  // namespace concord::core
