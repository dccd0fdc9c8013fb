#include "bench/tool/commands/steps.hpp"

#include <algorithm>
#include <cstdio>

#include "bench/tool/progress_bar.hpp"
#include "bench/tool/table.hpp"

namespace concord::bench {
namespace {

/// Rows of the exact neighbors, found by the device of the index; empty if it uses none.
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
                       const Options& options, Json& document) {
  document["k"] = options.k;
  if (options.batches.empty()) {
    const SweepOptions sweep_options{options.k, options.efs, options.slacks, options.rescore};
    const auto points = sweep(index, data.queries, judge, sweep_options, options.runtime);
    print_search(points, options.k);
    document["search"] = search_json(points);
    return;
  }
  const std::vector<std::string> devices =
      options.batch_devices.empty() ? std::vector{options.runtime.device} : options.batch_devices;
  const auto points = batch_sweep(
      index, data.queries, judge,
      {options.k, options.efs, options.batches, devices, options.rescore}, options.runtime);
  print_batches(points, options.k);
  document["batches"] = batches_json(points);
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

  Json document = new_document(options.command_line, stats);
  document["parameters"] = parameters_json(build.index.params());
  document["data"] = data_json(data, build.index.size());
  document["build"] = build_json(build.seconds, build.index.size(), stats);
  document["build"]["cpu_seconds"] = build.cpu_seconds;
  document["index"] = index_json(digest, build.index.size(), stats);
  document["audit"] = audit_json(audit);
  document["memory"] = memory_json(use, &build);
  document["device"] = device_json(stats.device);
  return document;
}

}  // namespace concord::bench
