// An index with a device in which vectors die: the CPU goes on with the graph as it is.

#include <chrono>
#include <concord/cuda.hpp>
#include <numeric>
#include <thread>

#include "tests/cuda/host_devices.hpp"

namespace concord::test {
namespace {

std::vector<std::uint64_t> labels_from(std::uint64_t first, std::size_t count) {
  std::vector<std::uint64_t> labels(count);
  std::iota(labels.begin(), labels.end(), first);
  return labels;
}

TEST(RemovalOnADevice, TheCpuGoesOnAndTheDigestIsItsOwn) {
  const HostDevices devices;
  const Matrix data = make_data(Shape::clustered, 3000, 8);
  std::string digests[2];
  for (const bool on_device : {false, true}) {
    Index index(make_params(8, 4, 20, 128), on(on_device ? "cuda" : "cpu"));
    index.add(data.slice(0, 2000));
    (void)index.search(data.slice(0, 300), {5, 20});
    index.remove(labels_from(100, 500));
    index.add(data.slice(2000, 500));
    index.update(data.slice(2500, 300), labels_from(700, 300));
    expect_sound(index.audit());
    digests[on_device ? 1 : 0] = index.digest();
    EXPECT_EQ(index.stats().device.name, "cpu");
  }
  EXPECT_EQ(digests[0], digests[1]);
}

// The device has not seen the seals of the upsert, though no vector has died yet.
TEST(RemovalOnADevice, AnUpsertThatEndsEarlyLeavesNoStaleMirrorInUse) {
  const HostDevices devices;
  const Matrix data = make_data(Shape::clustered, 6000, 8);
  Index index(make_params(8, 4, 20, 128), on("cuda"));
  index.add(data.slice(0, 2000));
  (void)index.search(data.slice(0, 300), {5, 20});  // the mirror holds the live graph
  std::vector<std::uint64_t> labels = labels_from(5000, 3001);
  labels.back() = 7;
  const std::size_t done =
      index.upsert(data.slice(2000, 3001), labels, [](std::uint64_t added, std::uint64_t) {
        std::this_thread::sleep_for(std::chrono::milliseconds(25));  // so that each moment is asked
        return added <= 256;
      });
  ASSERT_GT(done, 256u);
  ASSERT_LT(done, 3001u);
  Index on_cpu(make_params(8, 4, 20, 128), on("cpu"));
  on_cpu.add(data.slice(0, 2000));
  on_cpu.add(data.slice(2000, done), std::span(labels).first(done));
  expect_same(index.search(data.slice(0, 300), {5, 20}),
              on_cpu.search(data.slice(0, 300), {5, 20}));
  index.add(data.slice(5500, 500));
  on_cpu.add(data.slice(5500, 500));
  EXPECT_EQ(index.digest(), on_cpu.digest());
}

}  // namespace
}  // namespace concord::test
