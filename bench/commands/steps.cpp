#include "bench/commands/steps.hpp"

#include <cstdio>

#include "bench/progress_bar.hpp"
#include "bench/table.hpp"

namespace concord::bench {

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
