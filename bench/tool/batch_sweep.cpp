#include "bench/tool/batch_sweep.hpp"

#include <algorithm>
#include <functional>

#include "bench/tool/measure.hpp"
#include "bench/tool/progress_bar.hpp"

namespace concord::bench {
namespace {

constexpr double kWarmUpSeconds = 0.05;
constexpr double kMeasuredSeconds = 0.25;
constexpr std::size_t kLeastCalls = 3;

/// The queries, repeated so that a batch can begin at any of them.
FloatMatrix repeated(const FloatMatrix& queries, std::size_t largest_batch) {
  FloatMatrix result(queries.rows + largest_batch, queries.cols);
  for (std::size_t r = 0; r < result.rows; ++r) {
    std::copy_n(queries.row(r % queries.rows), queries.cols, result.row(r));
  }
  return result;
}

/// Seconds of each of a number of calls that take `budget` seconds together.
std::vector<double> time_calls(double budget, const std::function<void()>& call) {
  std::vector<double> seconds;
  double total = 0;
  while (total < budget || seconds.size() < kLeastCalls) {
    const Clock::time_point start = Clock::now();
    call();
    seconds.push_back(seconds_since(start));
    total += seconds.back();
  }
  return seconds;
}

class BatchCalls {
 public:
  BatchCalls(const Index& index, const FloatMatrix& queries, std::size_t distinct,
             SearchParams search, std::size_t batch)
      : index_(index),
        queries_(queries),
        distinct_(distinct),
        search_(search),
        labels_(batch, search.k),
        distances_(batch, search.k),
        counts_(batch) {}

  void operator()() {
    index_.search(queries_.view().rows_from(next_, counts_.size()), search_,
                  {labels_.values.data(), labels_.rows, labels_.cols},
                  {distances_.values.data(), distances_.rows, distances_.cols}, counts_);
    next_ = (next_ + counts_.size()) % distinct_;
  }

 private:
  const Index& index_;
  const FloatMatrix& queries_;
  std::size_t distinct_;
  SearchParams search_;
  std::size_t next_ = 0;
  Matrix<std::uint64_t> labels_;
  FloatMatrix distances_;
  std::vector<std::uint32_t> counts_;
};

void measure(const Index& index, BatchCalls calls, BatchPoint& point) {
  (void)time_calls(kWarmUpSeconds, [&] { calls(); });
  const Stats before = index.stats();
  std::vector<double> seconds = time_calls(kMeasuredSeconds, [&] { calls(); });
  const Stats after = index.stats();
  point.kernel_seconds = after.device.kernel_seconds - before.device.kernel_seconds;
  point.distances_per_query =
      static_cast<double>(after.search.distances - before.search.distances) /
      static_cast<double>(seconds.size() * point.batch);
  point.on_device = point.kernel_seconds > 0;
  double total = 0;
  for (const double call : seconds) total += call;
  std::sort(seconds.begin(), seconds.end());
  point.calls = seconds.size();
  point.qps = static_cast<double>(seconds.size() * point.batch) / total;
  point.p50_seconds = quantile(seconds, 0.50);
  point.p99_seconds = quantile(seconds, 0.99);
}

}  // namespace

std::vector<BatchPoint> batch_sweep(Index& index, const FloatMatrix& queries, const Judge& judge,
                                    const BatchOptions& options, const RuntimeOptions& runtime) {
  std::vector<BatchPoint> points;
  if (queries.empty() || options.batches.empty()) return points;
  const FloatMatrix rows = repeated(queries, std::ranges::max(options.batches));
  ProgressBar bar("searching in batches",
                  options.devices.size() * options.efs.size() * options.batches.size());
  for (const std::string& device : options.devices) {
    RuntimeOptions chosen = runtime;
    chosen.device = device;
    index.set_runtime(chosen);
    for (const std::uint32_t ef : options.efs) {
      const SearchParams search{.k = options.k, .ef = ef, .rescore = options.rescore};
      const SearchResult all = index.search(queries.view(), search);
      const double recall = judge.recall(all.labels, all.k, all.counts);
      for (const std::size_t batch : options.batches) {
        BatchPoint point{.device = device, .ef = ef, .batch = batch, .recall = recall};
        measure(index, BatchCalls(index, rows, queries.rows, search, batch), point);
        points.push_back(point);
        bar.update(points.size());
      }
    }
  }
  index.set_runtime(runtime);
  return points;
}

}  // namespace concord::bench
