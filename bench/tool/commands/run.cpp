// concord-bench run: builds an index, audits it and searches it.
#include <cstdio>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/commands.hpp"
#include "bench/tool/commands/steps.hpp"
#include "bench/tool/memory_probe.hpp"

namespace concord::bench {
namespace {

/// Builds once more with one thread; the digests must be the same.
bool verify_threads(const Options& options, const DataSet& data, const std::string& digest,
                    Json& document) {
  RuntimeOptions single = options.runtime;
  single.threads = 1;
  const BuildMeasure again = build_index(data.train, options.params_for(data), single);
  const std::string other = again.index.digest();
  const bool same = other == digest;
  std::printf("\nthreads: rebuilt with 1 thread in %.2f s, digest %s: %s\n", again.seconds,
              other.c_str(), same ? "the same" : "DIFFERENT");
  document["verify_threads"] = {{"ok", same}, {"digest", other}, {"seconds", again.seconds}};
  return same;
}

int run(Options& options, bool with_verify_threads) {
  options.apply();
  const DataSet data = load_data_set(options.data, Need::train_and_queries);
  const IndexParams params = options.params_for(data);
  print_data(data);

  BuildMeasure build = build_index(data.train, params, options.runtime);
  Json document = report_build(options, data, build);
  if (!options.out.empty()) build.index.save(options.out);

  const GroundTruth truth = find_ground_truth(data, data.train, build.index, options);
  const Judge judge(data.train, data.queries, data.metric, truth);
  search_and_report(build.index, data, judge, options, document);
  std::printf("  true neighbors: %s\n", truth.source.c_str());
  document["data"]["ground_truth"] = truth.source;

  bool ok = document["audit"]["ok"];
  if (with_verify_threads) {
    ok = verify_threads(options, data, document["index"]["digest"], document) && ok;
  }
  document["memory"]["peak_rss_bytes"] = peak_resident_bytes();
  write_document(document, options.json);
  return ok ? 0 : 1;
}

}  // namespace

void add_run_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command = *app.add_subcommand("run", "build an index, audit it and search it");
  add_data_options(command, options);
  add_param_options(command, options);
  add_runtime_options(command, options);
  add_search_options(command, options);
  add_slack_option(command, options);
  add_rescore_option(command, options);
  add_batch_options(command, options);
  add_json_option(command, options);
  add_out_option(command, options, "save the index to this file");
  const auto with_verify_threads = std::make_shared<bool>(false);
  command.add_flag("--verify-threads", *with_verify_threads,
                   "build again with one thread; fail if the digest differs");
  add_examples(command, {"run --dataset sift-128-euclidean.hdf5 --limit 200000 --json result.json",
                         "run --synthetic 1000000,32 --threads 2 --verify-threads"});
  command.callback([&options, &chosen, with_verify_threads] {
    chosen = [&options, with_verify_threads] { return run(options, *with_verify_threads); };
  });
}

}  // namespace concord::bench
