// Searches and exact searches on the device path: the CPU's labels, distances and counts, bit for
// bit, at every size of the index and of the batch.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <limits>
#include <memory>
#include <string_view>
#include <thread>

#include "cpu/searcher.hpp"
#include "tests/cuda/host_devices.hpp"

namespace concord::test {
namespace {

/// One index on the device and its twin on the CPU.
struct Twins {
  explicit Twins(const IndexParams& params)
      : device(params, with_log(on("cuda"), log)), cpu(params, on("cpu")) {}
  ~Twins() { EXPECT_TRUE(log.warnings.empty()) << log.warnings.front(); }

  static RuntimeOptions with_log(RuntimeOptions options, LogLines& lines) {
    options.log = lines.callback();
    return options;
  }
  void add(MatrixView<const float> rows) {
    device.add(rows);
    cpu.add(rows);
  }
  void expect_same_search(MatrixView<const float> queries, const SearchParams& params) const {
    SCOPED_TRACE("size " + std::to_string(cpu.size()) + ", " + std::to_string(queries.rows) +
                 " queries, k " + std::to_string(params.k) + ", ef " + std::to_string(params.ef) +
                 ", slack " + std::to_string(params.slack));
    expect_same(device.search(queries, params), cpu.search(queries, params));
  }
  void expect_same_exact(MatrixView<const float> queries, std::uint32_t k) const {
    expect_same(device.exact_search(queries, k), cpu.exact_search(queries, k));
  }

