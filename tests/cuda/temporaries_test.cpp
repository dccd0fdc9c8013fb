// The pools of Thrust over a device's memory: all of it counts against the limit, any of it can be
// refused, and none of it leaks. In builds with CUDA.
#include "cuda/temporaries.hpp"

#include <gtest/gtest.h>

#include <concord/error.hpp>
#include <iterator>

#include "tests/support/host_device.hpp"

namespace concord::cuda {
namespace {

constexpr Stream kNoStream = nullptr;

/// Another stream than kNoStream.
Stream other_stream(HostDevice& device) { return device.create_stream(Priority::normal); }

TEST(Temporaries, WhatIsGivenBackIsTakenAgain) {
  HostDevice device;
  {
    Temporaries temporaries(device);
    for (const std::size_t bytes : {1u, 256u, 257u, 5000u, 1u << 20, (1u << 20) + 1}) {
      void* const first = temporaries.take(kNoStream, bytes);
      temporaries.give_back(kNoStream, first, bytes);
      const std::uint64_t calls = device.calls();
      EXPECT_EQ(temporaries.take(kNoStream, bytes), first);
      EXPECT_EQ(device.calls(), calls) << bytes << " bytes";
    }
  }
  EXPECT_TRUE(device.holds_nothing());
}

// Work on another stream may come before the work that still uses the memory.
TEST(Temporaries, StreamsShareNoMemory) {
  HostDevice device;
  const Stream stream = other_stream(device);
  Temporaries temporaries(device);
  void* const first = temporaries.take(kNoStream, 1000);
  temporaries.give_back(kNoStream, first, 1000);
  const std::size_t held = device.held_bytes();
  EXPECT_GT(held, 1000u);
  void* const second = temporaries.take(stream, 1000);
  EXPECT_NE(first, second);
  temporaries.give_back(stream, second, 1000);
  EXPECT_EQ(device.held_bytes(), 2 * held);
  temporaries.forget(stream);
  EXPECT_EQ(device.held_bytes(), held);
  device.destroy_stream(stream);
}

TEST(Temporaries, EveryAllocationCanFail) {
  const std::size_t sizes[] = {100, 3000, 2u << 20};
  for (std::uint64_t failing = 0; failing < std::size(sizes); ++failing) {
    HostDevice device;
    device.set_hook([=](const char*, std::uint64_t number) {
      if (number == failing) throw Error(ErrorCode::cuda, "on demand");
    });
    {
      Temporaries temporaries(device);
      for (std::size_t j = 0; j < std::size(sizes); ++j) {
        const auto take = [&] { const Temporary memory(temporaries, kNoStream, sizes[j]); };
        if (j == failing) {
          EXPECT_THROW(take(), Error);
        }
        EXPECT_NO_THROW(take()) << "after a failure, too";
      }
      EXPECT_EQ(device.calls(), std::size(sizes) + 1);
    }
    EXPECT_TRUE(device.holds_nothing());
  }
}

TEST(Temporaries, KeepTheLimit) {
  HostDevice device;
  device.set_limit(10000);
  Temporaries temporaries(device);
  try {
    const Temporary memory(temporaries, kNoStream, 10001);
    FAIL() << "beyond the limit";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::out_of_memory);
  }
  const Temporary memory(temporaries, kNoStream, 8000);
  EXPECT_LE(device.held_bytes(), 10000u);
}

}  // namespace
}  // namespace concord::cuda
