// One query at a time on one thread: what a search costs, and each of its distances.
//
//   concord-microbench --benchmark_filter='^search/'

#include <benchmark/benchmark.h>

#include <concord/index.hpp>
#include <map>
#include <memory>

#include "bench/tool/synthetic.hpp"

namespace concord::bench {
namespace {

constexpr std::size_t kVectors = 20000;
constexpr std::size_t kQueries = 1000;
constexpr std::uint32_t kNeighbors = 10;

/// An index of `dimension`, built once for all benchmarks that search it.
const Index& index_of(std::size_t dimension) {
  static std::map<std::size_t, std::unique_ptr<Index>> indexes;
  std::unique_ptr<Index>& index = indexes[dimension];
  if (!index) {
    IndexParams params;
    params.dimension = static_cast<std::uint32_t>(dimension);
    RuntimeOptions runtime;
    runtime.device = "cpu";
    index = std::make_unique<Index>(params, runtime);
    index->add(synthetic_vectors({kVectors, dimension, 1}, 0, kVectors, 0).view());
    runtime.threads = 1;
    index->set_runtime(runtime);
  }
  return *index;
}

void search(benchmark::State& state) {
  const auto dimension = static_cast<std::size_t>(state.range(0));
  const auto ef = static_cast<std::uint32_t>(state.range(1));
  const Index& index = index_of(dimension);
  const FloatMatrix queries = synthetic_vectors({kVectors, dimension, 1}, kVectors, kQueries, 0);
  Matrix<std::uint64_t> labels(1, kNeighbors);
  FloatMatrix distances(1, kNeighbors);
  std::uint32_t count = 0;
  std::size_t next = 0;
  const std::uint64_t before = index.stats().search.distances;
  for (auto _ : state) {
    index.search(queries.view().rows_from(next, 1), {kNeighbors, ef},
                 {labels.values.data(), 1, kNeighbors}, {distances.values.data(), 1, kNeighbors},
                 {&count, 1});
    benchmark::DoNotOptimize(labels.values.data());
    next = (next + 1) % kQueries;
  }
  const auto scored = static_cast<double>(index.stats().search.distances - before);
  state.counters["distances"] = benchmark::Counter(scored, benchmark::Counter::kAvgIterations);
  state.counters["per_distance"] =
      benchmark::Counter(scored, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(search)
    ->ArgNames({"d", "ef"})
    ->ArgsProduct({{32, 128, 768}, {10, 40, 160}})
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace concord::bench
