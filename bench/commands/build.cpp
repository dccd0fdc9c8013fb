// concord-bench build: builds an index and saves it.
#include <cstdio>

#include "bench/commands/commands.hpp"
#include "bench/commands/steps.hpp"

namespace concord::bench {
namespace {

int build(Options& options) {
  options.apply();
  const DataSet data = load_data_set(options.data, Need::train);
  const IndexParams params = options.params_for(data);
  print_data(data);
  const BuildMeasure result = build_index(data.train, params, options.runtime);
  const Json report = report_build(options, data, result);
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
  command.callback([&options, &chosen] { chosen = [&options] { return build(options); }; });
}

}  // namespace concord::bench
