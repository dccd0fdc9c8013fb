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

#include "bench/tool/synthetic.hpp"
#include "cpu/isa.hpp"

namespace concord::bench {
namespace {

constexpr std::array<std::size_t, 9> kDimensions{8, 32, 100, 128, 256, 384, 768, 960, 1536};
constexpr std::array<std::size_t, 3> kRowsAtATime{1, 4, 16};

struct Rows {
  std::size_t stride = 0;
  std::vector<float> values;        ///< the query, then the rows
  std::vector<std::uint8_t> bytes;  ///< the same as bytes
  std::vector<std::uint32_t> ids;

  Rows(std::size_t dimension, std::size_t rows)
      : stride((dimension + 7) / 8 * 8),
        values(stride * (rows + 1)),
        bytes(stride * (rows + 1), 7),
        ids(rows) {
    const FloatMatrix vectors = synthetic_vectors({rows + 1, dimension, 1}, 0, rows + 1, 1);
    for (std::size_t r = 0; r <= rows; ++r) {
      std::copy_n(vectors.row(r), dimension, values.data() + r * stride);
    }
    // Out of order, as a graph's rows are; the same order each time.
    for (std::size_t j = 0; j < rows; ++j) ids[j] = static_cast<std::uint32_t>((j * 7 + 3) % rows);
  }
};

/// Of what elements the rows are, and the query.
struct Form {
  const char* name;
  cpu::RowKernels cpu::MetricKernels::*kernels;
  bool bytes_as_rows;
  bool bytes_as_query;
};
constexpr std::array<Form, 3> kForms{{{"f32", &cpu::MetricKernels::f32, false, false},
                                      {"u8", &cpu::MetricKernels::u8, true, false},
                                      {"both_u8", &cpu::MetricKernels::both_u8, true, true}}};

void measure_distances(benchmark::State& state, const cpu::MetricKernels& metric, const Form& form,
                       std::size_t dimension, std::size_t rows_at_a_time) {
  const Rows rows(dimension, rows_at_a_time);
  const cpu::RowKernels& kernels = metric.*form.kernels;
  const void* query = rows.values.data();
  const void* base = rows.values.data() + rows.stride;
  if (form.bytes_as_query) query = rows.bytes.data();
  if (form.bytes_as_rows) base = rows.bytes.data() + rows.stride;
  std::vector<float> out(rows_at_a_time);
  for (auto _ : state) {
    kernels.ids(query, base, rows.stride, rows.ids.data(), rows.ids.size(), out.data());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  const double distances = static_cast<double>(state.iterations() * rows.ids.size());
  state.counters["per_distance"] =
      benchmark::Counter(distances, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.SetBytesProcessed(static_cast<std::int64_t>(
      state.iterations() * rows.ids.size() * dimension * (form.bytes_as_rows ? 1 : sizeof(float))));
}

bool register_distances() {
  for (const cpu::DistanceKernels* const kernels : cpu::compiled_kernels()) {
    if (!cpu::is_supported(*kernels)) continue;
    for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
      for (const std::size_t dimension : kDimensions) {
        for (const std::size_t rows : kRowsAtATime) {
          for (const Form& form : kForms) {
            if (form.bytes_as_query && dimension > cpu::kMaxByteStride) continue;
            const std::string name = std::string("distance/") + kernels->isa + "/" +
                                     to_string(metric) + "/" + form.name + "/d" +
                                     std::to_string(dimension) + "/rows" + std::to_string(rows);
            benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
              measure_distances(state, cpu::for_metric(*kernels, metric), form, dimension, rows);
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
