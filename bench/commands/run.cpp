// concord-bench run: build, audit and search sweep in one go.
#include <cstdio>

#include "bench/commands/commands.hpp"
#include "bench/commands/steps.hpp"
#include "bench/memory_probe.hpp"

namespace concord::bench {
namespace {

/// Builds once more with one thread; the digests must be the same.
bool verify_threads(const Options& options, const DataSet& data, const std::string& digest,
                    Json& report) {
  RuntimeOptions single = options.runtime;
  single.threads = 1;
  const BuildMeasure again = build_index(data.train, options.params_for(data), single);
  const std::string other = again.index.digest();
  const bool same = other == digest;
  std::printf("\nthreads: rebuilt with 1 thread in %.2f s, digest %s: %s\n", again.seconds,
              other.c_str(), same ? "the same" : "DIFFERENT");
  report["verify_threads"] = {{"ok", same}, {"digest", other}, {"seconds", again.seconds}};
  return same;
}

int run(Options& options, bool with_verify_threads) {
  options.apply();
  const DataSet data = load_data_set(options.data, Need::train_and_queries);
  const IndexParams params = options.params_for(data);
  print_data(data);

  BuildMeasure build = build_index(data.train, params, options.runtime);
  Json report = report_build(options, data, build);
  if (!options.out.empty()) build.index.save(options.out);

  const GroundTruth truth = find_ground_truth(data, data.train, build.index, options);
  const Judge judge(data.train, data.queries, data.metric, truth);
  search_and_report(build.index, data, judge, options, report);
  std::printf("  true neighbors: %s\n", truth.source.c_str());
  report["data"]["ground_truth"] = truth.source;

  bool ok = report["audit"]["ok"];
  if (with_verify_threads) {
    ok = verify_threads(options, data, report["index"]["digest"], report) && ok;
  }
  report["memory"]["peak_rss_bytes"] = peak_resident_bytes();
  write_report(report, options.json);
  return ok ? 0 : 1;
}

}  // namespace

void add_run_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command = *app.add_subcommand("run", "build, audit and search in one go");
  add_data_options(command, options);
  add_param_options(command, options);
  add_runtime_options(command, options);
  add_search_options(command, options);
  add_slack_option(command, options);
  add_batch_options(command, options);
  add_json_option(command, options);
  add_out_option(command, options, "save the index to this file");
  const auto with_verify_threads = std::make_shared<bool>(false);
  command.add_flag("--verify-threads", *with_verify_threads,
                   "rebuild with one thread; fail unless the digest is the same");
  command.callback([&options, &chosen, with_verify_threads] {
    chosen = [&options, with_verify_threads] { return run(options, *with_verify_threads); };
  });
}

}  // namespace concord::bench
