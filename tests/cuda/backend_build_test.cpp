// Builds on the device path give the CPU's bytes: metrics, dimensions, parameters, hostile data.

#include <gtest/gtest.h>

#include "tests/cuda/host_devices.hpp"
#include "tests/support/no_threads.hpp"

namespace concord::test {
namespace {

void expect_cpu_digest(const IndexParams& params, const Matrix& data) {
  const HostDevices devices;
  EXPECT_EQ(digest_on("cuda", params, data), digest_on("cpu", params, data))
      << to_string(params.metric) << ", dimension " << params.dimension << ", M " << params.M
      << ", ef " << params.ef_construction << ", epochs of " << params.epoch_limit;
}

TEST(BackendBuild, EveryMetricAndDimension) {
  for (const Metric metric : kAllMetrics) {
    for (const std::uint32_t dimension : {1u, 3u, 32u, 100u, 128u}) {
      const IndexParams params = make_params(dimension, 8, 30, 256, metric);
      expect_cpu_digest(params, make_data(Shape::clustered, scaled(1200, 600), dimension));
    }
  }
}

TEST(BackendBuild, LongVectors) {
  expect_cpu_digest(make_params(784, 8, 20, 128), make_data(Shape::clustered, 500, 784));
  expect_cpu_digest(make_params(1536, 6, 12, 128, Metric::cosine),
                    make_data(Shape::random, 400, 1536));
}

TEST(BackendBuild, EveryM) {
  for (const std::uint32_t M : {2u, 3u, 16u, 64u}) {
    expect_cpu_digest(make_params(8, M, 48, 300),
                      make_data(Shape::clustered, scaled(M == 64 ? 900 : 1500, 600), 8));
  }
}

TEST(BackendBuild, EveryWidthOfSearch) {
  for (const std::uint32_t ef : {1u, 2u, 33u, 200u, 512u}) {
    expect_cpu_digest(make_params(6, 6, ef, 200), make_data(Shape::random, scaled(900, 500), 6));
  }
}

TEST(BackendBuild, EveryEpochLimit) {
  for (const std::uint32_t limit : {1u, 7u, 64u, 65u, 1024u, 65536u}) {
    expect_cpu_digest(make_params(5, 6, 24, limit),
                      make_data(Shape::sorted, limit > 100 ? scaled(3000, 800) : 600, 5));
  }
}

// A build can do without the thread that submits to the device, as it can without the pool's.
TEST(BackendBuild, ASystemThatGivesNoThreads) {
  const IndexParams params = make_params(8, 6, 24, 300);
  const Matrix data = make_data(Shape::clustered, scaled(1500, 600), 8);
  const std::string expected = digest_on("cpu", params, data);
  const HostDevices devices;
  const NoThreads none;
  Index index(params, on("cuda"));
  index.add(data.view());
  EXPECT_EQ(index.digest(), expected);
  EXPECT_EQ(index.stats().device.name, "host team");
}

TEST(BackendBuild, EveryShapeOfData) {
  for (const Metric metric : kAllMetrics) {
    for (const Shape shape : kAllShapes) {
      SCOPED_TRACE(to_string(shape));
      expect_cpu_digest(make_params(9, 4, 24, 500, metric), make_data(shape, scaled(1500, 700), 9));
    }
  }
}

TEST(BackendBuild, WorkThatRunsLateOrInAnyOrderGivesTheSameBytes) {
  const IndexParams params = make_params(7, 4, 24, 400);
  const Matrix data = make_data(Shape::clustered, scaled(3000, 1500), 7);
  const std::string digest = digest_on("cpu", params, data);
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const HostDevices devices(HostDevices::deferred(seed));
    EXPECT_EQ(digest_on("cuda", params, data), digest) << "order " << seed;
  }
}

// Epochs in two additions come as two batches, and then the host gathers all that changed.
TEST(BackendBuild, AnEpochProposedAsAWholeNeedsFewListsOfTheHost) {
  const IndexParams params = make_params(8, 8, 24, 256);
  const Matrix data = make_data(Shape::clustered, 4096, 8);
  const auto bytes_of_lists = [&](std::size_t at_once) {
    const HostDevices devices;
    Index index(params, on("cuda"));
    for (std::size_t first = 0; first < data.rows; first += at_once) {
      index.add(data.slice(first, std::min(at_once, data.rows - first)));
    }
    return index.stats().device.bytes_in - data.rows * data.cols * sizeof(float);
  };
  EXPECT_LT(bytes_of_lists(data.rows) * 2, bytes_of_lists(200));
}

// Each addition is two epochs, longer than all before. When the second is proposed, proposals of
// the last addition wait in memory that is now too small.
TEST(BackendBuild, EpochsThatOutgrowTheMemoryOfTheirProposals) {
  const IndexParams params = make_params(6, 4, 16, 65536);
  const Matrix data = make_data(Shape::clustered, 3000, 6);
  const std::string digest = digest_on("cpu", params, data);
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const HostDevices devices(HostDevices::deferred(seed));
    LogLines log;
    RuntimeOptions options = on("cuda");
    options.log = log.callback();
    Index index(params, options);
    for (core::Epoch epoch; index.size() < data.rows; epoch = epoch.next(params.epoch_limit)) {
      if (epoch.end < 300 || epoch.number % 2 != 0) continue;
      const std::size_t end = std::min<std::size_t>(epoch.end, data.rows);
      index.add(data.slice(index.size(), end - index.size()));
    }
    EXPECT_EQ(index.digest(), digest) << "order " << seed;
    EXPECT_TRUE(log.warnings.empty()) << log.warnings[0];
  }
}

TEST(BackendBuild, TheCommittingThreadComputesNoDistances) {
  const HostDevices devices;
  const IndexParams params = make_params(8, 8, 30, 256);
  const Matrix data = make_data(Shape::clustered, 4000, 8);
  Index index(params, on("cuda"));
  index.add(data.view());
  // The CPU proposes epochs shorter than a device batch, which are those before node 256.
  Index early(params, on("cpu"));
  early.add(data.slice(0, 320));
  const BuildStats build = index.stats().build;
  const BuildStats on_cpu = early.stats().build;
  EXPECT_LE(build.descent.count, on_cpu.descent.count);
  EXPECT_LE(build.beam_search.count, on_cpu.beam_search.count);
  EXPECT_LE(build.selection.count, on_cpu.selection.count);
  EXPECT_EQ(build.commit.count, 4000u);
  EXPECT_GT(build.distances, 20 * on_cpu.distances / 10);
}

}  // namespace
}  // namespace concord::test
