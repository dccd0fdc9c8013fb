// The whole device path of an Index (mirror, pipeline, searches, fallback) on a HostDevice: the
// same bytes and answers as the CPU, for every way of using it.

#include "cuda/backend.hpp"

#include <gtest/gtest.h>

#include <concord/index.hpp>

#include "cuda/host_device.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord {
namespace {

using test::Matrix;

/// While it lives, every device that an Index opens is a HostDevice.
class HostDevices {
 public:
  using Hook = std::function<void(const char* call, std::uint64_t number)>;

  explicit HostDevices(std::size_t memory = std::size_t{1} << 32, Hook hook = {}) {
    cuda::set_device_source_for_tests([=, this](int) {
      auto device = std::make_unique<cuda::HostDevice>(memory);
      if (hook) device->set_hook(hook);
      last = device.get();
      ++opened;
      return cuda::FoundDevice{std::move(device), "host team"};
    });
  }
  ~HostDevices() { cuda::set_device_source_for_tests({}); }

  cuda::HostDevice* last = nullptr;
  int opened = 0;
};

RuntimeOptions on(const std::string& device) {
  RuntimeOptions options;
  options.threads = 2;
  options.device = device;
  return options;
}

std::string digest_of(const IndexParams& params, const Matrix& data, const std::string& device) {
  Index index(params, on(device));
  index.add(data.view());
  EXPECT_TRUE(index.audit().ok);
  return index.digest();
}

IndexParams params_of(std::uint32_t dimension, Metric metric = Metric::l2sq) {
  IndexParams params;
  params.dimension = dimension;
  params.metric = metric;
  params.M = 8;
  params.ef_construction = 40;
  params.epoch_limit = 256;
  return params;
}

TEST(Backend, BuildsTheGraphThatTheCpuBuilds) {
  const HostDevices devices;
  for (const Metric metric : {Metric::l2sq, Metric::inner_product, Metric::cosine}) {
    const Matrix data = test::make_data(test::Shape::clustered, 3000, 20);
    const IndexParams params = params_of(20, metric);
    EXPECT_EQ(digest_of(params, data, "cuda"), digest_of(params, data, "cpu"));
  }
}

}  // namespace
}  // namespace concord
