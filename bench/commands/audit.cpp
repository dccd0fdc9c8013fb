// concord-bench audit: checks the invariants of a saved index.
#include <cstdio>

#include "bench/commands/commands.hpp"
#include "bench/report.hpp"

namespace concord::bench {
namespace {

int audit(Options& options) {
  options.apply();
  const Index index = Index::load(options.index, options.runtime);
  const AuditReport result = index.audit();
  const std::string digest = index.digest();
  std::printf("index: %s", options.index.c_str());
  print_audit(result);
  std::printf("digest: %s\n", digest.c_str());
  Json report = new_report(options.command_line, index.stats());
  report["index"] = {{"digest", digest}, {"size", index.size()}};
  report["audit"] = audit_json(result);
  write_report(report, options.json);
  return result.ok ? 0 : 1;
}

}  // namespace

void add_audit_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command = *app.add_subcommand("audit", "check the graph of a saved index");
  add_index_option(command, options);
  add_runtime_options(command, options);
  add_json_option(command, options);
  command.callback([&options, &chosen] { chosen = [&options] { return audit(options); }; });
}

}  // namespace concord::bench
