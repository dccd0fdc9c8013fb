// concord-cuda-peak: what this card can do at most, as one JSON object: the ceilings that the
// kernels' own figures are read against. Needs nothing but a driver.
//
//   copy_bytes_per_second      device to device, bytes read plus bytes written
//   gather_bytes_per_second    rows of 512 bytes read at random: a graph search's access
//   to_device/to_host_bytes_per_second   from and to pinned memory
//   fma_per_second             fp32 fused multiply-adds (two operations each)
//   launch_seconds             an empty kernel, launched and waited for
//
// Each is the median of several runs after a warm-up. Exit code 77: no usable device.
#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

constexpr int kRuns = 9;
constexpr int kThreads = 256;
constexpr int kRowFloat4s = 32;  // 512 bytes
constexpr int kRowsPerWarp = 256;
constexpr int kChains = 8;
constexpr int kSteps = 8192;

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "concord-cuda-peak: %s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}

__global__ void empty_kernel() {}

__global__ void fill_kernel(float4* out, std::size_t count) {
  const std::size_t step = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    const float x = static_cast<float>(i % 8191);
    out[i] = make_float4(x, x + 1, x + 2, x + 3);
  }
}

__device__ unsigned scrambled(unsigned x) {
  x = (x ^ (x >> 16)) * 0x7feb352dU;
  x = (x ^ (x >> 15)) * 0x846ca68bU;
  return x ^ (x >> 16);
}

/// Each warp reads kRowsPerWarp rows at scrambled places, 16 bytes a lane.
__global__ void gather_kernel(const float4* rows, unsigned row_count, unsigned salt, float* out) {
  const unsigned warp = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
  const unsigned lane = threadIdx.x % 32;
  float sum = 0;
#pragma unroll 8
  for (unsigned r = 0; r < kRowsPerWarp; ++r) {
    const unsigned row = scrambled(warp * kRowsPerWarp + r + salt) % row_count;
    const float4 piece = rows[std::size_t{row} * kRowFloat4s + lane];
    sum += piece.x + piece.y + piece.z + piece.w;
  }
  if (sum == -1.0f) *out = sum;
}

__global__ void fma_kernel(float* out, float factor, float addend) {
  float chain[kChains];
  for (int c = 0; c < kChains; ++c) chain[c] = static_cast<float>(threadIdx.x + c);
#pragma unroll 16
  for (int step = 0; step < kSteps; ++step) {
#pragma unroll
    for (int c = 0; c < kChains; ++c) chain[c] = __fmaf_rn(chain[c], factor, addend);
  }
  float sum = 0;
  for (int c = 0; c < kChains; ++c) sum += chain[c];
  if (sum == -1.0f) *out = sum;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Median seconds of `work` by events, after two runs to warm up.
template <class Work>
double device_seconds(const Work& work) {
  cudaEvent_t begin{}, end{};
  check(cudaEventCreate(&begin), "cudaEventCreate");
  check(cudaEventCreate(&end), "cudaEventCreate");
  work(0);
  work(1);
  std::vector<double> seconds;
  for (int run = 2; run < kRuns + 2; ++run) {
    check(cudaEventRecord(begin), "cudaEventRecord");
    work(run);
    check(cudaGetLastError(), "launch");
    check(cudaEventRecord(end), "cudaEventRecord");
    check(cudaEventSynchronize(end), "cudaEventSynchronize");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin, end), "cudaEventElapsedTime");
    seconds.push_back(1e-3 * static_cast<double>(milliseconds));
  }
  check(cudaEventDestroy(begin), "cudaEventDestroy");
  check(cudaEventDestroy(end), "cudaEventDestroy");
  return median(seconds);
}

double launch_seconds() {
  std::vector<double> seconds;
  for (int run = 0; run < 200; ++run) {
    const auto start = std::chrono::steady_clock::now();
    empty_kernel<<<1, 32>>>();
    check(cudaDeviceSynchronize(), "empty kernel");
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return median(seconds);
}

struct Buffers {
  std::size_t bytes = 0;
  float4* d_from = nullptr;
  float4* d_to = nullptr;
  float* d_out = nullptr;
  void* pinned = nullptr;
  std::size_t pinned_bytes = std::size_t{256} << 20;
};

Buffers allocate() {
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  Buffers b;
  b.bytes = std::min(std::size_t{2} << 30, free / 4) & ~std::size_t{4095};
  b.pinned_bytes = std::min(b.pinned_bytes, b.bytes);
  check(cudaMalloc(&b.d_from, b.bytes), "cudaMalloc");
  check(cudaMalloc(&b.d_to, b.bytes), "cudaMalloc");
  check(cudaMalloc(&b.d_out, sizeof(float)), "cudaMalloc");
  check(cudaMallocHost(&b.pinned, b.pinned_bytes), "cudaMallocHost");
  std::fill_n(static_cast<unsigned*>(b.pinned), b.pinned_bytes / sizeof(unsigned), 0x3f8ccccdU);
  fill_kernel<<<1024, kThreads>>>(b.d_from, b.bytes / sizeof(float4));
  check(cudaDeviceSynchronize(), "fill");
  return b;
}

double copy_rate(void* to, const void* from, std::size_t bytes) {
  return static_cast<double>(bytes) / device_seconds([&](int) {
           check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault), "cudaMemcpyAsync");
         });
}

double gather_rate(const Buffers& b, int multiprocessors) {
  const auto rows = static_cast<unsigned>(b.bytes / sizeof(float4) / kRowFloat4s);
  const int blocks = multiprocessors * 8 * 8;
  const double bytes =
      static_cast<double>(blocks) * (kThreads / 32) * kRowsPerWarp * kRowFloat4s * sizeof(float4);
  return bytes / device_seconds([&](int run) {
           gather_kernel<<<blocks, kThreads>>>(b.d_from, rows, run * 0x9e3779b9U, b.d_out);
         });
}

double fma_rate(const Buffers& b, int multiprocessors) {
  const int blocks = multiprocessors * 8 * 4;
  const double operations = static_cast<double>(blocks) * kThreads * kChains * kSteps;
  return operations /
         device_seconds([&](int) { fma_kernel<<<blocks, kThreads>>>(b.d_out, 0.999f, 0.001f); });
}

}  // namespace

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::fprintf(stderr, "concord-cuda-peak: no CUDA device\n");
    return 77;
  }
  cudaDeviceProp device{};
  check(cudaGetDeviceProperties(&device, 0), "cudaGetDeviceProperties");
  const Buffers b = allocate();
  const int multiprocessors = device.multiProcessorCount;
  std::printf("{\"device\": \"%s\", \"compute_capability\": \"%d.%d\", \"multiprocessors\": %d,\n",
              device.name, device.major, device.minor, multiprocessors);
  std::printf(" \"memory_bytes\": %zu, \"l2_bytes\": %d,\n", device.totalGlobalMem,
              device.l2CacheSize);
  std::printf(" \"copy_bytes_per_second\": %.4g,\n", 2 * copy_rate(b.d_to, b.d_from, b.bytes));
  std::printf(" \"gather_bytes_per_second\": %.4g,\n", gather_rate(b, multiprocessors));
  std::printf(" \"to_device_bytes_per_second\": %.4g,\n",
              copy_rate(b.d_to, b.pinned, b.pinned_bytes));
  std::printf(" \"to_host_bytes_per_second\": %.4g,\n",
              copy_rate(b.pinned, b.d_from, b.pinned_bytes));
  std::printf(" \"fma_per_second\": %.4g,\n", fma_rate(b, multiprocessors));
  std::printf(" \"launch_seconds\": %.4g}\n", launch_seconds());
  return 0;
}
