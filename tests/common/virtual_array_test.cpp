// Arrays that take what they need, and grow without being copied once they are large.

#include "common/system/virtual_array.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <numeric>
#include <utility>
#include <vector>

#include "common/system/file.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/support.hpp"

namespace concord::core {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

std::size_t addresses_in_use() {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

TEST(VirtualArray, KeepsContentAndAddsZerosAtAnySize) {
  VirtualArray<std::uint32_t> array;
  std::size_t size = 0;
  for (const std::size_t next : {1u, 5u, 100u, 1000u, 32768u, 32769u, 70000u, 3000000u, 9000001u}) {
    array.resize(next);
    ASSERT_EQ(array.size(), next);
    ASSERT_TRUE(std::all_of(array.data() + size, array.data() + next,
                            [](std::uint32_t x) { return x == 0; }));
    for (std::size_t i = size; i < next; ++i) array[i] = static_cast<std::uint32_t>(i + 1);
    size = next;
    for (std::size_t i = 0; i < size; i += 997) ASSERT_EQ(array[i], i + 1);
  }
}

bool is_resident(const void* address) {
  unsigned char state = 0;
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  void* const begin = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(address) / page *
                                              page);  // NOLINT(*int-to-ptr)
  EXPECT_EQ(mincore(begin, 1, &state), 0);
  return (state & 1) != 0;
}

// What is cut off is zero when it comes again, and large arrays give its pages back.
TEST(VirtualArray, ShrinksToZerosAndGivesPagesBack) {
  for (const std::size_t size : {10U, 5000U, 100000U, 3000000U}) {
    for (const std::size_t left : {std::size_t{0}, std::size_t{1}, size / 3, size - 1}) {
      VirtualArray<std::uint32_t> array;
      array.resize(size);
      for (std::size_t i = 0; i < size; ++i) array[i] = 7;
      array.shrink(left);
      ASSERT_EQ(array.size(), left);
      ASSERT_EQ(array.bytes(), 4 * left);
      if (size >= 100000 && left <= size / 3) {
        EXPECT_FALSE(is_resident(&array.data()[size - 2000]));
      }
      array.resize(size);
      ASSERT_EQ(std::count(array.data(), array.data() + left, 7U), static_cast<long>(left));
      ASSERT_TRUE(std::all_of(array.data() + left, array.data() + size,
                              [](std::uint32_t x) { return x == 0; }));
    }
  }
}

TEST(VirtualArray, GivesPagesOfItsFrontBackAndCountsWhatItHolds) {
  constexpr std::size_t kSize = 400000;
  VirtualArray<std::uint32_t> array;
  array.resize(kSize);
  for (std::size_t i = 0; i < kSize; ++i) array[i] = 7;
  std::size_t held = array.bytes();
  for (const std::size_t front : {100U, 5000U, 5001U, 200000U, 399999U}) {
    array.give_front_back(front);
    ASSERT_LE(array.bytes(), held);
    ASSERT_GE(array.bytes(), 4 * (kSize - front));
    ASSERT_LE(array.bytes(), 4 * (kSize - front) + 65536);
    held = array.bytes();
    ASSERT_TRUE(std::all_of(array.data() + front, array.data() + kSize,
                            [](std::uint32_t x) { return x == 7; }));
  }
  EXPECT_FALSE(is_resident(array.data()));
  array.reuse_front();
  EXPECT_EQ(array.bytes(), 4 * kSize);

  VirtualArray<std::uint32_t> small;  // has no pages of its own
  small.resize(1000);
  small.give_front_back(1000);
  EXPECT_EQ(small.bytes(), 4000U);
}

// Copies of a large array would be stalls that grow with it.
TEST(VirtualArray, GrowsInPlaceOnceItIsLarge) {
  VirtualArray<char> array;
  array.resize(kMiB / 4);
  const char* const address = array.data();
  array.free_left();
  for (std::size_t size = kMiB / 4; size <= 512 * kMiB; size += size / 3) {
    array.resize(size);
    ASSERT_EQ(array.data(), address) << size;
  }
  EXPECT_FALSE(array.has_left());
}

TEST(VirtualArray, MovesFewTimesWhileItIsSmall) {
  VirtualArray<char> array;
  int moves = 0;
  for (std::size_t size = 1; size <= kMiB; size += 100) {
    array.resize(size);
    moves += array.has_left() ? 1 : 0;
    array.free_left();
  }
  EXPECT_LE(moves, 10);
}

TEST(VirtualArray, WhatItHasLeftStaysAsItWas) {
  VirtualArray<std::uint32_t> array;
  std::vector<const std::uint32_t*> before;
  for (std::uint32_t size = 1; size <= 100000; size *= 10) {
    array.resize(size);
    array[size - 1] = size;
    before.push_back(array.data());
  }
  ASSERT_TRUE(array.has_left());
  array[0] = 77;
  EXPECT_EQ(before.front()[0], 1u);
  std::uint32_t size = 1;
  for (const std::uint32_t* const memory : before) {
    EXPECT_EQ(memory[size - 1], size);
    size *= 10;
  }
  array.free_left();
  EXPECT_FALSE(array.has_left());
  EXPECT_EQ(array[99999], 100000u);
}

// Another mapping stands behind the array.
TEST(VirtualArray, MovesWhereItCannotGrowInPlace) {
  VirtualArray<std::uint64_t> array;
  array.resize(kMiB);
  array[kMiB - 1] = 5;
  const std::uint64_t* const old = array.data();
  void* const wall = mmap(const_cast<std::uint64_t*>(old + kMiB), 4096, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  ASSERT_EQ(wall, static_cast<const void*>(old + kMiB));
  array.resize(2 * kMiB);
  EXPECT_NE(array.data(), old);
  EXPECT_EQ(array[kMiB - 1], 5u);
  EXPECT_EQ(array[kMiB], 0u);
  EXPECT_TRUE(array.has_left());
  EXPECT_EQ(old[kMiB - 1], 5u);
  array.free_left();
  const std::uint64_t* const moved = array.data();
  array.resize(20 * kMiB);
  EXPECT_EQ(array.data(), moved);
  munmap(wall, 4096);
}

TEST(VirtualArray, ReserveChangesNoSize) {
  VirtualArray<char> array;
  array.resize(10);
  array.reserve(100000);
  EXPECT_EQ(array.size(), 10u);
  EXPECT_EQ(array.bytes(), 10u);
  array.resize(3);
  EXPECT_EQ(array.size(), 3u);
}

TEST(VirtualArray, RefusesWhatTheSystemDoesNotHaveAndStaysUsable) {
  for (const std::size_t size : {100u, 100000u}) {
    VirtualArray<std::uint64_t> array;
    array.resize(size);
    array[size - 1] = 7;
    test::expect_error(ErrorCode::out_of_memory, {"bytes", "no more memory"},
                       [&] { array.reserve(std::size_t{1} << 46); });
    EXPECT_EQ(array.size(), size);
    EXPECT_EQ(array[size - 1], 7u);
    array.resize(size + 1);
    EXPECT_EQ(array[size], 0u);
  }
}

TEST(VirtualArray, MovesLeaveNothingBehind) {
  VirtualMemory first;
  first.commit(5000);
  first.data()[4999] = std::byte{42};
  VirtualMemory second(std::move(first));
  EXPECT_EQ(first.data(), nullptr);  // NOLINT(bugprone-use-after-move): that is the point
  EXPECT_EQ(second.data()[4999], std::byte{42});
  VirtualMemory third;
  third.commit(1 << 20);
  third = std::move(second);
  EXPECT_EQ(third.data()[4999], std::byte{42});
  EXPECT_GE(third.committed(), 5000u);
}

// Sections of a file begin at multiples of 4096, and pages may be larger.
TEST(VirtualArray, OfAFileMayBeginWithinAPage) {
  const test::TempPath path("numbers");
  const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) / sizeof(std::uint32_t);
  std::vector<std::uint32_t> numbers(5 * page);
  std::iota(numbers.begin(), numbers.end(), 1u);
  const File file(path, O_RDWR | O_CREAT);
  file.write(0, numbers.data(), numbers.size() * sizeof numbers[0]);
  const std::size_t before = addresses_in_use();
  for (const std::size_t first : {std::size_t{0}, std::size_t{16}, page - 16, page, page + 16}) {
    for (const std::size_t size : {std::size_t{1}, page, 2 * page + 16}) {
      const VirtualArray<std::uint32_t> array(file, first * sizeof numbers[0], size);
      EXPECT_TRUE(std::equal(array.data(), array.data() + size, numbers.begin() + first))
          << "from " << first << ", " << size;
    }
  }
  EXPECT_EQ(addresses_in_use(), before) << "some are mapped still";
}

TEST(VirtualArray, TakesTheAddressesThatItNeeds) {
  const std::size_t before = addresses_in_use();
  std::vector<VirtualArray<float>> arrays(1000);
  for (VirtualArray<float>& array : arrays) array.resize(10);
  EXPECT_LT(addresses_in_use() - before, 8 * kMiB);
  arrays[0].resize(kMiB);
  EXPECT_LT(addresses_in_use() - before, 16 * kMiB);
}

// As many arrays as 1,000 indexes have, all large, in 47 bits of addresses. None is kept from
// growing by another.
TEST(VirtualArray, ThousandsGrowTogether) {
#if defined(CONCORD_UNDER_TSAN)
  constexpr std::size_t kArrays =
      200;  // ThreadSanitizer leaves a program a fraction of the addresses
#else
  constexpr std::size_t kArrays = 10000;
#endif
  std::vector<VirtualArray<std::uint64_t>> arrays(kArrays);
  int moves = 0;
  for (std::size_t size = kMiB / 32; size <= kMiB / 8; size *= 2) {  // 256 KiB to 1 MiB
    for (std::size_t i = 0; i < kArrays; ++i) {
      arrays[i].resize(size);
      arrays[i][i] = i;
      moves += arrays[i].has_left() ? 1 : 0;
    }
  }
  for (std::size_t i = 0; i < kArrays; ++i) ASSERT_EQ(arrays[i][i], i);
  EXPECT_EQ(moves, 0);
}

/// What a child process prints that may use `bytes` of addresses beyond those in use.
[[maybe_unused]] std::string with_addresses_left(std::size_t bytes,
                                                 const std::function<std::string()>& action) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    const rlimit limit{addresses_in_use() + bytes, RLIM_INFINITY};
    setrlimit(RLIMIT_AS, &limit);
    const std::string text = action();
    _exit(write(ends[1], text.data(), text.size()) < 0 ? 1 : 0);
  }
  close(ends[1]);
  std::string text(1000, '\0');
  text.resize(
      static_cast<std::size_t>(std::max<ssize_t>(0, read(ends[0], text.data(), text.size()))));
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return text;
}

#if !defined(CONCORD_UNDER_ASAN) && !defined(CONCORD_UNDER_TSAN)  // they need addresses
TEST(VirtualArray, UsesNearlyAllAddressesThatTheProcessMayHave) {
  const std::string text = with_addresses_left(64 * kMiB, [] {
    VirtualArray<char> array;
    std::size_t size = kMiB;
    try {
      for (;; size += kMiB) array.resize(size);
    } catch (const Error& error) {
      return std::to_string(size / kMiB) + " " + to_string(error.code()) + " " + error.what();
    }
  });
  EXPECT_GE(std::stoi(text), 50) << text;
  EXPECT_NE(text.find(" out_of_memory "), std::string::npos) << text;
  EXPECT_NE(text.find("ulimit -v"), std::string::npos) << text;
}
#endif

}  // namespace
}  // namespace concord::core
