// concord-bench durability: the cost of a journal for a build, and the loss of a killed build.
//
// First the command kills a build with a journal, opens it again and resumes it to its end. This
// comes first because no thread of the process may run yet (killed_build.hpp). Then it builds the
// same data without and with a journal in alternation, beginning and ending without. Each build
// with a journal is compared with the mean of the builds before and after it, so that a machine
// that slows down or speeds up does not count for or against the journal. Each build without one is
// compared with the previous such build: this control shows the noise of the machine.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/commands.hpp"
#include "bench/tool/commands/steps.hpp"
#include "bench/tool/killed_build.hpp"
#include "bench/tool/table.hpp"

namespace concord::bench {
namespace {

struct DurabilityOptions {
  unsigned rounds = 6;
  double kill_at = 0.5;
  std::string journal = "synced";
  std::filesystem::path folder = ".";
};

/// A folder for the files of the builds, removed with them.
class WorkFolder {
 public:
  explicit WorkFolder(const std::filesystem::path& parent) {
    std::string pattern = (parent / "concord-durability-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) {
      throw InputError(parent.string() + ": cannot create a folder there");
    }
    path_ = pattern;
  }
  ~WorkFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

  [[nodiscard]] std::filesystem::path index() const { return path_ / "index.concord"; }
  /// Removes the files of the builds so far.
  void clear() const {
    for (const auto& file : std::filesystem::directory_iterator(path_)) {
      std::filesystem::remove(file);
    }
  }

 private:
  std::filesystem::path path_;
};

struct Killed {
  std::uint64_t committed = 0;  ///< when the process was killed
  double open_seconds = 0;
  double resume_seconds = 0;
  JournalStats found;  ///< by opening
  std::string digest;  ///< of the build resumed to its end
  AuditReport audit;

  /// The journal may be ahead of the commits by one batch.
  [[nodiscard]] std::uint64_t lost() const {
    return committed - std::min(committed, found.recovered);
  }
  [[nodiscard]] double lost_percent() const {
    return 100 * static_cast<double>(lost()) / static_cast<double>(committed);
  }
};

Killed kill_and_resume(const DataSet& data, const Options& options, const DurabilityOptions& own,
                       const WorkFolder& folder) {
  const IndexParams params = options.params_for(data);
  const auto kill_at =
      static_cast<std::uint64_t>(std::ceil(own.kill_at * static_cast<double>(data.train.rows)));
  Killed killed;
  killed.committed = kill_build(data.train, params, options.runtime, folder.index(),
                                durability_of(own.journal), kill_at);
  const Clock::time_point begin = Clock::now();
  Index index = Index::open(folder.index(), params, durability_of(own.journal), options.runtime);
  killed.open_seconds = seconds_since(begin);
  killed.found = index.stats().journal;
  const Clock::time_point resumed = Clock::now();
  index.add(data.train.view().rows_from(index.size(), data.train.rows - index.size()));
  killed.resume_seconds = seconds_since(resumed);
  killed.digest = index.digest();
  killed.audit = index.audit();
  return killed;
}

/// Seconds of builds of one kind, and the digests that they gave.
struct Builds {
  std::vector<double> wall, cpu;
  std::vector<std::string> digests;
  JournalStats journal;  ///< of the last

