// Results of concord/cuda.hpp in device memory: the device writes them, or the host does.

#include <atomic>
#include <concord/cuda.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "tests/cuda/caller_on_device.hpp"
#include "tests/cuda/host_devices.hpp"

namespace concord::test {
namespace {

IndexParams results_params() { return make_params(24, 6, 20, 256); }

TEST(ResultsThere, ResultsInDeviceMemory) {
  const HostDevices devices(HostDevices::deferred(0));
  const Matrix data = make_data(Shape::random, 600, 24);
  Index index(results_params(), on("cuda"));
  Caller caller(*devices.last);
  cuda::add(index, caller.upload(data.view(), 24), {}, caller.stream());
  const std::size_t n = 80;
  const SearchParams params{5, 20};
  const SearchResult expected = index.search(data.slice(0, n), params);
  for (const std::size_t stride : {5u, 9u}) {
    auto* const labels = caller.allocate<std::uint64_t>(n * stride);
    auto* const distances = caller.allocate<float>(n * stride);
    auto* const counts = caller.allocate<std::uint32_t>(n);
    std::memset(distances, 0x11, n * stride * sizeof(float));
    cuda::search(index, caller.upload(data.slice(0, n), 24), params, {labels, n, 5, stride},
                 {distances, n, 5, stride}, counts, caller.stream());
    for (std::size_t q = 0; q < n; ++q) {
      EXPECT_EQ(counts[q], expected.counts[q]);
      EXPECT_EQ(std::memcmp(labels + q * stride, &expected.labels[q * 5], 5 * 8), 0);
      EXPECT_EQ(std::memcmp(distances + q * stride, &expected.distances[q * 5], 5 * 4), 0);
      const unsigned char gap[4] = {0x11, 0x11, 0x11, 0x11};
      EXPECT_TRUE(stride == 5 || std::memcmp(distances + q * stride + 5, gap, 4) == 0);
    }
  }
}

/// Searches with results in device memory, and compares them with those on the host.
void search_there_and_compare(const Index& index, cuda::Device& device,
                              MatrixView<const float> rows, const SearchParams& params) {
  Caller caller(device);
  const std::size_t n = rows.rows;
  auto* const labels = caller.allocate<std::uint64_t>(n * params.k);
  auto* const distances = caller.allocate<float>(n * params.k);
  auto* const counts = caller.allocate<std::uint32_t>(n);
  const SearchResult result = index.search(rows, params);
  cuda::search(index, caller.upload(rows, rows.cols), params, {labels, n, params.k},
               {distances, n, params.k}, counts, caller.stream());
  EXPECT_TRUE(std::equal(result.labels.begin(), result.labels.end(), labels));
  EXPECT_TRUE(std::equal(result.distances.begin(), result.distances.end(), distances));
  EXPECT_TRUE(std::equal(result.counts.begin(), result.counts.end(), counts));
}

// The labels are those of other ids behind a slide.
TEST(ResultsThere, TheDeviceWritesResultsBehindRemovals) {
  const HostDevices devices;
  const Matrix data = make_data(Shape::random, 1400, 24);
  Index index(results_params(), on("cuda"));
  index.add(data.view());
  for (std::uint64_t round = 0; round < 4; ++round) {
    search_there_and_compare(index, *devices.last, data.slice(0, 70), {10, 20});
    std::vector<std::uint64_t> labels(150);
    for (std::uint64_t i = 0; i < 150; ++i) labels[i] = 9 * i + round;
    index.remove(labels);
    search_there_and_compare(index, *devices.last, data.slice(0, 70), {10, 20});
    index.flush();
    search_there_and_compare(index, *devices.last, data.slice(0, 70), {10, 20});
  }
  EXPECT_EQ(index.stats().device.name, "host team");
}

// More nodes, labels that are no numbers, and fewer results than asked for.
TEST(ResultsThere, TheDeviceWritesResultsByItself) {
  for (const std::uint64_t seed : {0u, 1u, 2u}) {
    std::atomic<unsigned> written{0};
    const HostDevices devices(HostDevices::deferred(seed), [&](const char* call, std::uint64_t) {
      if (std::string(call) == "write_results") ++written;
    });
    const Matrix data = make_data(Shape::random, 1400, 24);
    Index index(results_params(), on("cuda"));
    unsigned searches = 0;
    for (const std::size_t count : {7u, 500u, 20u, 873u}) {
      std::vector<std::uint64_t> labels(count);
      for (std::size_t i = 0; i < count; ++i) labels[i] = hash(5, index.size() + i);
      index.add(data.slice(index.size(), count), labels);
      for (const std::uint32_t k : {1u, 10u}) {
        search_there_and_compare(index, *devices.last, data.slice(0, 70), {k, 20});
        EXPECT_EQ(written, ++searches);
      }
    }
    EXPECT_EQ(index.stats().device.name, "host team");
  }
}

TEST(ResultsThere, ResultsGoThroughTheHostWhereLabelsFindNoRoom) {
  const std::size_t n = 12000;
  const Matrix data = make_data(Shape::random, n, 4);
  for (const bool is_tight : {false, true}) {
    std::atomic<unsigned> written{0};
    const HostDevices devices(HostDevices::deferred(0), [&](const char* call, std::uint64_t) {
      if (std::string(call) == "write_results") ++written;
    });
    LogLines log;
    RuntimeOptions options = on("cuda");
    options.log = log.callback();
    Index index(make_params(4, 2, 2, 1024), options);
    index.add(data.view());
    (void)index.search(data.slice(0, 70), {5, 20});
    const std::size_t of_caller = 70 * (4 * sizeof(float) + 5 * 12 + 4);
    const std::size_t of_cub = (std::size_t{64} << 10) + 4;  // planned to check queries
    const std::size_t labels = n * sizeof(std::uint64_t);
    devices.last->set_limit(devices.last->held_bytes() + of_caller + of_cub +
                            (is_tight ? labels / 4 : labels));
    search_there_and_compare(index, *devices.last, data.slice(0, 70), {5, 20});
    EXPECT_EQ(written, is_tight ? 0u : 1u);
    EXPECT_TRUE(log.warnings.empty()) << log.warnings[0];
  }
}

TEST(ResultsThere, AnyCallOfASearchWithResultsThereMayFail) {
  const Matrix data = make_data(Shape::random, 300, 24);
  bool happened = true;
  unsigned failures = 0;
  for (std::uint64_t n = 0; happened; ++n) {
    SCOPED_TRACE("call " + std::to_string(n));
    happened = false;
    bool armed = false;
    std::atomic<std::uint64_t> calls{0};
    const HostDevices devices(HostDevices::deferred(n % 3), [&](const char* call, std::uint64_t) {
      if (!armed || calls++ != n) return;
      happened = true;
      throw Error(ErrorCode::cuda, "injected at " + std::string(call));
    });
    Index index(results_params(), on("cuda"));
    index.add(data.view());
    const SearchResult expected = index.search(data.slice(0, 70), {5, 20});
    Caller caller(*devices.last);
    const auto rows = caller.upload(data.slice(0, 70), 24);
    auto* const labels = caller.allocate<std::uint64_t>(70 * 5);
    auto* const distances = caller.allocate<float>(70 * 5);
    auto* const counts = caller.allocate<std::uint32_t>(70);
    armed = true;
    bool threw = false;
    try {
      cuda::search(index, rows, {5, 20}, {labels, 70, 5}, {distances, 70, 5}, counts,
                   caller.stream());
    } catch (const Error& error) {  // a copy of the caller's rows or of the results failed
      threw = true;
      EXPECT_EQ(error.code(), ErrorCode::cuda);
    }
    armed = false;
    failures += happened ? 1 : 0;
    if (threw) continue;
    EXPECT_TRUE(std::equal(expected.labels.begin(), expected.labels.end(), labels));
    EXPECT_TRUE(std::equal(expected.distances.begin(), expected.distances.end(), distances));
    EXPECT_TRUE(std::equal(expected.counts.begin(), expected.counts.end(), counts));
  }
  EXPECT_GT(failures, 15u);
}

}  // namespace
}  // namespace concord::test
