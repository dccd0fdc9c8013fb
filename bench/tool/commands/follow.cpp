// concord-bench follow: a replica of an index that another process changes, and what it costs.
//
// It polls: each interval it catches up, and prints a line if something came. The cost is the
// processor time of this process behind the opening, polls included. Ctrl-C ends it as --idle does;
// the second one ends the process.
#include <algorithm>
#include <concord/replica.hpp>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <limits>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/commands.hpp"
#include "bench/tool/measure.hpp"
#include "bench/tool/result_document.hpp"
#include "bench/tool/table.hpp"

namespace concord::bench {
namespace {

struct FollowOptions {
  std::filesystem::path path;
  double interval = 0.01;
  double idle = std::numeric_limits<double>::infinity();
};

struct Followed {
  std::uint64_t operations = 0;
  std::uint64_t polls = 0;
  double cpu_seconds = 0;
  std::vector<double> busy;  ///< seconds of each poll in which something came, sorted
};

void print_step(double seconds, std::uint64_t came, const Index& index) {
  std::printf("%9.3f s: %s operations, %s vectors\n", seconds, grouped(came).c_str(),
              grouped(index.size()).c_str());
  std::fflush(stdout);
}

volatile std::sig_atomic_t is_interrupted = 0;

void end_when_interrupted() {
  struct sigaction action {};
  action.sa_handler = [](int) { is_interrupted = 1; };
  action.sa_flags = SA_RESETHAND;
  ::sigaction(SIGINT, &action, nullptr);
}

// A signal ends it.
void sleep_for(double seconds) {
  const auto whole = static_cast<std::time_t>(seconds);
  const timespec time{whole, static_cast<long>(1e9 * (seconds - static_cast<double>(whole)))};
  ::nanosleep(&time, nullptr);
}

Followed follow(Replica& replica, const FollowOptions& own) {
  Followed followed;
  const double cpu = cpu_seconds();
  const Clock::time_point begin = Clock::now();
  Clock::time_point last = begin;
  while (is_interrupted == 0 && seconds_since(last) < own.idle) {
    sleep_for(own.interval);
    const Clock::time_point start = Clock::now();
    const std::uint64_t came = replica.catch_up();
    ++followed.polls;
    if (came == 0) continue;
    last = Clock::now();
    followed.operations += came;
    followed.busy.push_back(seconds_since(start));
    print_step(seconds_since(begin), came, *replica.index());
  }
  followed.cpu_seconds = cpu_seconds() - cpu;
  std::sort(followed.busy.begin(), followed.busy.end());
  return followed;
}

Json followed_json(const Followed& followed, const FollowOptions& own, double open_seconds) {
  return {{"interval", own.interval},
          {"open_seconds", open_seconds},
          {"operations", followed.operations},
          {"polls", followed.polls},
          {"cpu_seconds", followed.cpu_seconds},
          {"catch_up_p50_seconds", quantile(followed.busy, 0.5)},
          {"catch_up_p99_seconds", quantile(followed.busy, 0.99)}};
}

int follow(Options& options, const FollowOptions& own) {
  options.apply();
  const Clock::time_point start = Clock::now();
  Replica replica = Replica::open(own.path, options.runtime);
  const double open_seconds = seconds_since(start);
  end_when_interrupted();
  std::printf("%s: %s vectors, read in %.3f s\n", own.path.c_str(),
              grouped(replica.index()->size()).c_str(), open_seconds);
  std::fflush(stdout);
  const Followed followed = follow(replica, own);
  const std::shared_ptr<const Index> index = replica.index();
  const std::string digest = index->digest();
  std::printf("%s operations in %.3f s of processor time, %s polls\ndigest: %s\n",
              grouped(followed.operations).c_str(), followed.cpu_seconds,
              grouped(followed.polls).c_str(), digest.c_str());
  Json document = new_document(options.command_line, index->stats());
  document["index"] = {{"digest", digest}, {"size", index->size()}};
  document["follow"] = followed_json(followed, own, open_seconds);
  write_document(document, options.json);
  return 0;
}

}  // namespace

void add_follow_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command = *app.add_subcommand(
      "follow", "follow an index that another process changes, until Ctrl-C or --idle");
  const auto own = std::make_shared<FollowOptions>();
  command.add_option("path", own->path, "index file; its journal is beside it")->required();
  command.add_option("--interval", own->interval, "seconds from one look to the next")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0));
  command.add_option("--idle", own->idle, "end when nothing has come for so many seconds")
      ->check(CLI::Range(0.0, 86400.0));
  add_runtime_options(command, options);
  add_json_option(command, options);
  add_examples(command, {"follow base.concord", "follow base.concord --idle 5 --json follow.json"});
  command.callback(
      [&options, &chosen, own] { chosen = [&options, own] { return follow(options, *own); }; });
}

}  // namespace concord::bench