  void take(const BuildMeasure& build) {
    wall.push_back(build.seconds);
    cpu.push_back(build.cpu_seconds);
    digests.push_back(build.index.digest());
    journal = build.index.stats().journal;
  }
};

struct Alternating {
  Builds plain, journaled;
  Stats stats;  ///< of the last build
};

Alternating alternate(const DataSet& data, const Options& options, const DurabilityOptions& own,
                      const WorkFolder& folder) {
  const IndexParams params = options.params_for(data);
  Alternating builds;
  builds.plain.take(build_index(data.train, params, options.runtime));
  for (unsigned round = 0; round < own.rounds; ++round) {
    folder.clear();
    builds.journaled.take(build_durable_index(data.train, params, options.runtime, folder.index(),
                                              durability_of(own.journal)));
    const BuildMeasure plain = build_index(data.train, params, options.runtime);
    builds.plain.take(plain);
    builds.stats = plain.index.stats();
  }
  return builds;
}

/// Each build with a journal, relative to the mean of the builds without before and after it.
std::vector<double> ratios(const std::vector<double>& journaled, const std::vector<double>& plain) {
  std::vector<double> result;
  for (std::size_t i = 0; i < journaled.size(); ++i) {
    result.push_back(2 * journaled[i] / (plain[i] + plain[i + 1]));
  }
  return result;
}

/// Each build but the first, relative to the one before.
std::vector<double> successive(const std::vector<double>& plain) {
  std::vector<double> result;
  for (std::size_t i = 1; i < plain.size(); ++i) result.push_back(plain[i] / plain[i - 1]);
  return result;
}

Json spread_json(const std::vector<double>& values) {
  return {{"median", median(values)},
          {"least", *std::min_element(values.begin(), values.end())},
          {"most", *std::max_element(values.begin(), values.end())},
          {"all", values}};
}

Json builds_json(const Builds& builds) {
  return {{"seconds", builds.wall}, {"cpu_seconds", builds.cpu}, {"digest", builds.digests[0]}};
}

Json killed_json(const Killed& killed, const DurabilityOptions& own) {
  return {{"at", own.kill_at},
          {"committed", killed.committed},
          {"recovered", killed.found.recovered},
          {"lost", killed.lost()},
          {"lost_percent", killed.lost_percent()},
          {"cut_bytes", killed.found.cut_bytes},
          {"open_seconds", killed.open_seconds},
          {"recovery_seconds", killed.found.recovery_seconds},
          {"resume_seconds", killed.resume_seconds},
          {"digest", killed.digest}};
}

bool all_equal(const Alternating& builds, const std::string& digest) {
  const auto same = [&](const std::string& other) { return other == digest; };
  return std::all_of(builds.plain.digests.begin(), builds.plain.digests.end(), same) &&
         std::all_of(builds.journaled.digests.begin(), builds.journaled.digests.end(), same);
}

void print_ratios(const Json& figures) {
  Table table({"", "median", "least", "most"});
  for (const auto& [name, key] : {std::pair{"journal, processor time", "cpu_ratio"},
                                  {"journal, wall time", "wall_ratio"},
                                  {"control, processor time", "control_cpu_ratio"},
                                  {"control, wall time", "control_wall_ratio"}}) {
    const Json& ratio = figures[key];
    table.add_row(
        {name, fixed(ratio["median"], 4), fixed(ratio["least"], 4), fixed(ratio["most"], 4)});
  }
  table.print();
  std::printf("  control: each build without a journal, relative to the previous\n");
}

void print_killed(const Killed& killed, std::size_t vectors) {
  std::printf("killed after %s of %s vectors: %s recovered in %.3f s, %s lost (%.2f%%)\n",
              grouped(killed.committed).c_str(), grouped(vectors).c_str(),
              grouped(killed.found.recovered).c_str(), killed.found.recovery_seconds,
              grouped(killed.lost()).c_str(), killed.lost_percent());
  std::printf("  opened again in %.3f s, completed in %.3f s\n", killed.open_seconds,
              killed.resume_seconds);
}

Json report_durability(const DataSet& data, const Options& options, const DurabilityOptions& own,
                       const Killed& killed, const Alternating& builds) {
  const Builds& plain = builds.plain;
  const Builds& journaled = builds.journaled;
  Json document = new_document(options.command_line, builds.stats);
  document["parameters"] = parameters_json(options.params_for(data));
  document["data"] = data_json(data, data.train.rows);
  document["index"] = {{"digest", plain.digests[0]}, {"size", data.train.rows}};
  document["audit"] = audit_json(killed.audit);
  document["durability"] = {{"journal", own.journal},
                            {"threads", builds.stats.threads},
                            {"rounds", own.rounds},
                            {"journal_bytes", journaled.journal.bytes},
                            {"cpu_ratio", spread_json(ratios(journaled.cpu, plain.cpu))},
                            {"wall_ratio", spread_json(ratios(journaled.wall, plain.wall))},
                            {"control_cpu_ratio", spread_json(successive(plain.cpu))},
                            {"control_wall_ratio", spread_json(successive(plain.wall))},
                            {"without_journal", builds_json(plain)},
                            {"with_journal", builds_json(journaled)},
                            {"last_journal", journal_json(journaled.journal)},
                            {"killed", killed_json(killed, own)},
                            {"digests_equal", all_equal(builds, killed.digest)}};
  return document;
}

int durability(Options& options, const DurabilityOptions& own) {
  options.apply();
  const DataSet data = load_data_set(options.data, Need::train);
  print_data(data);
  const WorkFolder folder(own.folder);
  const Killed killed = kill_and_resume(data, options, own, folder);
  print_killed(killed, data.train.rows);
  const Alternating builds = alternate(data, options, own, folder);
  const Json document = report_durability(data, options, own, killed, builds);
  const Json& figures = document["durability"];
  std::printf(
      "\n%u builds with a journal (%s bytes, %s), relative to those without before and after:\n",
      own.rounds, grouped(builds.journaled.journal.bytes).c_str(), own.journal.c_str());
  print_ratios(figures);
  std::printf("digest without %s, with %s, killed and resumed %s: %s\n",
              builds.plain.digests[0].c_str(), builds.journaled.digests[0].c_str(),
              killed.digest.c_str(), figures["digests_equal"] ? "equal" : "NOT EQUAL");
  print_audit(killed.audit);
  write_document(document, options.json);
  return killed.audit.ok && figures["digests_equal"] ? 0 : 1;
}

}  // namespace

void add_durability_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command = *app.add_subcommand(
      "durability", "measure the cost of a journal and the loss of a killed build");
  add_data_options(command, options);
  add_param_options(command, options);
  add_runtime_options(command, options);
  const auto own = std::make_shared<DurabilityOptions>();
  command.add_option("--journal", own->journal, "synced or system")
      ->capture_default_str()
      ->check(CLI::IsMember({"synced", "system"}));
  command
      .add_option("--folder", own->folder,
                  "folder of the journals; its disk decides the cost of syncing")
      ->capture_default_str()
      ->check(CLI::ExistingDirectory);
  command
      .add_option("--rounds", own->rounds,
                  "number of builds with a journal; one more is made without")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command
      .add_option("--kill-at", own->kill_at, "share of the vectors after which a build is killed")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 1.0));
  add_json_option(command, options);
  add_examples(
      command,
      {"durability --dataset sift-128-euclidean.hdf5 --limit 60000 --threads 1 --folder DISK"});
  command.callback(
      [&options, &chosen, own] { chosen = [&options, own] { return durability(options, *own); }; });
}

}  // namespace concord::bench