  LogLines log;
  Index device;
  Index cpu;
};

TEST(BackendSearch, EveryMetricDimensionAndShape) {
  const HostDevices devices;
  for (const Metric metric : kAllMetrics) {
    for (const Shape shape : kAllShapes) {
      for (const std::uint32_t dimension : {1u, 33u}) {
        const Matrix data = make_data(shape, 500, dimension);
        const Matrix queries = make_data(shape, 64, dimension, 7);
        Twins twins(make_params(dimension, 4, 20, 200, metric));
        twins.add(data.view());
        twins.expect_same_search(queries.view(), {8, 24});
        twins.expect_same_exact(queries.view(), 9);
        if (metric == Metric::inner_product) continue;
        for (const float slack : {0.0f, 0.05f, 1.0f}) {
          twins.expect_same_search(queries.view(), {8, 100, slack});
        }
      }
    }
  }
}

TEST(BackendSearch, EverySizeOfListAndResult) {
  const HostDevices devices;
  const Matrix data = make_data(Shape::clustered, 800, 6);
  Twins twins(make_params(6, 6, 24, 300));
  const auto queries = data.slice(100, 64);
  twins.expect_same_search(queries, {5, 10});  // of an empty index
  twins.expect_same_exact(queries, 5);
  twins.add(data.slice(0, 1));
  twins.expect_same_search(queries, {5, 10});
  twins.add(data.slice(1, 799));
  for (const auto& [k, ef] : std::vector<std::pair<std::uint32_t, std::uint32_t>>{{0, 1},
                                                                                  {0, 50},
                                                                                  {1, 1},
                                                                                  {10, 1},
                                                                                  {10, 64},
                                                                                  {64, 64},
                                                                                  {100, 3},
                                                                                  {799, 1},
                                                                                  {800, 10},
                                                                                  {801, 10},
                                                                                  {1000, 2000},
                                                                                  {10, 4096},
                                                                                  {10, 4097},
                                                                                  {5000, 1}}) {
    twins.expect_same_search(queries, {k, ef});
  }
  for (const std::uint32_t k : {0u, 1u, 10u, 799u, 800u, 801u, 4096u, 4097u}) {
    twins.expect_same_exact(queries, k);
  }
}

TEST(BackendSearch, EverySizeOfBatch) {
  const HostDevices devices(HostDevices::deferred(1));
  const Matrix data = make_data(Shape::clustered, 600, 5);
  const Matrix queries = make_data(Shape::clustered, 5000, 5, 3);
  for (const std::size_t batch : {0u, 1u, 63u, 64u, 300u, 5000u}) {
    Twins twins(make_params(5, 4, 16, 100));
    twins.add(data.view());
    twins.expect_same_search(queries.slice(0, batch), {4, 12});
    twins.expect_same_exact(queries.slice(0, std::min<std::size_t>(batch, 300)), 4);
  }
}

// More than the device takes at once: pieces of a batch.
TEST(BackendSearch, BatchesOfSeveralPieces) {
  const HostDevices devices(HostDevices::deferred(0));
  const Matrix data = make_data(Shape::random, 300, 2);
  const Matrix queries = make_data(Shape::random, 16384 + 77, 2, 3);
  Twins twins(make_params(2, 2, 6, 50));
  twins.add(data.view());
  twins.expect_same_search(queries.view(), {2, 3});
  Matrix bad = queries;
  bad.row(16384 + 70)[1] = std::numeric_limits<float>::infinity();
  expect_error(ErrorCode::invalid_vector, {"query 16454", "infinity", "element 1"}, [&] {
    (void)twins.device.search(bad.view(), {2, 3});
  });
  twins.expect_same_search(queries.slice(0, 100), {2, 3});
}

TEST(BackendSearch, BatchesTheRouterWouldLeaveToTheCpu) {
  const Matrix data = make_data(Shape::clustered, 900, 5);
  GraphBuilder built(make_params(5, 3, 16, 400), data, 2);
  while (built.graph.size() < data.rows) built.step();
  const auto& kernels = cpu::for_metric(cpu::choose_kernels(), Metric::l2sq);
  cpu::Searcher cpu(built.contents, kernels);
  BuildStats stats;
  cuda::Backend device(std::make_unique<Watched<cuda::HostDevice>>(), built.contents, built.pool, 0,
                       stats);
  for (const std::size_t batch : {1u, 2u, 63u}) {
    const std::uint32_t k = 10;
    std::vector<core::Key> keys(batch * k), expected(batch * k);
    std::vector<std::uint32_t> found(batch), expected_found(batch);
    device.search(data.slice(7, batch), {k, 30}, keys.data(), found.data());
    cpu.search(data.slice(7, batch), {k, 30}, expected.data(), expected_found.data(), built.pool);
    EXPECT_EQ(keys, expected);
    EXPECT_EQ(found, expected_found);
    device.exact(data.slice(7, batch), k, keys.data(), found.data());
    cpu.exact(data.slice(7, batch), k, expected.data(), expected_found.data(), built.pool);
    EXPECT_EQ(keys, expected);
    EXPECT_EQ(found, expected_found);
  }
}

// Otherwise a stream of searches could keep the writer out.
TEST(BackendSearch, KeepingTheDeviceWaitsForOneSearchOnly) {
  const Matrix data = make_data(Shape::clustered, 500, 5);
  GraphBuilder built(make_params(5, 3, 16, 400), data, 2);
  while (built.graph.size() < data.rows) built.step();
  std::atomic<int> searching{0};
  std::atomic<bool> go_on{false};
  auto host = std::make_unique<Watched<cuda::HostDevice>>();
  host->set_hook([&](std::string_view call, std::uint64_t) {
    if (call != "search") return;
    ++searching;
    while (!go_on) std::this_thread::yield();
  });
  BuildStats stats;
  cuda::Backend device(std::move(host), built.contents, built.pool, 0, stats);
  const auto search = [&] {
    std::array<core::Key, 100> keys;
    std::array<std::uint32_t, 100> found;
    (void)device.search(data.slice(0, 100), {1, 20}, keys.data(), found.data());
  };
  std::thread first(search);
  while (searching == 0) std::this_thread::yield();
  std::thread keeper([&] { device.keep_for_writer(true); });
  const auto begin = std::chrono::steady_clock::now();
  while (device.takes_search(100, 20) &&
         std::chrono::steady_clock::now() - begin < std::chrono::seconds(20)) {
    std::this_thread::yield();
  }
  EXPECT_FALSE(device.takes_search(100, 20)) << "others may come while the writer waits";
  go_on = true;
  first.join();
  keeper.join();
  search();
  EXPECT_EQ(searching, 1);
}

// Lists above max_degree, which the device keeps in continuations, in the middle of long epochs.
TEST(BackendSearch, OverfullListsInMidEpoch) {
  for (const Shape shape : {Shape::sorted, Shape::clustered, Shape::duplicate, Shape::constant}) {
    const HostDevices devices(HostDevices::deferred(2));
    const Matrix data = make_data(shape, 1400, 3);
    Twins twins(make_params(3, 2, 10, 1024));
    const auto queries = data.slice(600, 64);
    std::size_t overfull = 0;
    for (const std::size_t size : {70u, 300u, 520u, 521u, 700u, 701u, 813u, 900u, 1270u, 1400u}) {
      twins.add(data.slice(twins.cpu.size(), size - twins.cpu.size()));
      twins.expect_same_search(queries, {6, 16});
      const auto& degrees = twins.cpu.stats().degree_histogram;
      for (std::size_t d = 2 * 2 + 1; d < degrees.size(); ++d) overfull += degrees[d];
    }
    if (shape == Shape::clustered) {
      EXPECT_GT(overfull, 50u) << to_string(shape);
    }
  }
}

TEST(BackendSearch, InvalidQueriesAreRefusedAsOnTheCpu) {
  const HostDevices devices;
  const Matrix data = make_data(Shape::random, 400, 3);
  Twins twins(make_params(3, 4, 12, 100));
  twins.add(data.view());
  Matrix bad(100, 3);
  bad.row(5)[1] = std::numeric_limits<float>::quiet_NaN();
  bad.row(99)[0] = std::numeric_limits<float>::infinity();
  for (const bool exact : {false, true}) {
    const auto run = [&](const Index& index) {
      return error_of([&] {
        (void)(exact ? index.exact_search(bad.view(), 3) : index.search(bad.view(), {3, 9}));
      });
    };
    const auto on_device = run(twins.device);
    const auto on_cpu = run(twins.cpu);
    ASSERT_TRUE(on_device && on_cpu);
    EXPECT_EQ(on_device->code(), on_cpu->code());
    EXPECT_STREQ(on_device->what(), on_cpu->what());
  }
  EXPECT_EQ(twins.device.stats().device.name, "host team");
  twins.expect_same_search(data.slice(0, 64), {3, 9});
}

TEST(BackendSearch, ConcurrentSearchesGiveTheSerialResults) {
  const HostDevices devices;
  const Matrix data = make_data(Shape::clustered, 700, 4);
  Twins twins(make_params(4, 4, 16, 512));
  twins.add(data.view());
  const auto queries = [&](std::size_t i) { return data.slice(i * 50, 40 + 10 * i); };
  std::vector<SearchResult> results(8);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < results.size(); ++i) {
    threads.emplace_back([&, i] {
      results[i] = i % 4 == 3 ? twins.device.exact_search(queries(i), 5)
                              : twins.device.search(queries(i), {5, 20});
      (void)twins.device.stats();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < results.size(); ++i) {
    expect_same(results[i], i % 4 == 3 ? twins.cpu.exact_search(queries(i), 5)
                                       : twins.cpu.search(queries(i), {5, 20}));
  }
}

TEST(BackendSearch, StatsTellWhatCrossedTheBus) {
  const HostDevices devices;
  const Matrix data = make_data(Shape::clustered, 2000, 16);
  Index index(make_params(16, 8, 24, 200), on("cuda"));
  index.add(data.view());
  const DeviceStats built = index.stats().device;
  EXPECT_EQ(built.name, "host team");
  EXPECT_EQ(built.reason, "host team");
  const std::uint64_t vectors = 2000 * 16 * sizeof(float);
  EXPECT_GT(built.bytes_in, vectors);
  EXPECT_LT(built.bytes_in, 20 * vectors);
  EXPECT_GT(built.bytes_out, 1500u * 8 * sizeof(std::uint32_t));
  EXPECT_GT(built.memory_bytes, vectors);

  const SearchResult found = index.search(data.slice(0, 500), {10, 40});
  const DeviceStats searched = index.stats().device;
  EXPECT_GE(searched.bytes_out - built.bytes_out, 500u * 10 * sizeof(std::uint64_t));
  EXPECT_LT(searched.bytes_in - built.bytes_in, 3 * vectors);  // queries and lists, no vectors
  const SearchStats search = index.stats().search;
  EXPECT_EQ(search.queries, 500u);
  EXPECT_GT(search.distances, 500u * 40);
  EXPECT_GT(search.hops, 500u * 10);
  (void)index.exact_search(data.slice(0, 100), 10);
  EXPECT_EQ(index.stats().search.distances - search.distances, 100u * 2000);
}

}  // namespace
}  // namespace concord::test
