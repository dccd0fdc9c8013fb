// concord-cuda-hazards: what only a real device can tell of the caller's side, through the public
// API.
//
//   concord-cuda-hazards current|streams|capture|trap|fork|memory   prints PASS, FAIL or SKIP lines
//   concord-cuda-hazards race       has a planted race, which racecheck must find
//   concord-cuda-hazards startup                                    prints a JSON object of seconds
//
// One hazard a process, because some of them leave the process without a usable device. Exit code
// 0: all pass or are skipped; 1: some fail; 77: no usable device.
#include <cuda_runtime.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <concord/cuda.hpp>
#include <concord/index.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace {

using concord::Error;
using concord::ErrorCode;
using concord::Index;
using concord::MatrixView;
using concord::cuda::DeviceMatrixView;

constexpr std::size_t kRows = 20000;
constexpr std::uint32_t kDimension = 64;
constexpr std::size_t kQueries = 2000;
constexpr std::uint32_t kNeighbors = 10;

int g_failures = 0;

void expect(bool held, const std::string& what) {
  std::printf("%s %s\n", held ? "PASS" : "FAIL", what.c_str());
  g_failures += held ? 0 : 1;
}

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::printf("FAIL %s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}

void expect_refused(const std::string& what, const std::string& part,
                    const std::function<void()>& call) {
  try {
    call();
    expect(false, what + ": nothing was refused");
  } catch (const Error& error) {
    const bool right = error.code() == ErrorCode::unsupported &&
                       std::string(error.what()).find(part) != std::string::npos;
    expect(right, what + ": " + error.what());
  }
}

/// Numbers of a linear congruence: the same on every machine.
std::vector<float> make_rows(std::size_t rows, std::uint32_t seed) {
  std::vector<float> data(rows * kDimension);
  for (float& value : data) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<float>(seed >> 8) / 16777216.0f;
  }
  return data;
}

const std::vector<float>& host_rows() {
  static const std::vector<float> rows = make_rows(kRows, 1);
  return rows;
}
MatrixView<const float> rows_view() { return {host_rows().data(), kRows, kDimension}; }

Index make_index(const std::string& device) {
  concord::IndexParams params;
  params.dimension = kDimension;
  params.M = 8;
  params.ef_construction = 64;
  concord::RuntimeOptions options;
  options.device = device;
  return Index(params, options);
}

const std::string& cpu_digest() {
  static const std::string digest = [] {
    Index index = make_index("cpu");
    index.add(rows_view());
    return index.digest();
  }();
  return digest;
}

/// Device memory; freed at the end of the process at the latest.
template <class T>
T* on_device(std::size_t count) {
  void* memory = nullptr;
  check(cudaMalloc(&memory, count * sizeof(T)), "cudaMalloc");
  return static_cast<T*>(memory);
}
const float* upload(const std::vector<float>& rows) {
  auto* const there = on_device<float>(rows.size());
  check(cudaMemcpy(there, rows.data(), rows.size() * sizeof(float), cudaMemcpyHostToDevice),
        "upload");
  return there;
}

__global__ void spin_kernel(long long cycles) {
  const long long start = clock64();
  while (clock64() - start < cycles) {
  }
}
__global__ void trap_kernel() { __trap(); }
/// Adds up what a consumer on the same stream sees.
__global__ void sum_kernel(const std::uint64_t* labels, std::size_t count,
                           unsigned long long* sum) {
  for (std::size_t i = threadIdx.x; i < count; i += blockDim.x) {
    atomicAdd(sum, static_cast<unsigned long long>(labels[i]));
  }
}

struct Answers {
  std::uint64_t* labels = on_device<std::uint64_t>(kQueries * kNeighbors);
  float* distances = on_device<float>(kQueries * kNeighbors);
  std::uint32_t* counts = on_device<std::uint32_t>(kQueries);
};

// ----------------------------------------------------------------------------- the current device

void current_device() {
  int devices = 0;
  check(cudaGetDeviceCount(&devices), "cudaGetDeviceCount");
  if (devices < 2) {
    std::printf("SKIP the current device: one GPU cannot show it\n");
    return;
  }
  check(cudaSetDevice(1), "cudaSetDevice");
  const auto call = [](const char* what, const std::function<void()>& action) {
    action();
    int now = -1;
    check(cudaGetDevice(&now), "cudaGetDevice");
    expect(now == 1, std::string("current device after ") + what);
  };
  {
    Index index = make_index("cuda:0");
    call("opening", [] {});
    call("add", [&] { index.add(rows_view()); });
    const MatrixView<const float> queries(host_rows().data(), kQueries, kDimension);
    call("search", [&] { (void)index.search(queries, {kNeighbors, 64}); });
    call("exact_search", [&] { (void)index.exact_search(queries, kNeighbors); });
    check(cudaSetDevice(0), "cudaSetDevice");
    const float* const there = upload(make_rows(kQueries, 2));
    check(cudaSetDevice(1), "cudaSetDevice");
    call("cuda::search", [&] {
      (void)concord::cuda::search(index, {there, kQueries, kDimension}, {kNeighbors, 64}, nullptr);
    });
    call("cuda::add", [&] {
      concord::cuda::add(index, {there, kQueries, kDimension}, {}, nullptr);
    });
  }
  call("the end of the index", [] {});
}

