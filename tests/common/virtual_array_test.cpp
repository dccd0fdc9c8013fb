// Arrays that grow without moving.

#include "common/virtual_array.hpp"

#include <algorithm>
#include <utility>

#include "tests/support/support.hpp"

namespace concord::core {
namespace {

TEST(VirtualArray, GrowsInPlaceKeepsContentAndAddsZeros) {
  VirtualArray<std::uint32_t> array(std::size_t{1} << 26);
  const std::uint32_t* const address = array.data();
  std::size_t size = 0;
  for (const std::size_t next : {1u, 5u, 1000u, 70000u, 3000000u, 9000001u}) {
    array.resize(next);
    ASSERT_EQ(array.data(), address);
    ASSERT_EQ(array.size(), next);
    ASSERT_TRUE(std::all_of(array.data() + size, array.data() + next,
                            [](std::uint32_t x) { return x == 0; }));
    for (std::size_t i = size; i < next; ++i) array[i] = static_cast<std::uint32_t>(i + 1);
    size = next;
    for (std::size_t i = 0; i < size; i += 997) ASSERT_EQ(array[i], i + 1);
  }
}

TEST(VirtualArray, ReserveChangesNoSize) {
  VirtualArray<char> array(1 << 20);
  array.resize(10);
  array.reserve(100000);
  EXPECT_EQ(array.size(), 10u);
  EXPECT_EQ(array.bytes(), 10u);
  array.resize(3);
  EXPECT_EQ(array.size(), 3u);
}

TEST(VirtualArray, RefusesMoreThanItReservedAndStaysUsable) {
  VirtualArray<std::uint64_t> array(1000);  // the smallest reservation is 64 MiB
  array.resize(100);
  array[99] = 7;
  test::expect_error(ErrorCode::capacity, {"exceeds", "reserved"},
                     [&] { array.reserve(std::size_t{1} << 24); });
  EXPECT_EQ(array.size(), 100u);
  EXPECT_EQ(array[99], 7u);
  array.resize(101);
  EXPECT_EQ(array[100], 0u);
}

TEST(VirtualArray, MovesLeaveNothingBehind) {
  VirtualMemory first(1 << 20);
  first.commit(5000);
  first.data()[4999] = std::byte{42};
  VirtualMemory second(std::move(first));
  EXPECT_EQ(first.data(), nullptr);  // NOLINT(bugprone-use-after-move): that is the point
  EXPECT_EQ(second.data()[4999], std::byte{42});
  VirtualMemory third(1 << 20);
  third = std::move(second);
  EXPECT_EQ(third.data()[4999], std::byte{42});
  EXPECT_GE(third.committed(), 5000u);
}

TEST(VirtualArray, ManyLiveTogether) {
#if defined(__SANITIZE_THREAD__)
  constexpr int kArrays = 20;  // ThreadSanitizer leaves a program a fraction of the addresses
#else
  constexpr int kArrays = 500;
#endif
  std::vector<VirtualArray<float>> arrays;
  for (int i = 0; i < kArrays; ++i) {
    arrays.emplace_back(std::size_t{1} << 40);
    arrays.back().resize(10);
    arrays.back()[9] = static_cast<float>(i);
  }
  for (int i = 0; i < kArrays; ++i) {
    EXPECT_EQ(arrays[static_cast<std::size_t>(i)][9], static_cast<float>(i));
  }
}

}  // namespace
}  // namespace concord::core
