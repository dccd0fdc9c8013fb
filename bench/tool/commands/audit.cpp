// concord-bench audit: checks the invariants of a saved index.
#include <cstdio>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/commands.hpp"
#include "bench/tool/result_document.hpp"

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
  Json document = new_document(options.command_line, index.stats());
  document["index"] = {{"digest", digest}, {"size", index.size()}};
  document["audit"] = audit_json(result);
  write_document(document, options.json);
  return result.ok ? 0 : 1;
}

}  // namespace

void add_audit_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command = *app.add_subcommand("audit", "check the graph of a saved index");
  add_index_option(command, options);
  add_runtime_options(command, options);
  add_json_option(command, options);
  add_examples(command, {"audit --index base.concord"});
  command.callback([&options, &chosen] { chosen = [&options] { return audit(options); }; });
}

}  // namespace concord::bench
