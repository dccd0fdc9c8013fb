#include "bench/tool/measure.hpp"

#include <algorithm>
#include <ctime>

#include "bench/tool/input_error.hpp"
#include "bench/tool/memory_probe.hpp"
#include "bench/tool/parallel.hpp"
#include "bench/tool/progress_bar.hpp"

namespace concord::bench {
namespace {

constexpr int kPasses = 3;
constexpr double kPassSeconds = 0.5;

}  // namespace

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double quantile(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

namespace {

/// Adds those `vectors` that the index made by `make` does not have yet.
template <class Make>
BuildMeasure measure_build(const FloatMatrix& vectors, const Make& make) {
  ProgressBar bar("building", vectors.rows);
  const MemoryProbe probe;
  const double cpu_start = cpu_seconds();
  const Clock::time_point start = Clock::now();
  Index index = make();
  const std::size_t there = index.size();
  index.add(vectors.view().rows_from(there, vectors.rows - there),
            [&bar, there](std::uint64_t done, std::uint64_t) {
              bar.update(there + done);
              return true;
            });
  const double seconds = seconds_since(start);
  const double cpu = cpu_seconds() - cpu_start;
  const IndexParams index_params = index.params();
  return {std::move(index),
          seconds,
          cpu,
          probe.peak() - probe.before(),
          allowed_add_bytes(vectors.rows, index_params),
          probe.exact()};
}

}  // namespace

BuildMeasure build_index(const FloatMatrix& vectors, const IndexParams& params,
                         const RuntimeOptions& runtime) {
  return measure_build(vectors, [&] { return Index(params, runtime); });
}

BuildMeasure build_durable_index(const FloatMatrix& vectors, const IndexParams& params,
                                 const RuntimeOptions& runtime, const std::filesystem::path& path,
                                 Durability durability) {
  return measure_build(vectors, [&] {
    Index index = Index::open(path, params, durability, runtime);
    if (index.size() > vectors.rows) {
      throw InputError(path.string() + " already has " + std::to_string(index.size()) +
                       " vectors, but the data have only " + std::to_string(vectors.rows));
    }
    return index;
  });
}

double measure_rate(std::size_t queries, double seconds, const std::function<void()>& pass) {
  if (queries == 0) return 0;
  pass();
  const Clock::time_point start = Clock::now();
  double elapsed = 0;
  std::size_t answered = 0;
  while (elapsed < seconds) {
    pass();
    answered += queries;
    elapsed = seconds_since(start);
  }
  return static_cast<double>(answered) / elapsed;
}

double best_rate(std::size_t queries, const std::function<void()>& pass) {
  double best = 0;
  for (int i = 0; i < kPasses; ++i) {
    best = std::max(best, measure_rate(queries, kPassSeconds, pass));
  }
  return best;
}

SearchPoint measure_quality(const Index& index, const FloatMatrix& queries, const Judge& judge,
                            const SearchParams& search) {
  const SearchStats before = index.stats().search;
  const SearchResult result = index.search(queries.view(), search);
  const SearchStats after = index.stats().search;
  const auto n = static_cast<double>(std::max<std::size_t>(queries.rows, 1));
  SearchPoint point{.ef = search.ef, .slack = search.slack};
  point.recall = judge.recall(result.labels, result.k, result.counts);
  point.distances_per_query = static_cast<double>(after.distances - before.distances) / n;
  point.rescored_per_query = static_cast<double>(after.rescored - before.rescored) / n;
  return point;
}

namespace {

SearchPoint search_point(Index& index, const FloatMatrix& queries, const Judge& judge,
                         const SearchParams& params, const RuntimeOptions& runtime) {
  const auto pass = [&] { (void)index.search(queries.view(), params); };
  SearchPoint point = measure_quality(index, queries, judge, params);
  point.qps = best_rate(queries.rows, pass);
  point.qps_single_thread = point.qps;
  if (resolve_threads(runtime.threads) > 1) {
    RuntimeOptions single = runtime;
    single.threads = 1;
    index.set_runtime(single);
    point.qps_single_thread = best_rate(queries.rows, pass);
    index.set_runtime(runtime);
  }
  return point;
}

}  // namespace

std::vector<SearchPoint> sweep(Index& index, const FloatMatrix& queries, const Judge& judge,
                               const SweepOptions& options, const RuntimeOptions& runtime) {
  ProgressBar bar("searching", options.efs.size() * options.slacks.size());
  std::vector<SearchPoint> points;
  for (const float slack : options.slacks) {
    for (const std::uint32_t ef : options.efs) {
      const SearchParams params{options.k, ef, slack, options.rescore};
      points.push_back(search_point(index, queries, judge, params, runtime));
      bar.update(points.size());
    }
  }
  return points;
}

}  // namespace concord::bench
