// Nanoseconds of one distance, by instruction set, metric, element type, dimension and rows at a
// time: rows in the first-level cache where they fit, so that it is the arithmetic that is
// measured.
//
//   concord-microbench --benchmark_filter='^distance/avx2/l2sq/'

#include <benchmark/benchmark.h>

#include <array>
#include <numeric>
#include <string>
#include <vector>

#include "bench/synthetic.hpp"
#include "cpu/isa.hpp"

namespace concord::bench {
namespace {

constexpr std::array<std::size_t, 9> kDimensions{8, 32, 100, 128, 256, 384, 768, 960, 1536};
constexpr std::array<std::size_t, 3> kRowsAtATime{1, 4, 16};

struct Rows {
  std::size_t stride = 0;
  std::vector<float> values;        ///< the query, then the rows
  std::vector<std::uint8_t> bytes;  ///< rows again, as bytes
  std::vector<std::uint32_t> ids;

  Rows(std::size_t dimension, std::size_t rows)
      : stride((dimension + 7) / 8 * 8),
        values(stride * (rows + 1)),
        bytes(stride * rows, 7),
        ids(rows) {
    const FloatMatrix vectors = synthetic_vectors({rows + 1, dimension, 1}, 0, rows + 1, 1);
    for (std::size_t r = 0; r <= rows; ++r) {
      std::copy_n(vectors.row(r), dimension, values.data() + r * stride);
    }
    // Out of order, as a graph's rows are; the same order each time.
    for (std::size_t j = 0; j < rows; ++j) ids[j] = static_cast<std::uint32_t>((j * 7 + 3) % rows);
  }
};

void measure_distances(benchmark::State& state, const cpu::MetricKernels& metric, bool as_bytes,
                       std::size_t dimension, std::size_t rows_at_a_time) {
  const Rows rows(dimension, rows_at_a_time);
  const cpu::RowKernels& kernels = as_bytes ? metric.u8 : metric.f32;
  const void* base = rows.bytes.data();
  if (!as_bytes) base = rows.values.data() + rows.stride;
  std::vector<float> out(rows_at_a_time);
  for (auto _ : state) {
    kernels.ids(rows.values.data(), base, rows.stride, rows.ids.data(), rows.ids.size(),
                out.data());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  const double distances = static_cast<double>(state.iterations() * rows.ids.size());
  state.counters["per_distance"] =
      benchmark::Counter(distances, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * rows.ids.size() *
                                                    dimension * (as_bytes ? 1 : sizeof(float))));
}

bool register_distances() {
  for (const cpu::DistanceKernels* kernels :
       {&cpu::kScalarKernels, &cpu::kAvx2Kernels, &cpu::kAvx512Kernels}) {
    if (!cpu::is_supported(*kernels)) continue;
    for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
      for (const std::size_t dimension : kDimensions) {
        for (const std::size_t rows : kRowsAtATime) {
          for (const bool as_bytes : {false, true}) {
            const std::string name = std::string("distance/") + kernels->isa + "/" +
                                     to_string(metric) + (as_bytes ? "/u8" : "/f32") + "/d" +
                                     std::to_string(dimension) + "/rows" + std::to_string(rows);
            benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
              measure_distances(state, cpu::for_metric(*kernels, metric), as_bytes, dimension,
                                rows);
            });
          }
        }
      }
    }
  }
  return true;
}

const bool registered = register_distances();

}  // namespace
}  // namespace concord::bench
