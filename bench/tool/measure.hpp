// Builds and searches an index with the clock running.
#pragma once

#include <chrono>
#include <concord/index.hpp>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "bench/tool/matrix.hpp"
#include "bench/tool/recall.hpp"

namespace concord::bench {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start);
double median(std::vector<double> values);
/// The value below which `share` of `sorted` lies; 0 of none.
double quantile(const std::vector<double>& sorted, double share);
/// Processor time of all threads of this process so far.
double cpu_seconds();

struct BuildMeasure {
  Index index;
  double seconds = 0;                ///< construction of the empty index and add
  double cpu_seconds = 0;            ///< of all threads; other load adds nothing
  std::uint64_t add_peak_bytes = 0;  ///< growth of resident memory at its peak
  std::uint64_t allowed_bytes = 0;
  bool peak_exact = false;  ///< the kernel's high-water mark could be reset before
};

/// Builds an index of `vectors` with a progress bar.
BuildMeasure build_index(const FloatMatrix& vectors, const IndexParams& params,
                         const RuntimeOptions& runtime);
/// The same with a journal beside `path`, from which an interrupted build continues.
BuildMeasure build_durable_index(const FloatMatrix& vectors, const IndexParams& params,
                                 const RuntimeOptions& runtime, const std::filesystem::path& path,
                                 Durability durability);

/// Queries per second of `pass`, which answers `queries` of them: one unmeasured pass to warm up,
/// then passes until `seconds` have passed.
double measure_rate(std::size_t queries, double seconds, const std::function<void()>& pass);

/// The best of three rates, of half a second each.
double best_rate(std::size_t queries, const std::function<void()>& pass);

struct SearchPoint {
  std::uint32_t ef = 0;
  float slack = std::numeric_limits<float>::infinity();
  double recall = 0;
  double qps = 0;                ///< with the threads of the run
  double qps_single_thread = 0;  ///< equal to qps if the run has one thread
  double distances_per_query = 0;
  double rescored_per_query = 0;  ///< 0 without codes
};

struct SweepOptions {
  std::uint32_t k = 10;
  std::vector<std::uint32_t> efs;
  std::vector<float> slacks;
  std::uint32_t rescore = 0;
};

/// The point of `search` without its rates: recall, and distances per query.
SearchPoint measure_quality(const Index& index, const FloatMatrix& queries, const Judge& judge,
                            const SearchParams& search);

/// Recall and speed of `index` at each ef with each slack; the index has `runtime` afterwards.
std::vector<SearchPoint> sweep(Index& index, const FloatMatrix& queries, const Judge& judge,
                               const SweepOptions& options, const RuntimeOptions& runtime);

}  // namespace concord::bench
