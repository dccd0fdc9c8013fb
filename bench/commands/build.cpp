// concord-bench build: builds an index and saves it.
#include <cstdio>

#include "bench/commands/commands.hpp"
#include "bench/commands/steps.hpp"

namespace concord::bench {
namespace {

/// Builds `rounds` times, for the first pays for what a process does once (a device's context).
BuildMeasure build_rounds(const DataSet& data, const Options& options, unsigned rounds,
                          std::vector<double>& seconds) {
  const IndexParams params = options.params_for(data);
  for (unsigned round = 1; round < rounds; ++round) {
    seconds.push_back(build_index(data.train, params, options.runtime).seconds);
  }
  BuildMeasure last = build_index(data.train, params, options.runtime);
  seconds.push_back(last.seconds);
  return last;
}

int build(Options& options, unsigned rounds) {
  options.apply();
  const DataSet data = load_data_set(options.data, Need::train);
  print_data(data);
  std::vector<double> seconds;
  const BuildMeasure result = build_rounds(data, options, rounds, seconds);
  Json report = report_build(options, data, result);
  report["build"]["rounds"] = seconds;
  if (!options.out.empty()) {
    result.index.save(options.out);
    std::printf("saved: %s\n", options.out.c_str());
  }
  write_report(report, options.json);
  return report["audit"]["ok"] ? 0 : 1;
}

}  // namespace

void add_build_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command = *app.add_subcommand("build", "build an index and save it");
  add_data_options(command, options);
  add_param_options(command, options);
  add_runtime_options(command, options);
  add_json_option(command, options);
  add_out_option(command, options, "save the index to this file");
  const auto rounds = std::make_shared<unsigned>(1);
  command.add_option("--rounds", *rounds, "build so many times and report the last")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  command.callback([&options, &chosen, rounds] {
    chosen = [&options, rounds] { return build(options, *rounds); };
  });
}

}  // namespace concord::bench
