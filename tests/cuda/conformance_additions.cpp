#include "tests/cuda/conformance_additions.hpp"

#include <cuda_runtime_api.h>

#include <concord/cuda.hpp>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace concord::cuda::testing {
namespace {

constexpr std::size_t kRows = 6000;  // both halves end with a batch large enough for the device
constexpr std::size_t kGap = 3;      // between rows in device memory
constexpr std::size_t kQueries = 300;
const SearchParams kSearch{10, 64};

IndexParams params_of(Metric metric, std::uint32_t dimension) {
  IndexParams params;
  params.metric = metric;
  params.dimension = dimension;
  params.M = 8;
  params.ef_construction = 60;
  return params;
}

RuntimeOptions on(const char* device) {
  RuntimeOptions options;
  options.device = device;
  return options;
}

struct Built {
  std::string digest;
  std::uint64_t bytes_in;
  SearchResult found;
};

/// In two calls, so that the mirror grows.
Built from_host(const IndexParams& params, const std::vector<float>& rows, const char* device) {
  const std::size_t stride = params.dimension + kGap;
  Index index(params, on(device));
  for (std::size_t first : {std::size_t{0}, kRows / 2}) {
    index.add({rows.data() + first * stride, kRows / 2, params.dimension, stride});
  }
  const std::uint64_t bytes_in = index.stats().device.bytes_in;
  return {index.digest(), bytes_in,
          index.search({rows.data(), kQueries, params.dimension, stride}, kSearch)};
}

/// The same; the copy to the device is still under way at the first call.
Built from_device(const IndexParams& params, const std::vector<float>& rows) {
  const std::size_t stride = params.dimension + kGap;
  cudaStream_t stream = nullptr;
  float* d_rows = nullptr;
  if (cudaStreamCreate(&stream) != cudaSuccess ||
      cudaMalloc(reinterpret_cast<void**>(&d_rows), rows.size() * sizeof(float)) != cudaSuccess ||
      cudaMemcpyAsync(d_rows, rows.data(), rows.size() * sizeof(float), cudaMemcpyHostToDevice,
                      stream) != cudaSuccess) {
    return {"no device memory", 0, {}};
  }
  Index index(params, on("cuda"));
  for (std::size_t first : {std::size_t{0}, kRows / 2}) {
    add(index, {d_rows + first * stride, kRows / 2, params.dimension, stride}, {}, stream);
  }
  const std::uint64_t bytes_in = index.stats().device.bytes_in;
  SearchResult found = search(index, {d_rows, kQueries, params.dimension, stride}, kSearch, stream);
  cudaFree(d_rows);
  cudaStreamDestroy(stream);
  return {index.digest(), bytes_in, std::move(found)};
}

bool check_addition(Metric metric, std::uint32_t dimension) {
  const IndexParams params = params_of(metric, dimension);
  std::vector<float> rows(kRows * (dimension + kGap));
  for (std::size_t j = 0; j < rows.size(); ++j) {
    rows[j] = static_cast<float>((j * j + j * 7919) % 10007) / 5000.0f - 1.0f;
  }
  const Built cpu = from_host(params, rows, "cpu");
  const Built host = from_host(params, rows, "cuda");
  const Built device = from_device(params, rows);
  const std::size_t padded = (std::size_t{dimension} + 7) / 8 * 8;
  const std::size_t vectors = kRows * padded * sizeof(float);
  const bool taken = device.bytes_in + vectors == host.bytes_in;
  const auto same = [&](const Built& other) {
    return other.digest == cpu.digest && other.found.labels == cpu.found.labels &&
           other.found.distances == cpu.found.distances;
  };
  const bool pass = same(host) && same(device) && taken;
  std::printf(
      "%s additions from device memory, metric %d, dimension %u: %.2f MB in, %.2f from "
      "host memory\n",
      pass ? "PASS" : "FAIL", static_cast<int>(metric), dimension,
      static_cast<double>(device.bytes_in) * 1e-6, static_cast<double>(host.bytes_in) * 1e-6);
  return pass;
}

}  // namespace

int check_additions() {
  int failures = 0;
  for (const Metric metric : {Metric::l2sq, Metric::inner_product, Metric::cosine}) {
    for (const std::uint32_t dimension : {33u, 128u}) {
      if (!check_addition(metric, dimension)) ++failures;
    }
  }
  return failures;
}

}  // namespace concord::cuda::testing
