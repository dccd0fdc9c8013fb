// What a filter of a million vectors costs before any search: made from a mask of bytes, from
// labels that are numbers of insertion, and from labels that are found by a hash table; and the
// memory that it takes.
//
//   concord-microbench --benchmark_filter='^filter/'

#include <benchmark/benchmark.h>

#include <concord/filter.hpp>
#include <concord/index.hpp>
#include <memory>
#include <vector>

#include "bench/tool/synthetic.hpp"
#include "common/base/mix64.hpp"

namespace concord::bench {
namespace {

constexpr std::size_t kVectors = 1'000'000;
using Labels = std::vector<std::uint64_t>;

/// Different labels: the numbers of insertion, or hashes of them.
Labels labels_of(std::size_t count, bool hashed) {
  Labels labels(count);
  for (std::size_t i = 0; i < count; ++i) labels[i] = hashed ? core::mix64(i) : i;
  return labels;
}

/// An index of small vectors, because no filter reads them. Built once for all benchmarks, and
/// again for the other labels.
Index& index_with(bool hashed, unsigned threads) {
  static std::unique_ptr<Index> indexes[2];
  std::unique_ptr<Index>& index = indexes[hashed];
  RuntimeOptions runtime;
  runtime.device = "cpu";
  if (!index) {
    index =
        std::make_unique<Index>(IndexParams{.dimension = 4, .M = 2, .ef_construction = 4}, runtime);
    const FloatMatrix vectors = synthetic_vectors({kVectors, 4, 1}, 0, kVectors, 0);
    index->add(vectors.view(), labels_of(kVectors, hashed));
  }
  runtime.threads = threads;
  index->set_runtime(runtime);
  return *index;
}

void count_memory(benchmark::State& state, const Filter& filter) {
  const std::size_t least = 4 * filter.matches() + filter.size() / 8;
  state.counters["matches"] = static_cast<double>(filter.matches());
  state.counters["bytes_beside"] = static_cast<double>(filter.bytes()) - static_cast<double>(least);
}

void of_mask(benchmark::State& state) {
  const Index& index = index_with(false, 1);
  std::vector<std::uint8_t> mask(kVectors);
  for (std::size_t i = 0; i < kVectors; ++i) {
    mask[i] = core::mix64(i) % 1000 < static_cast<std::uint64_t>(state.range(0)) ? 1 : 0;
  }
  for (auto _ : state) benchmark::DoNotOptimize(Filter::of_mask(index, mask));
  count_memory(state, Filter::of_mask(index, mask));
}
BENCHMARK(of_mask)
    ->Name("filter/mask")
    ->ArgName("per_mille")
    ->Arg(1)
    ->Arg(10)
    ->Arg(100)
    ->Arg(500)
    ->Arg(1000)
    ->Unit(benchmark::kMillisecond);

void of_labels(benchmark::State& state) {
  const bool hashed = state.range(0) != 0;
  const Index& index = index_with(hashed, static_cast<unsigned>(state.range(1)));
  Labels labels = labels_of(kVectors, hashed);
  for (auto _ : state) benchmark::DoNotOptimize(Filter::of_labels(index, labels));
  count_memory(state, Filter::of_labels(index, labels));
}
BENCHMARK(of_labels)
    ->Name("filter/labels")
    ->ArgNames({"hashed", "threads"})
    ->ArgsProduct({{0, 1}, {1, 2}})
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace concord::bench
