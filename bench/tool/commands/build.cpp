// concord-bench build: builds an index and saves it.
#include <cstdio>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/build_shards.hpp"
#include "bench/tool/commands/commands.hpp"
#include "bench/tool/commands/steps.hpp"
#include "bench/tool/table.hpp"

namespace concord::bench {
namespace {

/// Builds `rounds` times, because the first build pays for what a process does once (opening a
/// device).
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

void print_journal(const JournalStats& journal, double build_seconds) {
  std::printf(
      "journal: %s bytes, %.3f s to write, %.3f s to sync; the build waited %.3f s (%.1f%%)\n",
      grouped(journal.bytes).c_str(), journal.write_seconds, journal.sync_seconds,
      journal.wait_seconds, 100 * journal.wait_seconds / build_seconds);
  if (journal.recovered == 0) return;
  std::printf("resumed: %s vectors recovered in %.3f s\n", grouped(journal.recovered).c_str(),
              journal.recovery_seconds);
}

/// Builds with a journal and folds it into the index file.
BuildMeasure build_durably(const DataSet& data, const Options& options, Durability durability,
                           Json& journal) {
  if (options.out.empty()) throw InputError("--journal needs --out");
  BuildMeasure result = build_durable_index(data.train, options.params_for(data), options.runtime,
                                            options.out, durability);
  const JournalStats stats = result.index.stats().journal;
  print_journal(stats, result.seconds);
  journal = journal_json(stats);
  result.index.compact();
  return result;
}

/// Options of this command alone.
struct BuildOptions {
  unsigned rounds = 1;
  std::string journal;  ///< empty: none
  ShardOptions shards;
};

int build(Options& options, const BuildOptions& own) {
  options.apply();
  const DataSet data = load_data_set(options.data, Need::train);
  print_data(data);
  std::vector<double> seconds;
  Json journal;
  const bool durable = !own.journal.empty();
  if (own.shards.params.shards > 0) {
    return build_shards(data, options, own.shards,
                        durable ? std::optional(durability_of(own.journal)) : std::nullopt);
  }
  const BuildMeasure result =
      durable ? build_durably(data, options, durability_of(own.journal), journal)
              : build_rounds(data, options, own.rounds, seconds);
  Json document = report_build(options, data, result);
  if (durable) document["journal"] = journal;
  if (!durable) document["build"]["rounds"] = seconds;
  if (!options.out.empty()) {
    if (!durable) result.index.save(options.out);
    std::printf("saved: %s\n", options.out.c_str());
  }
  write_document(document, options.json);
  return document["audit"]["ok"] ? 0 : 1;
}

}  // namespace

void add_build_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command = *app.add_subcommand("build", "build an index and save it");
  add_data_options(command, options);
  add_param_options(command, options);
  add_runtime_options(command, options);
  add_json_option(command, options);
  add_out_option(command, options, "save the index to this file");
  const auto own = std::make_shared<BuildOptions>();
  CLI::Option* const shards = command
                                  .add_option("--shards", own->shards.params.shards,
                                              "build so many independent graphs; --out is a folder")
                                  ->check(CLI::Range(1, 1024));
  command.add_option("--block", own->shards.params.block, "vectors that stay together in a shard")
      ->needs(shards)
      ->check(CLI::Range(1, 1 << 20));
  CLI::Option* const only =
      command
          .add_option("--only", own->shards.only,
                      "build this shard alone; whoever completes the folder writes its manifest")
          ->needs(shards);
  CLI::Option* const rounds =
      command
          .add_option("--rounds", own->rounds, "number of builds; results are those of the last")
          ->capture_default_str()
          ->check(CLI::Range(1, 100))
          ->excludes(shards);
  command
      .add_option("--journal", own->journal,
                  "synced or system: keep a journal beside --out while building; the same command "
                  "resumes an interrupted build")
      ->check(CLI::IsMember({"synced", "system"}))
      ->excludes(rounds)
      ->excludes(only);
  add_examples(command, {"build --dataset base.fvecs --metric cosine --out base.concord",
                         "build --dataset base.fvecs --shards 8 --only 3 --out FOLDER"});
  command.callback(
      [&options, &chosen, own] { chosen = [&options, own] { return build(options, *own); }; });
}

}  // namespace concord::bench
