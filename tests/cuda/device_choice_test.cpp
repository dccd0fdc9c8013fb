// Which device an Index takes, what it says about it, and how much memory it takes there.

#include <gtest/gtest.h>

#include "tests/cuda/host_devices.hpp"

namespace concord::test {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

IndexParams choice_params() { return make_params(16, 8, 16, 256); }

/// While it lives, the machine has devices cuda:0 to cuda:`count` − 1.
class Machine {
 public:
  explicit Machine(int count) {
    cuda::set_device_source_for_tests([count, this](int ordinal) -> cuda::FoundDevice {
      asked = ordinal;
      if (ordinal >= count || count == 0) {
        return {nullptr, "the machine has " + std::to_string(count) + " devices"};
      }
      return {std::make_unique<cuda::HostDevice>(), "device " + std::to_string(ordinal)};
    });
  }
  ~Machine() { cuda::set_device_source_for_tests({}); }
  int asked = -100;
};

TEST(DeviceChoice, NamesOfDevices) {
  Machine machine(2);
  const auto taken = [](const std::string& name) {
    return Index(choice_params(), on(name)).stats().device;
  };
  EXPECT_EQ(taken("cpu").name, "cpu");
  EXPECT_EQ(taken("cpu").reason, "the CPU was asked for");
  EXPECT_EQ(machine.asked, -100);
  EXPECT_EQ(taken("auto").name, "cpu");
  EXPECT_EQ(taken("auto").reason, "not needed yet");
  EXPECT_EQ(machine.asked, -100);
  EXPECT_EQ(taken("cuda").reason, "device -1");
  EXPECT_EQ(taken("cuda:0").reason, "device 0");
  EXPECT_EQ(taken("cuda:1").name, "host team");
  EXPECT_EQ(machine.asked, 1);
  EXPECT_EQ(taken("GPU:0").reason, "device 0");
  EXPECT_EQ(taken("gpu").reason, "device -1");
  EXPECT_EQ(taken("Cuda:1").name, "host team");
  EXPECT_EQ(machine.asked, 1);
}

TEST(DeviceChoice, UnknownNamesAreRefused) {
  const Machine machine(2);
  for (const char* name : {"", "gpux", "cuda:", "gpu:", "cuda:-1", "cuda:1x", "cuda: 1", "cuda:x",
                           "cuda:99999999999", "cuda0", "auto "}) {
    expect_error(ErrorCode::invalid_parameter, {"device '" + std::string(name) + "'", "cuda:K"},
                 [&] { Index index(choice_params(), on(name)); });
    Index index(choice_params(), on("cpu"));
    expect_error(ErrorCode::invalid_parameter, {"cuda:K"}, [&] { index.set_runtime(on(name)); });
    EXPECT_EQ(index.stats().device.reason, "the CPU was asked for");
  }
}

TEST(DeviceChoice, ADeviceThatIsRequiredAndMissingIsAnError) {
  const Machine machine(2);
  expect_error(ErrorCode::unsupported, {"'cuda:7'", "the machine has 2 devices"},
               [] { Index index(choice_params(), on("cuda:7")); });
  const Machine empty(0);
  expect_error(ErrorCode::unsupported, {"'cuda'", "the machine has 0 devices"},
               [] { Index index(choice_params(), on("cuda")); });
}

// The index must go on as it was.
TEST(DeviceChoice, ChangingToAMissingDeviceChangesNothing) {
  const Machine machine(1);
  const Matrix data = make_data(Shape::random, 1500, 16);
  for (const char* before : {"cuda", "cpu"}) {
    Index index(choice_params(), on(before));
    index.add(data.slice(0, 300));
    const std::string name = index.stats().device.name;
    expect_error(ErrorCode::unsupported, {"cuda:7"}, [&] { index.set_runtime(on("cuda:7")); });
    EXPECT_EQ(index.stats().device.name, name);
    index.add(data.slice(300, 1200));
    EXPECT_EQ(index.stats().device.name, name);
    EXPECT_EQ(index.digest(), digest_on("cpu", choice_params(), data));
  }
}

TEST(DeviceChoice, AutoWithoutADeviceTakesTheCpuAndSaysSo) {
  const Machine empty(0);
  LogLines log;
  RuntimeOptions options = on("auto");
  options.log = log.callback();
  Index index(choice_params(), options);
  index.add(make_data(Shape::random, 1100, 16).view());
  index.add(make_data(Shape::random, 1100, 16).view());
  EXPECT_TRUE(log.warnings.empty());
  ASSERT_EQ(log.info.size(), 1u);
  EXPECT_THAT(log.info[0], testing::HasSubstr("using the CPU: the machine has 0 devices"));
  EXPECT_EQ(index.stats().device.name, "cpu");
  EXPECT_THAT(index.stats().device.reason, testing::HasSubstr("has 0 devices"));
}

TEST(DeviceChoice, AutoOpensADeviceOnceWhenItPays) {
  const HostDevices devices;
  LogLines log;
  RuntimeOptions options = on("auto");
  options.log = log.callback();
  Index index(choice_params(), options);
  const Matrix data = make_data(Shape::random, 1100, 16);
  index.add(data.slice(0, 1000));
  (void)index.search(data.slice(0, 200));
  EXPECT_EQ(devices.opened, 0);
  (void)index.search(data.slice(0, 256));
  EXPECT_EQ(devices.opened, 1);
  index.add(data.view());
  EXPECT_EQ(devices.opened, 1);
  ASSERT_EQ(log.info.size(), 1u);
  EXPECT_EQ(log.info[0], "using host team");
}

TEST(DeviceChoice, ADeviceWithTooLittleSharedMemoryIsNotTaken) {
  const HostDevices devices([] { return std::make_unique<cuda::HostDevice>(1 << 30, 8 * 1024); });
  expect_error(ErrorCode::unsupported, {"too little shared memory"},
               [] { Index index(choice_params(), on("cuda")); });
}

// ------------------------------------------------------------------------------------------ memory

TEST(DeviceMemory, TheBudgetIsKept) {
  const HostDevices devices;
  const Matrix data = make_data(Shape::random, 6000, 64);
  const IndexParams params = make_params(64, 8, 16, 256);
  const std::string digest = digest_on("cpu", params, data);
  for (const std::size_t budget : {3 * kMiB, 4 * kMiB, 6 * kMiB}) {
    LogLines log;
    RuntimeOptions options = on("cuda");
    options.log = log.callback();
    options.device_memory_budget = budget;
    Index index(params, options);
    index.add(data.slice(0, 3000));
    index.add(data.slice(3000, 3000));
    (void)index.search(data.slice(0, 100));
    EXPECT_EQ(index.digest(), digest);
    EXPECT_LE(devices.last->peak_bytes(), budget);
    EXPECT_LE(index.stats().device.memory_bytes, budget);
    EXPECT_EQ(log.warnings.size(), budget < 4 * kMiB ? 1u : 0u) << budget;
  }
}

TEST(DeviceMemory, WhatDoesNotFitIsRefusedBeforeAnythingIsAllocated) {
  const HostDevices devices;
  LogLines log;
  RuntimeOptions options = on("cuda");
  options.log = log.callback();
  options.device_memory_budget = kMiB;
  Index index(make_params(64, 8, 16, 256), options);
  const std::size_t before = devices.last->peak_bytes();
  const Matrix data = make_data(Shape::random, 6000, 64);
  index.add(data.view());
  EXPECT_EQ(devices.last->peak_bytes(), before);
  ASSERT_EQ(log.warnings.size(), 1u);
  EXPECT_THAT(log.warnings[0], testing::MatchesRegex(".*mirror of 6000 vectors needs [3-9]\\.[0-9] "
                                                     "MiB of device memory, 1\\.0 MiB are .*"));
  EXPECT_THAT(index.stats().device.reason, testing::HasSubstr("given up"));
  EXPECT_EQ(index.stats().device.name, "cpu");
}

TEST(DeviceMemory, AFullDeviceIsRefused) {
  const HostDevices devices(260 * kMiB);  // 4 MiB beside the reserve
  const Matrix data = make_data(Shape::random, 10000, 100);
  LogLines log;
  RuntimeOptions options = on("cuda");
  options.log = log.callback();
  const IndexParams params = make_params(100, 4, 8, 256);
  Index index(params, options);
  index.add(data.view());
  ASSERT_EQ(log.warnings.size(), 1u);
  EXPECT_THAT(log.warnings[0], testing::HasSubstr("mirror of 10000 vectors needs"));
  EXPECT_EQ(index.digest(), digest_on("cpu", params, data));
}

// A plan that counted the scratch twice would refuse the second batch of this addition. It counts
// some memory that this one does not take: for lists that the host brings.
TEST(DeviceMemory, WhatFitsAtFirstFitsToTheEnd) {
  const Matrix data = make_data(Shape::random, 4000, 8);
  const IndexParams params = make_params(8, 4, 8, 1024);
  std::size_t enough = 0;
  {
    const HostDevices devices;
    Index index(params, on("cuda"));
    index.add(data.view());
    enough = devices.last->peak_bytes();
  }
  LogLines log;
  const HostDevices devices;
  RuntimeOptions options = on("cuda");
  options.log = log.callback();
  options.device_memory_budget = enough + enough / 8;
  Index index(params, options);
  index.add(data.view());
  EXPECT_TRUE(log.warnings.empty()) << log.warnings[0];
}

// Where there is no space for old and new memory beside one another, growth begins anew.
TEST(DeviceMemory, AnIndexGrowsIntoAllTheMemoryThereIs) {
  const Matrix data = make_data(Shape::random, 6000, 64);
  const IndexParams params = make_params(64, 4, 8, 128);
  const std::string digest = digest_on("cpu", params, data);
  std::size_t enough = 0;
  {
    const HostDevices devices;
    Index index(params, on("cuda"));
    index.add(data.view());
    (void)index.search(data.slice(0, 100));
    enough = devices.last->peak_bytes();
  }
  for (std::uint64_t seed = 0; seed < scaled(4, 2); ++seed) {
    const HostDevices devices(HostDevices::deferred(seed));
    LogLines log;
    RuntimeOptions options = on("cuda");
    options.log = log.callback();
    options.device_memory_budget = enough + enough / 3;
    Index index(params, options);
    for (const std::size_t count : {1500u, 30u, 1270u, 200u, 1200u, 1100u, 700u}) {
      index.add(data.slice(index.size(), count));
      if (seed % 2 == 0) (void)index.search(data.slice(0, 100));  // then links are the live ones
    }
    EXPECT_TRUE(log.warnings.empty()) << log.warnings[0];
    EXPECT_EQ(index.digest(), digest) << "order " << seed;
    EXPECT_LE(devices.last->peak_bytes(), options.device_memory_budget);
    const std::size_t vectors = data.rows * data.cols * sizeof(float);
    EXPECT_GT(index.stats().device.bytes_in, 2 * vectors);
    EXPECT_LT(index.stats().device.bytes_in, 6 * vectors);
  }
}

TEST(DeviceMemory, GrowthDoesNotUploadVectorsAgain) {
  const HostDevices devices;
  const std::size_t dimension = 256;
  const std::size_t step = 400;
  const Matrix data = make_data(Shape::random, 10 * step, dimension);
  Index index(make_params(dimension, 4, 4, 128), on("cuda"));
  for (std::size_t i = 0; i < 10; ++i) {
    const std::uint64_t before = index.stats().device.bytes_in;
    index.add(data.slice(i * step, step));
    const std::uint64_t bytes = index.stats().device.bytes_in - before;
    EXPECT_LT(bytes, 2 * step * dimension * sizeof(float)) << "addition " << i;
  }
}

// The tails of long epochs go through the device in pieces.
TEST(DeviceMemory, LongEpochsNeedABoundedScratch) {
  const HostDevices devices;
  const std::size_t rows = 15000;  // the last epoch has 3,000
  const Matrix data = make_data(Shape::random, rows, 2);
  const IndexParams params = make_params(2, 2, 1, 65536);
  Index index(params, on("cuda"));
  index.add(data.view());
  EXPECT_EQ(index.stats().device.name, "host team");
  EXPECT_EQ(index.digest(), digest_on("cpu", params, data));
  EXPECT_LT(devices.last->peak_bytes(), 80 * kMiB);
}

}  // namespace
}  // namespace concord::test
