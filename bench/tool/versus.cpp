#include "bench/tool/versus.hpp"

#include "bench/tool/progress_bar.hpp"

namespace concord::bench {
namespace {

// Many short turns rather than few long ones, so that disturbances of the machine meet both alike.
constexpr double kPassSeconds = 0.2;
constexpr unsigned kSearchTurns = 3;  // per round

/// Calls both `turns` times. They alternate in which comes first.
template <class First, class Second>
void take_turns(unsigned turns, const First& first, const Second& second) {
  for (unsigned turn = 0; turn < turns; ++turn) {
    if (turn % 2 == 0) {
      first();
      second();
    } else {
      second();
      first();
    }
  }
}

}  // namespace

Versus::Versus(const FloatMatrix& vectors, const FloatMatrix& queries, const IndexParams& params,
               RuntimeOptions runtime, unsigned rounds)
    : vectors_(vectors),
      queries_(queries),
      params_(params),
      runtime_(std::move(runtime)),
      rounds_(rounds),
      peer_(make_hnswlib_peer(params)) {}

void Versus::build_concord() {
  if (!built_) {
    built_.emplace(build_index(vectors_, params_, runtime_));
    concord_.build_seconds.push_back(built_->seconds);
    concord_.build_cpu_seconds.push_back(built_->cpu_seconds);
    return;
  }
  // The first build's memory was measured with nothing freed before; keep that.
  BuildMeasure first{std::move(*built_)};
  first.index = Index(params_, runtime_);
  BuildMeasure again = build_index(vectors_, params_, runtime_);
  concord_.build_seconds.push_back(again.seconds);
  concord_.build_cpu_seconds.push_back(again.cpu_seconds);
  again.add_peak_bytes = first.add_peak_bytes;
  built_.emplace(std::move(again));
}

void Versus::build_hnswlib() {
  ProgressBar bar("building hnswlib's", 1);
  bar.update(0);
  const double cpu_start = cpu_seconds();
  const Clock::time_point start = Clock::now();
  peer_->build(vectors_.view(), runtime_.threads);
  hnswlib_.build_seconds.push_back(seconds_since(start));
  hnswlib_.build_cpu_seconds.push_back(cpu_seconds() - cpu_start);
}

void Versus::build() {
  take_turns(
      rounds_, [this] { build_concord(); }, [this] { build_hnswlib(); });
}

SearchPoint Versus::quality_of_hnswlib(const Judge& judge, SearchParams search) {
  std::vector<std::uint64_t> labels(queries_.rows * search.k);
  std::vector<std::uint32_t> counts(queries_.rows);
  peer_->search(queries_.view(), search.k, search.ef, runtime_.threads, labels, counts);
  SearchPoint point{.ef = search.ef};
  point.recall = judge.recall(labels, search.k, counts);
  const std::uint64_t distances =
      peer_->count_search_distances(queries_.view(), search.k, search.ef);
  point.distances_per_query = static_cast<double>(distances) / static_cast<double>(queries_.rows);
  return point;
}

std::pair<double, double> Versus::rates(SearchParams search, unsigned threads) {
  RuntimeOptions runtime = runtime_;
  runtime.threads = threads;
  built_->index.set_runtime(runtime);
  // Both write into arrays that exist before.
  Matrix<std::uint64_t> labels(queries_.rows, search.k);
  FloatMatrix distances(queries_.rows, search.k);
  std::vector<std::uint32_t> counts(queries_.rows);
  const auto concord = [&] {
    built_->index.search(queries_.view(), search, {labels.values.data(), labels.rows, labels.cols},
                         {distances.values.data(), distances.rows, distances.cols}, counts);
  };
  const auto hnswlib = [&] {
    peer_->search(queries_.view(), search.k, search.ef, threads, labels.values, counts);
  };
  std::vector<double> concord_rates;
  std::vector<double> hnswlib_rates;
  take_turns(
      rounds_ * kSearchTurns,
      [&] { concord_rates.push_back(measure_rate(queries_.rows, kPassSeconds, concord)); },
      [&] { hnswlib_rates.push_back(measure_rate(queries_.rows, kPassSeconds, hnswlib)); });
  return {median(concord_rates), median(hnswlib_rates)};
}

void Versus::search(const Judge& judge, std::uint32_t k, const std::vector<std::uint32_t>& efs,
                    std::uint32_t rescore) {
  ProgressBar bar("searching both", efs.size());
  for (const std::uint32_t ef : efs) {
    const SearchParams search{.k = k, .ef = ef, .rescore = rescore};
    SearchPoint ours = measure_quality(built_->index, queries_, judge, search);
    SearchPoint theirs = quality_of_hnswlib(judge, search);
    std::tie(ours.qps_single_thread, theirs.qps_single_thread) = rates(search, 1);
    ours.qps = ours.qps_single_thread;
    theirs.qps = theirs.qps_single_thread;
    if (runtime_.threads > 1) std::tie(ours.qps, theirs.qps) = rates(search, runtime_.threads);
    concord_.points.push_back(ours);
    hnswlib_.points.push_back(theirs);
    bar.update(concord_.points.size());
  }
}

}  // namespace concord::bench
