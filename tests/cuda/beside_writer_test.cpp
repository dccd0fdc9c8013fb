// Searches beside a writer that has the device: the CPU answers while an addition runs, the device
// between additions, and nothing differs. TSan sees who touches what.

#include <gtest/gtest.h>

#include <atomic>
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
        // All that is asked for was inserted first, and exact search finds it at distance 0.
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

}  // namespace
}  // namespace concord::test
