// What `Index::add` of a single vector costs in an index that is large already: the half, the 99th
// percentile and the most of 20,000 calls, in microseconds of the calling thread's processor time.
// Other programs on the machine lengthen no call by this clock. Arrays of the index grow within the
// calls, because each benchmark passes the size in its name by half of them.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <vector>

#include "common/base/mix64.hpp"
#include "concord/index.hpp"

namespace concord::bench {
namespace {

constexpr std::size_t kCalls = 20'000;
constexpr std::uint32_t kDimension = 4;

std::vector<float> vectors(std::size_t first, std::size_t count) {
  std::vector<float> values(count * kDimension);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(core::mix64(first * kDimension + i) >> 40U);
  }
  return values;
}

RuntimeOptions one_thread() {
  RuntimeOptions options;
  options.threads = 1;
  return options;
}

double microseconds_of_this_thread() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
}

void add_one(benchmark::State& state) {
  const auto before = static_cast<std::size_t>(state.range(0)) - kCalls / 2;
  Index index({.dimension = kDimension, .M = 4, .ef_construction = 8}, one_thread());
  constexpr std::size_t kPart = 100'000;
  for (std::size_t first = 0; first < before; first += kPart) {
    const std::size_t count = std::min(kPart, before - first);
    const std::vector<float> part = vectors(first, count);
    index.add({part.data(), count, kDimension});
  }
  std::vector<double> took(kCalls);
  for (auto _ : state) {
    for (std::size_t i = 0; i < kCalls; ++i) {
      const std::vector<float> one = vectors(before + i, 1);
      const double start = microseconds_of_this_thread();
      index.add({one.data(), 1, kDimension});
      took[i] = microseconds_of_this_thread() - start;
    }
  }
  std::ranges::sort(took);
  state.counters["median_us"] = took[kCalls / 2];
  state.counters["p99_us"] = took[kCalls * 99 / 100];
  state.counters["most_us"] = took.back();
}
BENCHMARK(add_one)
    ->Arg(100'000)
    ->Arg(1'000'000)
    ->Arg(10'000'000)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace concord::bench
