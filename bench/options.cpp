#include "bench/options.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "bench/parallel.hpp"

namespace concord::bench {

namespace {

/// Refuses a file in a directory that is not there now, not after an hour of building.
void check_directory_of(const std::filesystem::path& file, const char* option) {
  if (file.empty()) return;
  const std::filesystem::path directory = file.has_parent_path() ? file.parent_path() : ".";
  if (!std::filesystem::is_directory(directory) || access(directory.c_str(), W_OK) != 0) {
    throw InputError(std::string(option) + " " + file.string() + ": " + directory.string() +
                     " is no directory that can be written to");
  }
}

}  // namespace

void Options::apply() {
  check_directory_of(json, "--json");
  check_directory_of(out, "--out");
  if (!isa.empty()) setenv("CONCORD_ISA", isa.c_str(), 1);
  if (!metric.empty()) data.metric = metric_from_string(metric);
  runtime.threads = resolve_threads(runtime.threads);
  runtime.log = [](LogLevel level, std::string_view text) {
    if (level != LogLevel::warning) return;
    std::fprintf(stderr, "concord: %.*s\n", static_cast<int>(text.size()), text.data());
  };
  data.threads = runtime.threads;
}

IndexParams Options::params_for(const DataSet& data_set) const {
  IndexParams result = params;
  result.metric = data_set.metric;
  result.dimension = static_cast<std::uint32_t>(data_set.train.cols);
  result.validate();
  return result;
}

void add_data_options(CLI::App& app, Options& options) {
  app.add_option("--dataset", options.data.dataset,
                 "data: .hdf5 (ann-benchmarks), .fvecs, .bvecs, .fbin, .u8bin or .i8bin");
  app.add_option("--synthetic", options.data.synthetic,
                 "n,d[,seed]: generated data, clustered and of low intrinsic dimension");
  app.add_option("--intrinsic", options.data.intrinsic, "latent dimensions of generated data")
      ->capture_default_str()
      ->check(CLI::Range(1, 65536));
  app.add_option("--clusters", options.data.clusters, "clusters of generated data")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--queries", options.data.queries, "vector file with the queries");
  app.add_option("--ground-truth", options.data.ground_truth,
                 ".ivecs or .ibin with the queries' nearest rows (else computed)");
  app.add_option("--metric", options.metric,
                 "l2sq, inner_product or cosine (default: what the data say, else l2sq)");
  app.add_option("--limit", options.data.limit, "take only the first N vectors");
  app.add_option("--limit-queries", options.data.limit_queries, "take only the first N queries");
}

void add_param_options(CLI::App& app, Options& options) {
  app.add_option("--M", options.params.M, "links of a vector per layer")->capture_default_str();
  app.add_option("--ef-construction", options.params.ef_construction,
                 "candidates examined per insertion")
      ->capture_default_str();
  app.add_option("--seed", options.params.seed, "seed of the level hash")->capture_default_str();
  app.add_option("--epoch-limit", options.params.epoch_limit, "most insertions between two seals")
      ->capture_default_str();
}

void add_runtime_options(CLI::App& app, Options& options) {
  app.add_option("--threads", options.runtime.threads, "threads (0: one per core)")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
  app.add_option("--isa", options.isa, "force scalar, avx2 or avx512 (default: the best here)");
  app.add_option("--device", options.runtime.device, "auto, cpu, cuda or cuda:K")
      ->capture_default_str();
}

void add_search_options(CLI::App& app, Options& options) {
  app.add_option("--k", options.k, "neighbors asked for")
      ->capture_default_str()
      ->check(CLI::Range(1, 65536));
  app.add_option("--ef", options.efs, "values of ef to search with, e.g. 10,20,40")
      ->capture_default_str()
      ->delimiter(',')
      ->check(CLI::Range(1, 65536));
}

void add_slack_option(CLI::App& app, Options& options) {
  app.add_option("--slack", options.slacks,
                 "end a search where candidates are farther than 1 + slack times the k-th nearest, "
                 "e.g. 0.02,0.05,0.1, each with each ef; inf: ef alone")
      ->delimiter(',')
      ->check(CLI::NonNegativeNumber);
}

void add_batch_options(CLI::App& app, Options& options) {
  app.add_option("--batch", options.batches,
                 "in place of the sweep: speed and latency for batches of these sizes, e.g. 1,1000")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--batch-device", options.batch_devices,
                 "devices that --batch compares, e.g. auto,cpu (default: --device)")
      ->delimiter(',');
}

void add_index_option(CLI::App& app, Options& options) {
  app.add_option("--index", options.index, "index file (concord-bench build --out)")->required();
}

void add_json_option(CLI::App& app, Options& options) {
  app.add_option("--json", options.json, "write the results to this file as JSON");
}

void add_out_option(CLI::App& app, Options& options, const std::string& what) {
  app.add_option("--out", options.out, what);
}

}  // namespace concord::bench
