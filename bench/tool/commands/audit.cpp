// concord-bench audit: checks the invariants of a saved index, or of all shards in a folder.
#include <concord/sharded_index.hpp>
#include <cstdio>
#include <filesystem>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/commands.hpp"
#include "bench/tool/result_document.hpp"

namespace concord::bench {
namespace {

template <class AnyIndex>
int audit(const Options& options, const AnyIndex& index) {
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

int audit(Options& options) {
  options.apply();
  if (std::filesystem::is_directory(options.index)) {
    return audit(options, ShardedIndex::load(options.index, {options.runtime, {}}));
  }
  return audit(options, Index::load(options.index, options.runtime));
}

}  // namespace

void add_audit_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command =
      *app.add_subcommand("audit", "check the graph of a saved index, or of a folder of shards");
  add_index_option(command, options);
  add_runtime_options(command, options);
  add_json_option(command, options);
  add_examples(command, {"audit --index base.concord", "audit --index FOLDER"});
  command.callback([&options, &chosen] { chosen = [&options] { return audit(options); }; });
}

}  // namespace concord::bench
