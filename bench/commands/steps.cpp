#include "bench/commands/steps.hpp"

#include <algorithm>
#include <cstdio>

#include "bench/progress_bar.hpp"
#include "bench/table.hpp"

namespace concord::bench {
namespace {

/// Rows of the exact neighbors as the index's device finds them; empty where no device is used.
IdMatrix device_neighbors(const Index& index, const FloatMatrix& queries, std::uint32_t k) {
  constexpr std::size_t kOpensADevice = 256;
  const std::size_t few = std::min(queries.rows, kOpensADevice);
  (void)index.search(queries.view().rows_from(0, few), {k, k});
  if (index.stats().device.name == "cpu") return {};
  const SearchResult found = index.exact_search(queries.view(), k);
  IdMatrix rows(queries.rows, k);
  for (std::size_t i = 0; i < found.labels.size(); ++i) {
    rows.values[i] = static_cast<std::uint32_t>(found.labels[i]);
  }
  return rows;
}

}  // namespace

void print_data(const DataSet& data) {
  std::printf("data: %s, %s\n", data.name.c_str(), to_string(data.metric));
  if (!data.train.empty()) {
    std::printf("  %s vectors of dimension %zu\n", grouped(data.train.rows).c_str(),
                data.train.cols);
  }
  if (!data.queries.empty()) {
    std::printf("  %s queries (%s)\n", grouped(data.queries.rows).c_str(),
                data.queries_from.c_str());
  }
  std::fflush(stdout);
}

GroundTruth find_ground_truth(const DataSet& data, const FloatMatrix& vectors, std::uint32_t k,
                              unsigned threads) {
  ProgressBar bar("exact neighbors", data.queries.rows);
  return checked_ground_truth(vectors, data.queries, data.metric, k, data.neighbors, threads,
                              [&bar](std::size_t done) { bar.update(done); });
}

GroundTruth find_ground_truth(const DataSet& data, const FloatMatrix& vectors, const Index& index,
                              const Options& options) {
  const IdMatrix found =
      data.neighbors.empty() ? device_neighbors(index, data.queries, options.k) : IdMatrix{};
  if (found.empty()) return find_ground_truth(data, vectors, options.k, options.runtime.threads);
  GroundTruth truth = checked_ground_truth(vectors, data.queries, data.metric, options.k, found,
                                           options.runtime.threads);
  if (truth.source == "stored") truth.source = "computed on the device, checked on a sample";
  return truth;
}

void search_and_report(Index& index, const DataSet& data, const Judge& judge,
                       const Options& options, Json& report) {
  report["k"] = options.k;
  if (options.batches.empty()) {
    const SweepOptions sweep_options{options.k, options.efs, options.slacks};
    const auto points = sweep(index, data.queries, judge, sweep_options, options.runtime);
    print_search(points, options.k);
    report["search"] = search_json(points);
    return;
  }
  const std::vector<std::string> devices =
      options.batch_devices.empty() ? std::vector{options.runtime.device} : options.batch_devices;
  const auto points =
      batch_sweep(index, data.queries, judge, {options.k, options.efs, options.batches, devices},
                  options.runtime);
  print_batches(points, options.k);
  report["batches"] = batches_json(points);
}

Json report_build(const Options& options, const DataSet& data, const BuildMeasure& build) {
  const Stats stats = build.index.stats();
  const AuditReport audit = build.index.audit();
  const MemoryUse use = build.index.memory();
  const std::string digest = build.index.digest();
  print_build(build.seconds, build.index.size(), stats);
  print_audit(audit);
  std::printf("digest: %s\n", digest.c_str());
  print_memory(use, &build);

  Json report = new_report(options.command_line, stats);
  report["parameters"] = parameters_json(build.index.params());
  report["data"] = data_json(data, build.index.size());
  report["build"] = build_json(build.seconds, build.index.size(), stats);
  report["build"]["cpu_seconds"] = build.cpu_seconds;
  report["index"] = {{"digest", digest},
                     {"size", build.index.size()},
                     {"max_level", stats.max_level},
                     {"level_histogram", stats.level_histogram},
                     {"degree_histogram", stats.degree_histogram}};
  report["audit"] = audit_json(audit);
  report["memory"] = memory_json(use, &build);
  report["device"] = device_json(stats.device);
  return report;
}

}  // namespace concord::bench
