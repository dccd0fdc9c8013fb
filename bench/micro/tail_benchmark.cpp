// Nanoseconds of one pair when several nodes are compared with all vectors of a tail: by
// instruction set, metric, element type and dimension, and by how many nodes are compared at once.
// The tail is larger than the second-level cache from 256 dimensions on, as in a build.
//
//   concord-microbench --benchmark_filter='^tail/'

#include <benchmark/benchmark.h>

#include <array>
#include <string>
#include <vector>

#include "bench/tool/synthetic.hpp"
#include "cpu/isa.hpp"

namespace concord::bench {
namespace {

constexpr std::array<std::size_t, 7> kDimensions{16, 32, 100, 128, 384, 784, 960};
constexpr std::size_t kTail = 1536;  // vectors: what a proposal of epochs of 1,024 meets on average
constexpr std::size_t kRowsAtOnce = 64;

struct Form {
  const char* name;
  cpu::RowKernels cpu::MetricKernels::*kernels;
  std::size_t bytes;  ///< of an element
};
constexpr std::array<Form, 2> kForms{
    {{"f32", &cpu::MetricKernels::f32, 4}, {"u8", &cpu::MetricKernels::both_u8, 1}}};

/// Nodes, then the tail: floats and the same number of bytes.
struct Rows {
  std::size_t stride;
  std::vector<float> floats;
  std::vector<std::uint8_t> bytes;

  Rows(std::size_t dimension, std::size_t rows)
      : stride((dimension + 7) / 8 * 8), floats(stride * rows), bytes(stride * rows) {
    const FloatMatrix vectors = synthetic_vectors({rows, dimension, 1}, 0, rows, 1);
    for (std::size_t r = 0; r < rows; ++r) {
      std::copy_n(vectors.row(r), dimension, floats.data() + r * stride);
    }
    for (std::size_t e = 0; e < bytes.size(); ++e) {
      bytes[e] = static_cast<std::uint8_t>(e * 31 % 251);
    }
  }
};

void measure_tail(benchmark::State& state, const cpu::MetricKernels& metric, const Form& form,
                  std::size_t dimension, std::size_t nodes) {
  const Rows rows(dimension, nodes + kTail);
  const std::size_t row_bytes = rows.stride * form.bytes;
  const auto* queries = form.bytes == 1 ? reinterpret_cast<const char*>(rows.bytes.data())
                                        : reinterpret_cast<const char*>(rows.floats.data());
  const char* const tail = queries + nodes * row_bytes;
  std::vector<float> out(nodes * kRowsAtOnce);
  for (auto _ : state) {
    for (std::size_t first = 0; first < kTail; first += kRowsAtOnce) {
      (metric.*form.kernels)
          .block(queries, nodes, tail + first * row_bytes, rows.stride, kRowsAtOnce, out.data(),
                 kRowsAtOnce);
      benchmark::DoNotOptimize(out.data());
      benchmark::ClobberMemory();
    }
  }
  state.counters["per_pair"] =
      benchmark::Counter(static_cast<double>(state.iterations() * nodes * kTail),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

bool register_tails() {
  for (const cpu::DistanceKernels* const kernels : cpu::compiled_kernels()) {
    if (kernels == &cpu::kScalarKernels || !cpu::is_supported(*kernels)) continue;
    for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
      for (const Form& form : kForms) {
        for (const std::size_t dimension : kDimensions) {
          for (const std::size_t nodes : {1, 6, 12}) {
            const std::string name = std::string("tail/") + kernels->isa + "/" + to_string(metric) +
                                     "/" + form.name + "/d" + std::to_string(dimension) + "/nodes" +
                                     std::to_string(nodes);
            benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
              measure_tail(state, cpu::for_metric(*kernels, metric), form, dimension, nodes);
            });
          }
        }
      }
    }
  }
  return true;
}

const bool registered = register_tails();

}  // namespace
}  // namespace concord::bench
