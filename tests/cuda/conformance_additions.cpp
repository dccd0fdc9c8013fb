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
  SearchResult written;  ///< by the device, in its memory
};

/// In two calls, so that the mirror grows.
Built from_host(const IndexParams& params, const std::vector<float>& rows, const char* device) {
  const std::size_t stride = params.dimension + kGap;
  Index index(params, on(device));
  for (std::size_t first : {std::size_t{0}, kRows / 2}) {
    index.add({rows.data() + first * stride, kRows / 2, params.dimension, stride});
  }
  const std::uint64_t bytes_in = index.stats().device.bytes_in;
  SearchResult found = index.search({rows.data(), kQueries, params.dimension, stride}, kSearch);
  return {index.digest(), bytes_in, found, found};
}

/// The search's results by way of device memory, or none if there is no memory.
SearchResult search_there(const Index& index, DeviceMatrixView<const float> queries,
                          cudaStream_t stream) {
  SearchResult result;
  result.queries = queries.rows;
  result.k = kSearch.k;
  result.labels.resize(queries.rows * kSearch.k);
  result.distances.resize(queries.rows * kSearch.k);
  result.counts.resize(queries.rows);
  const std::size_t labels = result.labels.size() * sizeof(std::uint64_t);
  const std::size_t distances = result.distances.size() * sizeof(float);
  const std::size_t counts = result.counts.size() * sizeof(std::uint32_t);
  std::byte* d_memory = nullptr;
  if (cudaMalloc(reinterpret_cast<void**>(&d_memory), labels + distances + counts) != cudaSuccess) {
    return {};
  }
  auto* const d_labels = reinterpret_cast<std::uint64_t*>(d_memory);
  auto* const d_distances = reinterpret_cast<float*>(d_memory + labels);
  auto* const d_counts = reinterpret_cast<std::uint32_t*>(d_memory + labels + distances);
  search(index, queries, kSearch, {d_labels, queries.rows, kSearch.k},
         {d_distances, queries.rows, kSearch.k}, d_counts, stream);
  const bool copied =
      cudaMemcpy(result.labels.data(), d_labels, labels, cudaMemcpyDeviceToHost) == cudaSuccess &&
      cudaMemcpy(result.distances.data(), d_distances, distances, cudaMemcpyDeviceToHost) ==
          cudaSuccess &&
      cudaMemcpy(result.counts.data(), d_counts, counts, cudaMemcpyDeviceToHost) == cudaSuccess;
  cudaFree(d_memory);
  return copied ? result : SearchResult();
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
    return {"no device memory", 0, {}, {}};
  }
  Index index(params, on("cuda"));
  for (std::size_t first : {std::size_t{0}, kRows / 2}) {
    add(index, {d_rows + first * stride, kRows / 2, params.dimension, stride}, {}, stream);
  }
  const std::uint64_t bytes_in = index.stats().device.bytes_in;
  const DeviceMatrixView<const float> queries(d_rows, kQueries, params.dimension, stride);
  SearchResult found = search(index, queries, kSearch, stream);
  SearchResult written = search_there(index, queries, stream);
  cudaFree(d_rows);
  cudaStreamDestroy(stream);
  return {index.digest(), bytes_in, std::move(found), std::move(written)};
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
           other.found.distances == cpu.found.distances &&
           other.written.labels == cpu.found.labels &&
           other.written.distances == cpu.found.distances &&
           other.written.counts == cpu.found.counts;
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