// ------------------------------------------------------------------------------------- the streams

/// Vectors arrive on a busy stream, results are read there, and the inputs are overwritten at once.
void streams() {
  Index index = make_index("cuda");
  index.add(rows_view());
  const std::vector<float> queries = make_rows(kQueries, 3);
  Index cpu = make_index("cpu");
  cpu.add(rows_view());
  unsigned long long sum = 0;
  for (const std::uint64_t label :
       cpu.search({queries.data(), kQueries, kDimension}, {kNeighbors, 64}).labels) {
    sum += label;
  }
  const float* const origin = upload(queries);
  auto* const target = on_device<float>(queries.size());
  auto* const found = on_device<unsigned long long>(1);
  const Answers out;
  cudaStream_t blocking = nullptr, own = nullptr;
  check(cudaStreamCreate(&blocking), "cudaStreamCreate");
  check(cudaStreamCreateWithFlags(&own, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  const std::pair<const char*, cudaStream_t> kinds[] = {{"default", nullptr},
                                                        {"legacy", cudaStreamLegacy},
                                                        {"per-thread", cudaStreamPerThread},
                                                        {"blocking", blocking},
                                                        {"non-blocking", own}};
  for (const auto& [name, stream] : kinds) {
    for (int round = 0; round < 3; ++round) {
      check(cudaMemsetAsync(target, 0, queries.size() * sizeof(float), stream), "fill");
      check(cudaMemsetAsync(found, 0, sizeof(*found), stream), "fill");
      spin_kernel<<<1, 1, 0, stream>>>(50'000'000);
      check(cudaMemcpyAsync(target, origin, queries.size() * sizeof(float),
                            cudaMemcpyDeviceToDevice, stream),
            "copy");
      concord::cuda::search(index, {target, kQueries, kDimension}, {kNeighbors, 64},
                            {out.labels, kQueries, kNeighbors},
                            {out.distances, kQueries, kNeighbors}, out.counts, stream);
      check(cudaMemsetAsync(target, 0x55, queries.size() * sizeof(float), stream), "overwrite");
      sum_kernel<<<1, 256, 0, stream>>>(out.labels, kQueries * kNeighbors, found);
      unsigned long long seen = 0;
      check(cudaMemcpyAsync(&seen, found, sizeof(seen), cudaMemcpyDeviceToHost, stream), "copy");
      check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
      if (seen != sum || round == 2) {
        expect(seen == sum, std::string("search on a busy stream, ") + name);
        break;
      }
    }
  }
}

// ------------------------------------------------------------------------------------- the capture

void capture() {
  Index index = make_index("cuda");
  index.add(rows_view());
  const std::string digest = index.digest();
  const float* const there = upload(make_rows(kQueries, 4));
  const DeviceMatrixView<const float> view(there, kQueries, kDimension);
  const auto host = index.search({host_rows().data(), kQueries, kDimension}, {kNeighbors, 64});
  cudaStream_t stream = nullptr;
  check(cudaStreamCreate(&stream), "cudaStreamCreate");

  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "cudaStreamBeginCapture");
  spin_kernel<<<1, 1, 0, stream>>>(1000);
  expect_refused("add on a captured stream", "captured",
                 [&] { concord::cuda::add(index, view, {}, stream); });
  expect_refused("search on a captured stream", "captured", [&] {
    (void)concord::cuda::search(index, view, {kNeighbors, 64}, stream);
  });
  expect_refused("search on the default stream beside the capture", "captured", [&] {
    (void)concord::cuda::search(index, view, {kNeighbors, 64}, nullptr);
  });
  const auto beside = index.search({host_rows().data(), kQueries, kDimension}, {kNeighbors, 64});
  expect(beside.labels == host.labels, "search of host memory beside a capture");
  Index other = make_index("cuda");
  other.add(rows_view());
  expect(other.digest() == cpu_digest(), "an index built beside a capture");
  expect(other.stats().device.name != "cpu", "and built by the device");
  cudaGraph_t graph = nullptr;
  expect(cudaStreamEndCapture(stream, &graph) == cudaSuccess && graph != nullptr,
         "the capture ends well");
  std::size_t nodes = 0;
  check(cudaGraphGetNodes(graph, nullptr, &nodes), "cudaGraphGetNodes");
  expect(nodes == 1, "the graph has the caller's kernel and nothing else");
  expect(index.digest() == digest, "the index is as it was");
  (void)concord::cuda::search(index, view, {kNeighbors, 64}, stream);
  expect(index.stats().device.name != "cpu", "the device goes on");
}

// -------------------------------------------------------------------- failures, forks, full memory

void trap() {
  (void)cpu_digest();
  {
    Index index = make_index("cuda");
    bool sprung = false;
    index.add(rows_view(), [&](std::uint64_t done, std::uint64_t) {
      if (!sprung && done > kRows / 2) {
        sprung = true;
        trap_kernel<<<1, 1>>>();
      }
      return true;
    });
    expect(sprung, "a kernel traps in the middle of a build");
    expect(index.digest() == cpu_digest(), "the CPU finishes the build with the same digest");
    expect(index.stats().device.name == "cpu", "the reason: " + index.stats().device.reason);
  }
  expect_refused("the next index that requires a device", "cannot be used",
                 [] { (void)make_index("cuda"); });
  Index next = make_index("auto");
  next.add(rows_view());
  expect(next.digest() == cpu_digest(), "the next index is built by the CPU");
  expect(next.stats().device.name == "cpu", "the reason: " + next.stats().device.reason);
}

void forked() {
  Index index = make_index("cuda");
  index.add(rows_view());
  const MatrixView<const float> queries(host_rows().data(), kQueries, kDimension);
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    expect_refused("search in a forked child", "forked", [&] {
      (void)index.search(queries, {kNeighbors, 64});
    });
    expect_refused("add in a forked child", "forked", [&] { index.add(queries); });
    expect_refused("a new index in a forked child", "forked", [] { (void)make_index("cuda"); });
    std::fflush(stdout);
    _exit(g_failures == 0 ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ends well");
  expect(index.digest() == cpu_digest(), "the parent's index is as it was");
  (void)index.search(queries, {kNeighbors, 64});
  expect(index.stats().device.name != "cpu", "the parent's device goes on");
}

/// Takes a share of what is free, or the most that can be had in one piece.
std::size_t take(double share, void** memory) {
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  auto bytes = static_cast<std::size_t>(static_cast<double>(free) * share);
  while (cudaMalloc(memory, bytes) != cudaSuccess) {
    cudaGetLastError();
    bytes -= bytes / 64;
  }
  return free - bytes;
}

/// Others hold all memory but a twentieth, then all but some MiB.
void full_memory() {
  for (const double share : {0.95, 0.9995}) {
    void* filler = nullptr;
    const std::size_t left = take(share, &filler);
    Index index = make_index("auto");
    index.add(rows_view());
    expect(index.digest() == cpu_digest(), "built with " + std::to_string(left >> 20) +
                                               " MiB free, by " + index.stats().device.name + ": " +
                                               index.stats().device.reason);
    check(cudaFree(filler), "cudaFree");
  }
}

// ------------------------------------------------------------------------------------ the canary

/// Two warps read what the other has written, with no barrier between.
__global__ void race_kernel(unsigned* out) {
  __shared__ unsigned values[64];
  values[threadIdx.x] = threadIdx.x;
  out[threadIdx.x] = values[63 - threadIdx.x];
}

void race() {
  auto* const out = on_device<unsigned>(64);
  race_kernel<<<1, 64>>>(out);
  check(cudaDeviceSynchronize(), "race_kernel");
}

// --------------------------------------------------------------------------------------- the start

void startup() {
  using Clock = std::chrono::steady_clock;
  auto last = Clock::now();
  const auto lap = [&] {
    const auto now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - last).count();
    last = now;
    return seconds;
  };
  check(cudaFree(nullptr), "context");
  const double context = lap();
  void* pinned = nullptr;
  check(cudaMallocHost(&pinned, std::size_t{64} << 20), "pinned memory");
  const double pinning = lap();
  Index index = make_index("cuda");
  const double opening = lap();
  index.add(rows_view());
  const double first = lap();
  Index second = make_index("cuda");
  second.add(rows_view());
  const double again = lap();
  std::printf(
      "{\"context\": %.6f, \"pinned_64_mib\": %.6f, \"open\": %.6f, \"first_build\": %.6f, "
      "\"second_build\": %.6f}\n",
      context, pinning, opening, first, again);
}

}  // namespace

int main(int argc, char** argv) {
  const std::pair<const char*, void (*)()> hazards[] = {{"current", current_device},
                                                        {"streams", streams},
                                                        {"capture", capture},
                                                        {"trap", trap},
                                                        {"fork", forked},
                                                        {"memory", full_memory},
                                                        {"startup", startup},
                                                        {"race", race}};
  const std::string wanted = argc == 2 ? argv[1] : "";
  for (const auto& [name, run] : hazards) {
    if (wanted != name) continue;
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
      std::fprintf(stderr, "concord-cuda-hazards: no CUDA device\n");
      return 77;
    }
    try {
      run();
    } catch (const std::exception& error) {
      expect(false, wanted + ": " + error.what());
    }
    return g_failures == 0 ? 0 : 1;
  }
  std::fprintf(
      stderr,
      "usage: concord-cuda-hazards current|streams|capture|trap|fork|memory|race|startup\n");
  return 2;
}
