// concord/cuda.hpp: data in device memory gives what data in host memory gives.

#include <atomic>
#include <concord/cuda.hpp>
#include <cstring>
#include <limits>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>

#include "tests/cuda/caller_on_device.hpp"
#include "tests/cuda/host_devices.hpp"

namespace concord::test {
namespace {

IndexParams api_params(Metric metric = Metric::l2sq) { return make_params(24, 6, 20, 256, metric); }

TEST(DeviceMemoryApi, AddAndSearchGiveWhatHostMemoryGives) {
  for (const Metric metric : kAllMetrics) {
    for (const std::uint64_t seed : {0u, 1u}) {
      const HostDevices devices(HostDevices::deferred(seed));
      const Matrix data = make_data(Shape::clustered, 1500, 24);
      std::vector<std::uint64_t> labels(500);
      for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = hash(3, i);
      Index cpu(api_params(metric), on("cpu"));
      cpu.add(data.slice(0, 1000));
      cpu.add(data.slice(1000, 500), labels);

      Index index(api_params(metric), on("cuda"));
      Caller caller(*devices.last);
      EXPECT_EQ(cuda::add(index, caller.upload(data.slice(0, 1000), 24), {}, caller.stream()),
                1000u);
      EXPECT_EQ(cuda::add(index, caller.upload(data.slice(1000, 500), 31), labels, caller.stream()),
                500u);
      EXPECT_EQ(index.digest(), cpu.digest());
      const auto queries = data.slice(700, 90);
      expect_same(cuda::search(index, caller.upload(queries, 40), {7, 30}, caller.stream()),
                  cpu.search(queries, {7, 30}));
    }
  }
}

/// Bytes to the device for `rows`, added in two calls, the second of which makes the mirror grow.
std::uint64_t bytes_in(const IndexParams& params, const Matrix& rows, bool from_device) {
  const HostDevices devices(HostDevices::deferred(0));
  Index index(params, on("cuda"));
  Caller caller(*devices.last);
  const std::size_t half = rows.rows / 2;
  for (const std::size_t first : {std::size_t{0}, half}) {
    const auto part = rows.slice(first, half);
    if (from_device) {
      cuda::add(index, caller.upload(part, part.cols + 3), {}, caller.stream());
    } else {
      index.add(part);
    }
  }
  EXPECT_EQ(index.digest(), digest_on("cpu", params, rows));
  return index.stats().device.bytes_in;
}

// Levels and links are uploaded either way, vectors only if the device does not have them. Both
// calls end with a batch that is large enough for the device.
TEST(DeviceMemoryApi, VectorsInDeviceMemoryAreNotUploaded) {
  for (const Metric metric : kAllMetrics) {
    for (const std::uint32_t dimension : {5u, 24u, 33u}) {
      if (dimension != 33 && !full_scale()) continue;
      const Matrix rows = make_data(Shape::clustered, 2 * 1000, dimension);
      const IndexParams params = make_params(dimension, 6, 20, 256, metric);
      const std::size_t stride = (std::size_t{dimension} + 7) / 8 * 8;
      EXPECT_EQ(bytes_in(params, rows, false) - bytes_in(params, rows, true),
                rows.rows * stride * sizeof(float));
    }
  }
}

// Small batches are proposed on the CPU. Their vectors are uploaded later, from the host.
TEST(DeviceMemoryApi, ManyAdditionsFromEitherMemory) {
  const Matrix data = make_data(Shape::clustered, 1900, 24);
  for (const std::uint64_t seed : {0u, 5u}) {
    const HostDevices devices(HostDevices::deferred(seed));
    Index cpu(api_params(Metric::cosine), on("cpu"));
    Index index(api_params(Metric::cosine), on("cuda"));
    Caller caller(*devices.last);
    for (std::uint64_t i = 0; index.size() < data.rows; ++i) {
      const std::size_t some = 1 + hash(seed, i) % (i % 3 == 0 ? 30 : 300);
      const auto rows = data.slice(index.size(), std::min(some, data.rows - index.size()));
      cpu.add(rows);
      if (i % 4 == 1) {
        index.add(rows);
      } else {
        cuda::add(index, caller.upload(rows, 24 + i % 3), {}, caller.stream());
      }
      const auto queries = data.slice(0, 70);
      if (i % 3 == 0) expect_same(index.search(queries, {5, 20}), cpu.search(queries, {5, 20}));
    }
    EXPECT_EQ(index.digest(), cpu.digest());
    EXPECT_EQ(index.stats().device.name, "host team");
  }
}

// Each third change adds, the others replace: what is there (update), or both (upsert).
TEST(DeviceMemoryApi, ReplacementsGiveWhatHostMemoryGives) {
  const Matrix data = make_data(Shape::clustered, 2400, 24);
  for (const Metric metric : kAllMetrics) {
    for (const std::uint64_t seed : {0u, 7u}) {
      const HostDevices devices(HostDevices::deferred(seed));
      Index cpu(api_params(metric), on("cpu"));
      Index index(api_params(metric), on("cuda"));
      Caller caller(*devices.last);
      std::uint64_t next = 0;  // the least label that was never given
      for (std::size_t first = 0, i = 0; first < data.rows; ++i) {
        const std::size_t count = std::min<std::size_t>(1 + hash(seed, i) % 400, data.rows - first);
        const auto rows = data.slice(first, i % 3 == 1 ? std::min(count, cpu.size()) : count);
        const auto there = caller.upload(rows, 24 + i % 3);
        first += rows.rows;
        std::vector<std::uint64_t> labels(rows.rows);
        if (i % 3 == 0) {
          std::iota(labels.begin(), labels.end(), next);
          next += rows.rows;
          cpu.add(rows, labels);
          cuda::add(index, there, labels, caller.stream());
        } else if (i % 3 == 1) {
          std::iota(labels.begin(), labels.end(), hash(seed, i) % (next - rows.rows + 1));
          EXPECT_EQ(cuda::update(index, there, labels, caller.stream()), cpu.update(rows, labels));
        } else {
          std::iota(labels.begin(), labels.end(), next - std::min<std::uint64_t>(next, 20));
          next = std::max(next, labels.back() + 1);
          EXPECT_EQ(cuda::upsert(index, there, labels, caller.stream()), cpu.upsert(rows, labels));
        }
        ASSERT_EQ(index.digest(), cpu.digest()) << i;
      }
      const auto queries = data.slice(300, 90);
      expect_same(cuda::search(index, caller.upload(queries, 24), {7, 30}, caller.stream()),
                  cpu.search(queries, {7, 30}));
      EXPECT_EQ(index.stats().device.name, "host team");
    }
  }
}

TEST(DeviceMemoryApi, ReplacementsThatAreRefusedChangeNothing) {
  const HostDevices devices;
  const Matrix data = make_data(Shape::random, 60, 24);
  Index index(api_params(), on("cuda"));
  index.add(data.slice(0, 50));
  const std::string digest = index.digest();
  Caller caller(*devices.last);
  const auto stream = caller.stream();
  const auto rows = caller.upload(data.slice(50, 3), 24);
  const std::vector<std::uint64_t> known{1, 2, 3};
  const std::vector<std::uint64_t> unknown{1, 2, 99};
  const std::vector<std::uint64_t> twice{1, 2, 1};
  const std::vector<std::uint64_t> few{1, 2};
  const std::vector<std::uint64_t> none;
  for (const auto change : {&cuda::update, &cuda::upsert}) {
    const auto refused = [&](ErrorCode code, cuda::DeviceMatrixView<const float> vectors,
                             const std::vector<std::uint64_t>& labels) {
      expect_error(code, {}, [&] { change(index, vectors, labels, stream, {}); });
      EXPECT_EQ(index.digest(), digest);
    };
    refused(ErrorCode::duplicate_label, rows, twice);
    refused(ErrorCode::dimension_mismatch, rows, few);
    refused(ErrorCode::dimension_mismatch, rows, none);
    refused(ErrorCode::dimension_mismatch, {rows.data, 3, 23}, known);
    refused(ErrorCode::dimension_mismatch, {nullptr, 3, 24}, known);
    refused(ErrorCode::invalid_parameter, {data.row(0), 3, 24}, known);
    EXPECT_EQ(change(index, {nullptr, 0, 0}, none, stream, {}), 0u);
    Matrix bad = data;
    bad.row(52)[5] = std::numeric_limits<float>::quiet_NaN();
    refused(ErrorCode::invalid_vector, caller.upload(bad.slice(50, 3), 24), known);
  }
  expect_error(ErrorCode::unknown_label, {"99"},
               [&] { cuda::update(index, rows, unknown, stream); });
  EXPECT_EQ(index.digest(), digest);
  EXPECT_EQ(cuda::upsert(index, rows, unknown, stream), 3u);
  EXPECT_EQ(index.size(), 51u);
}

// However a call ends, the caller may then release the memory, and the next call works.
TEST(DeviceMemoryApi, TheMemoryIsTheCallersAgainAtOnce) {
  const Matrix data = make_data(Shape::clustered, 2000, 24);
  const Matrix other = make_data(Shape::random, 700, 24);
  const HostDevices devices(HostDevices::deferred(0));
  Index index(api_params(), on("cuda"));
  const auto add = [&](MatrixView<const float> rows, const ProgressCallback& progress) {
    Caller caller(*devices.last);
    cuda::add(index, caller.upload(rows, 24), {}, caller.stream(), progress);
  };
  add(data.slice(0, 900), {});
  EXPECT_THROW(add(other.view(), [](std::uint64_t, std::uint64_t) -> bool { throw 1; }), int);
  const std::size_t committed = index.size();
  const std::string digest = index.digest();
  Matrix bad = other;
  bad.row(650)[3] = std::numeric_limits<float>::infinity();
  expect_error(ErrorCode::invalid_vector, {"vector 650"}, [&] { add(bad.view(), {}); });
  EXPECT_EQ(index.digest(), digest);
  add(data.slice(900, 1100), {});

  Index cpu(api_params(), on("cpu"));
  cpu.add(data.slice(0, 900));
  cpu.add(other.slice(0, committed - 900));
  cpu.add(data.slice(900, 1100));
  EXPECT_EQ(index.digest(), cpu.digest());
  EXPECT_EQ(index.stats().device.name, "host team");
}

// A failing device ends an addition only while vectors come to the host; then nothing has changed.
TEST(DeviceMemoryApi, AnyCallMayFail) {
  const IndexParams params = make_params(4, 4, 10, 100);
  const Matrix data = make_data(Shape::clustered, 700, 4);
  const std::string digest = digest_on("cpu", params, data);
  for (const std::uint64_t seed : {0u, 3u}) {
    bool happened = true;
    std::uint64_t failures = 0;
    for (std::uint64_t n = 0; happened; n += full_scale() ? 3 : 17) {
      SCOPED_TRACE("call " + std::to_string(n));
      happened = false;
      bool armed = false;
      std::atomic<std::uint64_t> calls{0};
      const HostDevices devices(HostDevices::deferred(seed), [&](const char* call, std::uint64_t) {
        if (!armed || calls++ != n) return;
        happened = true;
        throw Error(ErrorCode::cuda, "injected at " + std::string(call));
      });
      Index index(params, on("cuda"));
      for (const auto& rows : {data.slice(0, 450), data.slice(450, 250)}) {
        Caller caller(*devices.last);
        const auto there = caller.upload(rows, 7);
        const std::size_t before = index.size();
        armed = true;
        try {
          cuda::add(index, there, {}, caller.stream());
        } catch (const Error&) {
          ASSERT_EQ(index.size(), before);
          index.add(rows);
        }
        armed = false;
      }
      ASSERT_EQ(index.digest(), digest);
      failures += happened ? 1 : 0;
    }
    EXPECT_GT(failures, full_scale() ? 60u : 10u);
  }
}

TEST(DeviceMemoryApi, QueriesAreReadWhereTheyAre) {
  for (const Metric metric : kAllMetrics) {
    const HostDevices devices(HostDevices::deferred(0));
    const Matrix data = make_data(Shape::clustered, 900, 24);
    const Matrix queries = make_data(Shape::random, 333, 24, 5);
    Index index(api_params(metric), on("cuda"));
    Index cpu(api_params(metric), on("cpu"));
    index.add(data.view());
    cpu.add(data.view());
    Caller caller(*devices.last);
    (void)index.search(queries.view(), {5, 20});  // the mirror is up to date
    const std::uint64_t before = index.stats().device.bytes_in;
    for (const std::size_t stride : {24u, 29u}) {
      expect_same(
          cuda::search(index, caller.upload(queries.view(), stride), {5, 20}, caller.stream()),
          cpu.search(queries.view(), {5, 20}));
    }
    EXPECT_EQ(index.stats().device.bytes_in, before);
    EXPECT_EQ(index.stats().search.queries, 3 * queries.rows);
  }
}

TEST(DeviceMemoryApi, ABadQueryIsNamed) {
  const HostDevices devices(HostDevices::deferred(0));
  const Matrix data = make_data(Shape::clustered, 900, 24);
  Index index(api_params(), on("cuda"));
  index.add(data.view());
  Caller caller(*devices.last);
  Matrix queries = make_data(Shape::random, 100, 24);
  queries.row(71)[4] = std::numeric_limits<float>::quiet_NaN();
  expect_error(ErrorCode::invalid_vector, {"query 71", "NaN", "element 4"}, [&] {
    (void)cuda::search(index, caller.upload(queries.view(), 24), {5, 20}, caller.stream());
  });
  const auto good = data.slice(0, 100);
  expect_same(cuda::search(index, caller.upload(good, 24), {5, 20}, caller.stream()),
              index.search(good, {5, 20}));
  EXPECT_EQ(index.stats().device.name, "host team");
}

// If the device fails, the search does not: the queries are copied to the host and the CPU answers.
TEST(DeviceMemoryApi, AnyCallOfASearchMayFail) {
  const Matrix data = make_data(Shape::clustered, 400, 24);
  Index cpu(api_params(), on("cpu"));
  cpu.add(data.view());
  const auto queries = data.slice(0, 80);
  const SearchResult expected = cpu.search(queries, {5, 20});
  std::uint64_t failures = 0;
  bool happened = true;
  for (std::uint64_t n = 0; happened; ++n) {
    happened = false;
    bool armed = false;
    std::uint64_t calls = 0;
    const HostDevices devices(HostDevices::deferred(n % 3), [&](const char*, std::uint64_t) {
      if (!armed || calls++ != n) return;
      happened = true;
      throw Error(ErrorCode::cuda, "injected");
    });
    Index index(api_params(), on("cuda"));
    index.add(data.view());
    {
      Caller caller(*devices.last);
      const auto there = caller.upload(queries, 24);
      armed = true;
      expect_same(cuda::search(index, there, {5, 20}, caller.stream()), expected);
      armed = false;
    }
    EXPECT_EQ(index.stats().device.name, happened ? "cpu" : "host team");
    failures += happened ? 1 : 0;
  }
  EXPECT_GT(failures, 20u);
}

// A search delivers its log messages after it has left the index. Another thread may then destroy
// the index, so the search touches nothing of it afterwards. AddressSanitizer would see that.
TEST(DeviceMemoryApi, AnIndexMayGoWhileASearchThatFailedTellsTheLog) {
  const Matrix data = make_data(Shape::clustered, 400, 24);
  Index cpu(api_params(), on("cpu"));
  cpu.add(data.view());
  std::atomic<bool> armed{false};  // read on the device's threads as well
  const HostDevices devices(HostDevices::deferred(0), [&](const char*, std::uint64_t) {
    if (armed.exchange(false)) throw Error(ErrorCode::cuda, "injected");
  });
  std::optional<Index> index;
  std::optional<Caller> caller;
  RuntimeOptions options = on("cuda");
  int warnings = 0;
  options.log = [&](LogLevel level, std::string_view) {
    if (level != LogLevel::warning) return;
    ++warnings;
    caller.reset();
    std::thread([&] { index.reset(); }).join();
  };
  index.emplace(api_params(), options);
  index->add(data.view());
  caller.emplace(*devices.last);
  const auto there = caller->upload(data.slice(0, 80), 24);
  const cuda::CudaStream stream = caller->stream();
  armed = true;
  expect_same(cuda::search(*index, there, {5, 20}, stream), cpu.search(data.slice(0, 80), {5, 20}));
  EXPECT_EQ(warnings, 1);
}

TEST(DeviceMemoryApi, MoreThanOneChunk) {
  const HostDevices devices(HostDevices::deferred(2));
  const std::size_t dimension = 1536;
  Matrix data = make_data(Shape::random, 1600, dimension);  // 10 MB: three chunks
  const IndexParams params = make_params(static_cast<std::uint32_t>(dimension), 2, 1, 256);
  Index index(params, on("cuda"));
  Caller caller(*devices.last);
  cuda::add(index, caller.upload(data.view(), dimension), {}, caller.stream());
  EXPECT_EQ(index.digest(), digest_on("cpu", params, data));

  data.row(1500)[7] = std::numeric_limits<float>::quiet_NaN();
  const std::string before = index.digest();
  expect_error(ErrorCode::invalid_vector, {"vector 1500", "NaN", "element 7"}, [&] {
    cuda::add(index, caller.upload(data.view(), dimension), {}, caller.stream());
  });
  EXPECT_EQ(index.digest(), before);
  EXPECT_EQ(index.stats().device.name, "host team");
}

TEST(DeviceMemoryApi, RefusesWrongShapes) {
  const HostDevices devices;
  Index index(api_params(), on("cuda"));
  Caller caller(*devices.last);
  const Matrix data = make_data(Shape::random, 10, 24);
  const auto good = caller.upload(data.view(), 24);
  const std::vector<std::uint64_t> labels(9);
  const auto refused = [](auto&& action) {
    expect_error(ErrorCode::dimension_mismatch, {}, action);
  };
  const auto stream = caller.stream();
  refused([&] { cuda::add(index, {good.data, 10, 23}, {}, stream); });
  refused([&] { cuda::add(index, {good.data, 10, 24, 23}, {}, stream); });
  refused([&] { cuda::add(index, {nullptr, 10, 24}, {}, stream); });
  refused([&] { cuda::add(index, good, labels, stream); });
  refused([&] { (void)cuda::search(index, {good.data, 10, 25}, {}, stream); });
  auto* const out = caller.allocate<std::uint64_t>(100);
  auto* const near = caller.allocate<float>(100);
  auto* const counts = caller.allocate<std::uint32_t>(10);
  const SearchParams params{10, 20};
  refused([&] { cuda::search(index, good, params, {out, 9, 10}, {near, 10, 10}, counts, stream); });
  refused([&] { cuda::search(index, good, params, {out, 10, 9}, {near, 10, 10}, counts, stream); });
  refused([&] {
    cuda::search(index, good, params, {out, 10, 10}, {nullptr, 10, 10}, counts, stream);
  });
  refused([&] {
    cuda::search(index, good, params, {out, 10, 10}, {near, 10, 10}, nullptr, stream);
  });
  EXPECT_EQ(index.size(), 0u);
  EXPECT_EQ(cuda::add(index, {nullptr, 0, 0}, {}, stream), 0u);
  EXPECT_EQ(cuda::search(index, {nullptr, 0, 0}, {}, stream).queries, 0u);
}

TEST(DeviceMemoryApi, RefusesMemoryThatTheDeviceDoesNotReach) {
  const HostDevices devices;
  const Matrix data = make_data(Shape::random, 100, 24);
  Index index(api_params(), on("cuda"));
  index.add(data.view());
  const std::string digest = index.digest();
  Caller caller(*devices.last);
  const auto good = caller.upload(data.view(), 24);
  const auto refused = [&](const char* what, auto&& action) {
    expect_error(ErrorCode::invalid_parameter, {what, "not in memory of the index's device"},
                 action);
  };
  void* const gone = devices.last->allocate(100 * 24 * sizeof(float));
  devices.last->release(gone, 100 * 24 * sizeof(float));
  for (const float* memory : {data.row(0), static_cast<const float*>(gone)}) {
    refused("vectors", [&] { cuda::add(index, {memory, 100, 24}, {}, caller.stream()); });
    refused("queries", [&] { (void)cuda::search(index, {memory, 100, 24}, {}, caller.stream()); });
  }
  refused("vectors", [&] { cuda::add(index, {good.data, 101, 24}, {}, caller.stream()); });
  refused("vectors", [&] { cuda::add(index, {good.data, 100, 24, 25}, {}, caller.stream()); });

  auto* const labels = caller.allocate<std::uint64_t>(1000);
  auto* const distances = caller.allocate<float>(1000);
  auto* const counts = caller.allocate<std::uint32_t>(100);
  std::vector<std::uint64_t> host(1000);
  const auto search = [&](std::uint64_t* to, std::uint32_t* counted) {
    cuda::search(index, good, {10, 20}, {to, 100, 10}, {distances, 100, 10}, counted,
                 caller.stream());
  };
  refused("labels", [&] { search(host.data(), counts); });
  refused("counts", [&] { search(labels, counts + 1); });
  search(labels, counts);
  EXPECT_EQ(index.digest(), digest);
}

TEST(DeviceMemoryApi, WithoutADeviceItIsUnsupported) {
  const Matrix data = make_data(Shape::random, 10, 24);
  Index on_cpu(api_params(), on("cpu"));
  expect_error(ErrorCode::unsupported, {"needs an index with a device", "the CPU was asked for"},
               [&] {
                 cuda::add(on_cpu, {data.row(0), 10, 24}, {}, nullptr);
               });
  expect_error(ErrorCode::unsupported, {"needs an index with a device"}, [&] {
    (void)cuda::search(on_cpu, {data.row(0), 10, 24}, {}, nullptr);
  });
  const std::vector<std::uint64_t> labels(10);
  for (const auto change : {&cuda::update, &cuda::upsert}) {
    expect_error(ErrorCode::unsupported, {"needs an index with a device"}, [&] {
      change(on_cpu, {data.row(0), 10, 24}, labels, nullptr, {});
    });
  }
}

TEST(DeviceMemoryApi, AFailedCopyLeavesTheIndexAsItWas) {
  const Matrix data = make_data(Shape::random, 300, 24);
  const std::string digest = digest_on("cpu", api_params(), data);
  for (const char* call : {"create_event", "allocate_pinned", "copy", "record", "synchronize"}) {
    bool armed = false;
    const HostDevices devices(HostDevices::deferred(0), [&](const char* name, std::uint64_t) {
      if (armed && std::string(name) == call) {
        armed = false;
        throw Error(ErrorCode::cuda, "injected");
      }
    });
    Index index(api_params(), on("cuda"));
    Caller caller(*devices.last);
    const auto rows = caller.upload(data.view(), 24);
    armed = true;
    expect_error(ErrorCode::cuda, {"injected"},
                 [&] { cuda::add(index, rows, {}, caller.stream()); });
    EXPECT_EQ(index.size(), 0u);
    EXPECT_EQ(cuda::add(index, rows, {}, caller.stream()), 300u);
    EXPECT_EQ(index.digest(), digest);
  }
}

}  // namespace
}  // namespace concord::test
