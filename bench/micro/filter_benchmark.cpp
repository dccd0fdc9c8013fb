// What making a filter of an index of 1,000,000 vectors takes: from a mask, from labels that are
// numbers of insertion, and from any labels.
//
//   concord-microbench --benchmark_filter='^make_filter/'

#include <benchmark/benchmark.h>

#include <concord/filter.hpp>
#include <concord/index.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "bench/tool/synthetic.hpp"
#include "common/base/mix64.hpp"

namespace concord::bench {
namespace {

constexpr std::size_t kVectors = 1'000'000;

/// With labels of its own, or with those that count insertions. Its graph is of no use, because no
/// filter looks at it.
const Index& index_with(bool own_labels) {
  static std::map<bool, std::unique_ptr<Index>> indexes;
  std::unique_ptr<Index>& index = indexes[own_labels];
  if (!index) {
    IndexParams params;
    params.dimension = 8;
    params.M = 2;
    params.ef_construction = 4;
    RuntimeOptions runtime;
    runtime.device = "cpu";
    index = std::make_unique<Index>(params, runtime);
    std::vector<std::uint64_t> labels(own_labels ? kVectors : 0);
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = core::mix64(i);
    index->add(synthetic_vectors({kVectors, params.dimension, 1}, 0, kVectors, 0).view(), labels);
    runtime.threads = 1;
    index->set_runtime(runtime);
  }
  return *index;
}

void of_mask(benchmark::State& state) {
  const Index& index = index_with(false);
  std::vector<std::uint8_t> mask(kVectors);
  for (std::size_t i = 0; i < kVectors; ++i) {
    mask[i] = core::mix64(i) % 100 < static_cast<std::uint64_t>(state.range(0)) ? 1 : 0;
  }
  for (auto _ : state) benchmark::DoNotOptimize(Filter::of_mask(index, mask).matches());
}
BENCHMARK(of_mask)
    ->Name("make_filter/mask/percent")
    ->Arg(1)
    ->Arg(50)
    ->Unit(benchmark::kMillisecond);

/// Of every label, in another order than that of insertion.
void of_labels(benchmark::State& state, bool own_labels) {
  const Index& index = index_with(own_labels);
  std::vector<std::uint64_t> labels = index.labels();
  for (std::size_t i = kVectors - 1; i > 0; --i) {
    std::swap(labels[i], labels[core::mix64(i) % (i + 1)]);
  }
  for (auto _ : state) benchmark::DoNotOptimize(Filter::of_labels(index, labels).matches());
}
BENCHMARK_CAPTURE(of_labels, counted, false)
    ->Name("make_filter/labels/counted")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(of_labels, any, true)
    ->Name("make_filter/labels/any")
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace concord::bench
