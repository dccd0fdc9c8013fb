// concord-bench info: parameters, size and statistics of a saved index.
#include <cstdio>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/commands.hpp"
#include "bench/tool/result_document.hpp"
#include "bench/tool/table.hpp"

namespace concord::bench {
namespace {

void print_histogram(const char* title, const std::vector<std::uint64_t>& counts) {
  std::printf("%s\n", title);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) std::printf("  %3zu: %s\n", i, grouped(counts[i]).c_str());
  }
}

int info(Options& options) {
  options.apply();
  const Index index = Index::load(options.index, options.runtime);
  const IndexParams& params = index.params();
  const Stats stats = index.stats();
  const std::string digest = index.digest();
  std::printf("index: %s (%s on disk)\n", options.index.c_str(),
              mebibytes(std::filesystem::file_size(options.index)).c_str());
  std::printf("  %s vectors of dimension %u, %s\n", grouped(index.size()).c_str(), params.dimension,
              to_string(params.metric));
  std::printf("  M %u, ef_construction %u, seed %llu, epoch_limit %u, codes %s, storage %s\n",
              params.M, params.ef_construction, static_cast<unsigned long long>(params.seed),
              params.epoch_limit, to_string(params.codes), to_string(params.storage));
  std::printf("  digest %s\n", digest.c_str());
  print_memory(index.memory(), nullptr);
  print_histogram("\nvectors by level:", stats.level_histogram);
  print_histogram("neighbor lists of layer 0 by degree:", stats.degree_histogram);

  Json document = new_document(options.command_line, stats);
  document["parameters"] = parameters_json(params);
  document["index"] = index_json(digest, index.size(), stats);
  document["memory"] = memory_json(index.memory(), nullptr);
  write_document(document, options.json);
  return 0;
}

}  // namespace

void add_info_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command =
      *app.add_subcommand("info", "show parameters and statistics of a saved index");
  add_index_option(command, options);
  add_json_option(command, options);
  add_examples(command, {"info --index base.concord"});
  command.callback([&options, &chosen] { chosen = [&options] { return info(options); }; });
}

}  // namespace concord::bench
