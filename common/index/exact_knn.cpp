// exact_knn: a store of vectors, scanned.

#include <algorithm>
#include <chrono>
#include <concord/exact.hpp>
#include <limits>
#include <string>
#include <vector>

#include "common/base/float_environment.hpp"
#include "common/base/key.hpp"
#include "common/index/requests.hpp"
#include "common/search/results.hpp"
#include "common/store/vector_store.hpp"
#include "common/threads/thread_pool.hpp"
#include "cpu/exact_scan.hpp"
#include "cpu/isa.hpp"

namespace concord {
namespace {

/// Asks the caller's callback whether to go on, at most every 20 ms.
class Pulse {
 public:
  Pulse(const ProgressCallback& progress, std::size_t total) : progress_(progress), total_(total) {}

  [[nodiscard]] bool go_on(std::size_t done) {
    if (!progress_) return true;
    const auto now = std::chrono::steady_clock::now();
    if (done < total_ && now - last_ < std::chrono::milliseconds(20)) return true;
    last_ = now;
    return progress_(done, total_);
  }

 private:
  const ProgressCallback& progress_;
  const std::size_t total_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

void write_results(const std::vector<core::Key>& keys, SearchResult& result) {
  const std::size_t k = result.k;
  for (std::size_t place = 0; place < result.labels.size(); ++place) {
    const bool found = place % k < result.counts[place / k];
    result.labels[place] = found ? core::key_id(keys[place]) : kNoLabel;
    result.distances[place] =
        found ? core::key_distance(keys[place]) : std::numeric_limits<float>::infinity();
  }
}

}  // namespace

SearchResult exact_knn(MatrixView<const float> vectors, MatrixView<const float> queries,
                       std::uint32_t k, const ExactParams& params) {
  check_exact(k);
  RuntimeOptions runtime;
  runtime.threads = params.threads;
  check_runtime(runtime);
  IndexParams form;
  form.dimension = static_cast<std::uint32_t>(
      std::min<std::size_t>(vectors.cols, std::numeric_limits<std::uint32_t>::max()));
  form.metric = params.metric;
  form.validate();
  if (vectors.rows > core::kMaxNodes) {
    throw Error(ErrorCode::capacity, "an exact search holds at most " +
                                         std::to_string(core::kMaxNodes) + " vectors, not " +
                                         std::to_string(vectors.rows));
  }
  const core::FloatEnvironment environment;
  core::VectorStore store(form);
  store.check_shape(vectors, "vectors");
  store.check_shape(queries, "queries");
  core::ThreadPool pool(params.threads);
  store.resize(vectors.rows);
  store.write(0, vectors, pool);

  SearchResult result = result_of(queries.rows, k);
  std::vector<core::Key> keys(queries.rows * k);
  Pulse pulse(params.progress, queries.rows);
  const bool complete =
      cpu::exact_scan(store, vectors.rows, cpu::for_metric(cpu::choose_kernels(), params.metric),
                      queries, core::KNearest(k, keys.data(), result.counts.data()), pool,
                      [&](std::size_t answered) { return pulse.go_on(answered); });
  write_results(keys, result);
  if (complete) static_cast<void>(pulse.go_on(queries.rows));
  return result;
}

}  // namespace concord
