// The device path on a real GPU: the same bytes and answers as the CPU, and two things that only a
// GPU can get wrong, the order of streams and failures with work under way. Skipped without a GPU.

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/cuda/host_devices.hpp"

namespace concord::test {
namespace {

class RealDevice : public testing::Test {
 protected:
  void SetUp() override {
    const cuda::FoundDevice found = cuda::find_cuda_device(-1);
    if (!found.device) GTEST_SKIP() << found.reason;
  }
};

IndexParams real_params(Metric metric = Metric::l2sq) {
  return make_params(33, 8, 60, 500, metric);
}

TEST_F(RealDevice, BuildsAndSearchesAsTheCpu) {
  for (const Metric metric : kAllMetrics) {
    for (const Shape shape : kAllShapes) {
      SCOPED_TRACE(to_string(shape));
      const Matrix data = make_data(shape, 6000, 33);
      Index device(real_params(metric), on("cuda", 8));
      Index cpu(real_params(metric), on("cpu", 8));
      device.add(data.view());
      cpu.add(data.view());
      EXPECT_EQ(device.digest(), cpu.digest());
      const auto queries = data.slice(100, 3000);
      expect_same(device.search(queries, {10, 64}), cpu.search(queries, {10, 64}));
      expect_same(device.exact_search(queries, 10), cpu.exact_search(queries, 10));
      EXPECT_NE(device.stats().device.name, "cpu");
    }
  }
}

TEST_F(RealDevice, ALifeOfAddsSearchesAndChanges) {
  const Matrix data = make_data(Shape::clustered, 24000, 33);
  Index cpu(real_params(), on("cpu", 8));
  Index device(real_params(), on("cuda", 8));
  for (std::uint64_t i = 0; cpu.size() + 3000 < data.rows; ++i) {
    const std::size_t most = hash(1, i) % 3 == 0 ? 60 : 2500;
    if (i % 5 == 3) {  // cancelled after a batch; the next one's vectors are replaced
      const Matrix other = make_data(Shape::random, 3000, 33, i);
      const std::size_t before = device.size();
      device.add(other.view(), [](std::uint64_t done, std::uint64_t) {
        std::this_thread::sleep_for(std::chrono::milliseconds(21));
        return done == 0;
      });
      cpu.add(other.slice(0, device.size() - before));
    }
    if (i % 7 == 5) device.set_runtime(on(i % 2 == 0 ? "cpu" : "cuda", 8));
    const std::size_t count = std::min<std::size_t>(1 + hash(2, i) % most, data.rows - cpu.size());
    const auto rows = data.slice(cpu.size(), count);
    cpu.add(rows);
    device.add(rows);
    const auto queries = data.slice(5000, 300);
    expect_same(device.search(queries, {10, 50}), cpu.search(queries, {10, 50}));
    ASSERT_EQ(device.digest(), cpu.digest());
  }
}

TEST_F(RealDevice, FailuresWithWorkUnderWay) {
  const Matrix data = make_data(Shape::clustered, 4000, 33);
  const std::string digest = digest_on("cpu", real_params(), data);
  for (std::uint64_t n = 0;; n += 17) {
    bool happened = false;
    cuda::set_device_source_for_tests([&](int ordinal) {
      cuda::FoundDevice found = cuda::find_cuda_device(ordinal);
      found.device->set_hook([&](const char*, std::uint64_t number) {
        if (number != n) return;
        happened = true;
        throw Error(ErrorCode::cuda, "injected");
      });
      return found;
    });
    {
      Index index(real_params(), on("auto", 8));
      index.add(data.view());
      EXPECT_EQ(index.digest(), digest) << "call " << n;
    }
    cuda::set_device_source_for_tests({});
    if (!happened) break;
  }
}

TEST_F(RealDevice, TheBudgetIsKept) {
  const Matrix data = make_data(Shape::random, 20000, 33);
  RuntimeOptions options = on("cuda", 8);
  options.device_memory_budget = std::size_t{48} << 20;
  Index index(real_params(), options);
  index.add(data.view());
  const DeviceStats stats = index.stats().device;
  EXPECT_NE(stats.name, "cpu") << stats.reason;
  EXPECT_LE(stats.memory_bytes, options.device_memory_budget);
  EXPECT_GT(stats.kernel_seconds, 0);
  EXPECT_GT(stats.copy_in_seconds, 0);
  EXPECT_GT(stats.copy_out_seconds, 0);
  EXPECT_EQ(index.digest(), digest_on("cpu", real_params(), data));
}

}  // namespace
}  // namespace concord::test
