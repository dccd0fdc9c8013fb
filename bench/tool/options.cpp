#include "bench/tool/options.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <limits>

#include "bench/tool/command_line.hpp"
#include "bench/tool/parallel.hpp"

namespace concord::bench {

namespace {

/// Refuses a file in a missing directory now instead of after an hour of building.
void check_directory_of(const std::filesystem::path& file, const char* option) {
  if (file.empty()) return;
  const std::filesystem::path directory = file.has_parent_path() ? file.parent_path() : ".";
  if (!std::filesystem::is_directory(directory) || access(directory.c_str(), W_OK) != 0) {
    throw InputError(std::string(option) + " " + file.string() +
                     ": cannot write to the directory " + directory.string());
  }
}

}  // namespace

void Options::apply() {
  check_directory_of(json, "--json");
  check_directory_of(out, "--out");
  if (!isa.empty()) setenv("CONCORD_ISA", isa.c_str(), 1);
  if (!metric.empty()) data.metric = metric_from_string(metric);
  params.codes = codes_from_string(codes);
  params.storage = storage_from_string(storage);
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

Durability durability_of(const std::string& journal) {
  return journal == "system" ? Durability::system : Durability::synced;
}

void add_data_options(CLI::App& app, Options& options) {
  const OptionGroup group(app, "Data");
  app.add_option(
      "--dataset", options.data.dataset,
      "file of vectors: .hdf5 (ann-benchmarks), .fvecs, .bvecs, .fbin, .u8bin, .i8bin, .npy, .npz "
      "(needs numpy) or .parquet (needs pyarrow)");
  app.add_option(
      "--synthetic", options.data.synthetic,
      "n,d[,seed]: generate n clustered vectors of dimension d, of low intrinsic dimension");
  app.add_option("--intrinsic", options.data.intrinsic, "latent dimensions of generated data")
      ->capture_default_str()
      ->check(CLI::Range(1, 65536));
  app.add_option("--clusters", options.data.clusters, "clusters of generated data")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--queries", options.data.queries, "file of queries");
  app.add_option(
      "--ground-truth", options.data.ground_truth,
      ".ivecs or .ibin: row numbers of the nearest vectors of each query (default: computed)");
  app.add_option(
      "--metric", options.metric,
      "l2sq, inner_product or cosine; overrules the data file (default: the file's, or l2sq)");
  app.add_option("--limit", options.data.limit, "use only the first N vectors");
  app.add_option("--limit-queries", options.data.limit_queries, "use only the first N queries");
  add_column_option(app, options.data.column);
}

void add_column_option(CLI::App& app, std::string& column) {
  const OptionGroup group(app, "Data");
  app.add_option(
      "--column", column,
      "array of an .npz or column of a .parquet (default: the only one that can be meant)");
}

void add_param_options(CLI::App& app, Options& options) {
  const OptionGroup group(app, "Graph");
  app.add_option("--M", options.params.M, "links that a vector makes per layer")
      ->capture_default_str();
  app.add_option("--ef-construction", options.params.ef_construction,
                 "candidates kept per insertion and layer")
      ->capture_default_str();
  app.add_option("--seed", options.params.seed, "seed of the level hash")->capture_default_str();
  app.add_option("--epoch-limit", options.params.epoch_limit,
                 "maximum number of vectors of an epoch")
      ->capture_default_str();
  app.add_option("--storage", options.storage, "how vectors are kept: automatic, f32, f16 or bf16")
      ->capture_default_str();
  app.add_option("--codes", options.codes,
                 "codes from which walks estimate distances: none, sq8 or sq4")
      ->capture_default_str();
}

void add_runtime_options(CLI::App& app, Options& options) {
  const OptionGroup group(app, "Machine");
  app.add_option("--threads", options.runtime.threads, "threads (0: one per core)")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
  app.add_option(
      "--isa", options.isa,
      "force scalar, avx2, avx512, neon or neon-dotprod (default: the best of this processor)");
  app.add_option_function<std::string>(
         "--certificates",
         [&options](const std::string& value) { options.runtime.certificates = value == "on"; },
         "whether additions reject far vectors by codes: on or off")
      ->default_str("on")
      ->check(CLI::IsMember({"on", "off"}));
  app.add_option("--checked-share", options.runtime.checked_share,
                 "share of a device's proposals that the CPU computes as well and compares")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--device", options.runtime.device, "auto, cpu, cuda or cuda:K")
      ->capture_default_str();
}

void add_search_options(CLI::App& app, Options& options) {
  const OptionGroup group(app, "Search");
  app.add_option("--k", options.k, "neighbors per query")
      ->capture_default_str()
      ->check(CLI::Range(1, 65536));
  app.add_option("--ef", options.efs, "values of ef, the candidates kept per search, e.g. 10,20,40")
      ->capture_default_str()
      ->delimiter(',')
      ->check(CLI::Range(1, 65536));
}

void add_slack_option(CLI::App& app, Options& options) {
  const OptionGroup group(app, "Search");
  app.add_option("--slack", options.slacks,
                 "end a search when candidates are farther than 1 + slack times the k-th nearest, "
                 "e.g. 0.02,0.05,0.1; each value runs with each ef; inf turns slack off")
      ->delimiter(',')
      ->check(CLI::Range(0.0F, std::numeric_limits<float>::infinity()));
}

void add_rescore_option(CLI::App& app, Options& options) {
  const OptionGroup group(app, "Search");
  app.add_option("--rescore", options.rescore,
                 "with codes: candidates that get exact distances (default: max(2k, k + 10), of "
                 "sq4 max(4k, k + 30))")
      ->check(CLI::Range(1, 65536));
}

void add_batch_options(CLI::App& app, Options& options) {
  const OptionGroup group(app, "Search");
  app.add_option(
         "--batch", options.batches,
         "numbers of queries per call, e.g. 1,1000: measure such calls instead of one with all")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--batch-device", options.batch_devices,
                 "devices that --batch compares, e.g. auto,cpu (default: --device)")
      ->delimiter(',');
}

void add_index_option(CLI::App& app, Options& options) {
  const OptionGroup group(app, "Files");
  app.add_option("--index", options.index, "index file, as concord-bench build --out writes it")
      ->required();
}

void add_json_option(CLI::App& app, Options& options) {
  const OptionGroup group(app, "Files");
  app.add_option("--json", options.json, "write the results to this file as JSON");
}

void add_out_option(CLI::App& app, Options& options, const std::string& what) {
  const OptionGroup group(app, "Files");
  app.add_option("--out", options.out, what);
}

}  // namespace concord::bench
