// Searches beside a writer that has the device: the CPU answers while an addition runs, the device
// between additions, and no answer differs. TSan checks the threads' accesses.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string_view>
#include <thread>

#include "tests/cuda/host_devices.hpp"

namespace concord::test {
namespace {

TEST(BesideTheWriter, OnADevice) {
  const HostDevices devices;
  const IndexParams params = make_params(8, 4, 20, 256);
  const Matrix data = make_data(Shape::clustered, 4500, 8);
  Index index(params, on("cuda"));
  index.add(data.slice(0, 500));
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> readers;
  for (std::size_t t = 0; t < 3; ++t) {
    readers.emplace_back([&, t] {
      for (std::size_t i = 0; !done; ++i) {
        const std::size_t before = index.size();
        const SearchResult result = index.search(data.slice(t * 100, 70), {.k = 1, .ef = 60});
        const SearchResult exact = index.exact_search(data.slice(t * 100, 3), 1);
        for (std::size_t q = 0; q < 70; ++q) wrong += result.counts[q] != 1;
        // All queries are vectors that were inserted first, so exact search finds them at distance
        // 0.
        for (std::size_t q = 0; q < 3; ++q) wrong += exact.distances[q] != 0;
        if (t == 0) wrong += index.stats().size < before || !index.audit().ok;
      }
    });
  }
  for (std::size_t first = 500; first < 4500; first += 1000) index.add(data.slice(first, 1000));
  const SearchResult idle = index.search(data.slice(0, 300), {.k = 5, .ef = 50});
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(index.stats().device.bytes_in, 0u);
  Index cpu(params, on("cpu"));
  cpu.add(data.view());
  EXPECT_EQ(index.digest(), cpu.digest());
  expect_same(idle, cpu.search(data.slice(0, 300), {.k = 5, .ef = 50}));
}

// The device's own thread counts while the callback runs, a batch ahead. TSan would see a race.
TEST(BesideTheWriter, AnAdditionsCallbackMayAskForTheDevicesFigures) {
  const HostDevices devices;
  const Matrix data = make_data(Shape::clustered, 6000, 8);
  Index index(make_params(8, 4, 20, 256), on("cuda"));
  std::uint64_t asked = 0;
  for (std::size_t first = 0; first < 6000; first += 1500) {
    std::uint64_t bytes = 0;
    index.add(data.slice(first, 1500), [&](std::uint64_t, std::uint64_t) {
      const std::uint64_t now = index.stats().device.bytes_in;
      EXPECT_GE(now, bytes);
      bytes = now;
      return ++asked > 0;
    });
  }
  EXPECT_GE(asked, 8u);  // at least when a call begins and when it ends
}

// The log callback is the caller's code. It may use the index and so wait for the writer, which may
// wait for searches. A search that logs is no longer one of them.
TEST(BesideTheWriter, ASearchThatLogsHoldsUpNoWriter) {
  const HostDevices devices;
  Matrix data = make_data(Shape::clustered, 900, 8);
  for (std::size_t i = 0; i < 600; ++i) {  // kept as bytes; then floats come, and all rows move
    for (std::size_t e = 0; e < 8; ++e) data.row(i)[e] = static_cast<float>(i % 200 + e);
  }
  std::atomic<bool> logging{false};
  std::atomic<bool> added{false};
  std::atomic<bool> in_time{false};
  RuntimeOptions options = on("auto");
  options.log = [&](LogLevel, std::string_view) {
    logging = true;
    const auto begin = std::chrono::steady_clock::now();
    while (!added && std::chrono::steady_clock::now() - begin < std::chrono::seconds(20)) {
      std::this_thread::yield();
    }
    in_time = added.load();
  };
  Index index(make_params(8, 4, 20, 256), options);
  index.add(data.slice(0, 600));
  std::thread reader([&] { (void)index.search(data.slice(0, 300), {.k = 1, .ef = 20}); });
  while (!logging) std::this_thread::yield();
  index.add(data.slice(600, 300));
  added = true;
  reader.join();
  EXPECT_TRUE(in_time);
  expect_sound(index.audit());
}

// If a search begins to open the device during an addition, the addition waits and uses it.
TEST(BesideTheWriter, AnAdditionWaitsForTheDeviceThatASearchOpens) {
  std::atomic<bool> opening{false};
  std::atomic<int> proposed{0};
  const HostDevices devices(
      [&]() -> std::unique_ptr<cuda::HostDevice> {
        opening = true;
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        return std::make_unique<Watched<cuda::HostDevice>>();
      },
      [&](std::string_view call, std::uint64_t) { proposed += call == "propose" ? 1 : 0; });
  const Matrix data = make_data(Shape::clustered, 3000, 8);
  Index index(make_params(8, 4, 20, 256), on("auto"));
  index.add(data.slice(0, 1000));
  std::thread reader;
  index.add_from(
      [&](std::size_t) {
        reader = std::thread([&] { (void)index.search(data.slice(0, 300), {.k = 1, .ef = 20}); });
        while (!opening) std::this_thread::yield();
        return data.slice(1000, 2000);
      },
      2000);
  reader.join();
  EXPECT_GT(proposed, 0);
  EXPECT_EQ(devices.opened, 1);
}

/// Keeps one thread waiting when it asks what the device can do.
class PausingDevice : public cuda::HostDevice {
 public:
  [[nodiscard]] std::size_t shared_memory_limit() const noexcept override {
    if (std::this_thread::get_id() == pauses.load()) {
      paused = true;
      while (!go_on) std::this_thread::yield();
    }
    return HostDevice::shared_memory_limit();
  }
  static inline std::atomic<std::thread::id> pauses{};
  static inline std::atomic<bool> paused{false};
  static inline std::atomic<bool> go_on{false};
};

// A search may have chosen the device before the addition that lost it began.
TEST(BesideTheWriter, ADeviceThatFailedInAnAdditionAnswersNoSearch) {
  PausingDevice::paused = false;
  PausingDevice::go_on = false;
  std::atomic<bool> failing{false};
  std::atomic<int> used_since{0};
  const HostDevices devices([] { return std::make_unique<Watched<PausingDevice>>(); },
                            [&](std::string_view call, std::uint64_t) {
                              if (!failing) return;
                              used_since += call == "search" ? 1 : 0;
                              if (call == "propose") throw Error(ErrorCode::cuda, "lost");
                            });
  const Matrix data = make_data(Shape::clustered, 3000, 8);
  Index index(make_params(8, 4, 20, 256), on("cuda"));
  index.add(data.slice(0, 1500));
  SearchResult found;
  std::thread reader([&] {
    PausingDevice::pauses = std::this_thread::get_id();
    found = index.search(data.slice(0, 300), {.k = 3, .ef = 40});
  });
  while (!PausingDevice::paused) std::this_thread::yield();
  failing = true;
  index.add(data.slice(1500, 1500));
  PausingDevice::pauses = std::thread::id{};
  PausingDevice::go_on = true;
  reader.join();
  EXPECT_EQ(used_since, 0);
  expect_same(found, index.search(data.slice(0, 300), {.k = 3, .ef = 40}));
}

}  // namespace
}  // namespace concord::test
