// concord-bench compare: Concord beside hnswlib, same data, process, parameters and threads.
#include <algorithm>
#include <cstdio>

#include "bench/commands/commands.hpp"
#include "bench/commands/steps.hpp"
#include "bench/interpolate.hpp"
#include "bench/memory_probe.hpp"
#include "bench/table.hpp"
#include "bench/versus.hpp"

namespace concord::bench {
namespace {

struct CompareOptions {
  std::string with = "hnswlib";
  unsigned rounds = 3;
  double target_recall = 0.95;
};

std::vector<CurvePoint> curve(const Contender& contender, double SearchPoint::*rate) {
  std::vector<CurvePoint> result;
  for (const SearchPoint& point : contender.points) result.push_back({point.recall, point.*rate});
  return result;
}

/// Rates of both at equal recall, and their ratio; null where the curves do not overlap.
Json speed_json(const Versus& versus, double SearchPoint::*rate, double target) {
  const auto ours = curve(versus.concord(), rate);
  const auto theirs = curve(versus.hnswlib(), rate);
  const auto recall = common_recall(ours, theirs, target);
  if (!recall) return nullptr;
  const auto our_rate = rate_at(ours, *recall);
  const auto their_rate = rate_at(theirs, *recall);
  if (!our_rate || !their_rate) return nullptr;
  return {{"recall", *recall},
          {"concord_qps", *our_rate},
          {"hnswlib_qps", *their_rate},
          {"ratio", *our_rate / *their_rate}};
}

/// Points of a hundred by which Concord's recall is above hnswlib's, at each ef.
Json recall_deltas(const Versus& versus) {
  Json deltas = Json::array();
  for (std::size_t i = 0; i < versus.concord().points.size(); ++i) {
    const SearchPoint& ours = versus.concord().points[i];
    const SearchPoint& theirs = versus.hnswlib().points[i];
    deltas.push_back({{"ef", ours.ef},
                      {"points", 100 * (ours.recall - theirs.recall)},
                      {"distance_ratio", ours.distances_per_query / theirs.distances_per_query}});
  }
  return deltas;
}

Json hnswlib_json(const Versus& versus, const PeerAudit& audit, std::size_t vectors) {
  const double seconds = versus.hnswlib().build_median();
  return {{"isa", versus.peer().isa()},
          {"build",
           {{"seconds", seconds},
            {"vectors_per_second", static_cast<double>(vectors) / seconds},
            {"cpu_seconds", versus.hnswlib().build_cpu_median()},
            {"rounds", versus.hnswlib().build_seconds}}},
          {"search", search_json(versus.hnswlib().points)},
          {"memory_bytes", versus.peer().memory_bytes()},
          {"unreachable", audit.unreachable},
          {"unreachable_layer0", audit.unreachable_layer0},
          {"asymmetric_edges", audit.asymmetric_edges},
          {"directed_edges", audit.directed_edges}};
}

Json ratios_json(const Versus& versus, const Json& report, double target) {
  const Json deltas = recall_deltas(versus);
  double worst = 0;
  for (std::size_t i = 0; i < deltas.size(); ++i) {
    const double points = deltas[i]["points"];
    worst = i == 0 ? points : std::min(worst, points);
  }
  const Json single = speed_json(versus, &SearchPoint::qps_single_thread, target);
  const Json threaded = speed_json(versus, &SearchPoint::qps, target);
  const auto ratio = [](const Json& speed) { return speed.is_null() ? Json() : speed["ratio"]; };
  const double memory = report["memory"]["index_bytes"];
  const double peer_memory = report["hnswlib"]["memory_bytes"];
  return {{"with", "hnswlib"},
          {"build_ratio", versus.hnswlib().build_median() / versus.concord().build_median()},
          {"build_cpu_ratio",
           versus.hnswlib().build_cpu_median() / versus.concord().build_cpu_median()},
          {"qps_ratio", ratio(single)},
          {"qps_ratio_threads", ratio(threaded)},
          {"recall_delta", worst},
          {"memory_ratio", memory / peer_memory},
          {"at_equal_recall", {{"single_thread", single}, {"threads", threaded}}},
          {"by_ef", deltas}};
}

void print_points(const Versus& versus, std::uint32_t k) {
  std::printf("\nsearch (medians):\n");
  Table table({"ef", "recall@" + std::to_string(k), "hnswlib", "points", "queries/s, 1 thread",
               "hnswlib", "queries/s", "hnswlib", "distances", "hnswlib"});
  const auto whole = [](double value) { return grouped(static_cast<std::uint64_t>(value)); };
  for (std::size_t i = 0; i < versus.concord().points.size(); ++i) {
    const SearchPoint& ours = versus.concord().points[i];
    const SearchPoint& theirs = versus.hnswlib().points[i];
    table.add_row({std::to_string(ours.ef), fixed(ours.recall, 4), fixed(theirs.recall, 4),
                   fixed(100 * (ours.recall - theirs.recall), 2), whole(ours.qps_single_thread),
                   whole(theirs.qps_single_thread), whole(ours.qps), whole(theirs.qps),
                   fixed(ours.distances_per_query, 1), fixed(theirs.distances_per_query, 1)});
  }
  table.print();
}

void print_speed(const char* name, const Json& speed) {
  if (speed.is_null()) {
    std::printf("  queries/s, %s: the recalls do not overlap; search with more values of ef\n",
                name);
    return;
  }
  std::printf("  queries/s at recall %.4f, %s: %.2fx (%s to %s)\n", speed["recall"].get<double>(),
              name, speed["ratio"].get<double>(),
              grouped(speed["concord_qps"].get<std::uint64_t>()).c_str(),
              grouped(speed["hnswlib_qps"].get<std::uint64_t>()).c_str());
}

void print_ratios(const Json& report, unsigned threads) {
  const Json& ratios = report["compare"];
  const Json& peer = report["hnswlib"];
  std::printf("\nConcord to hnswlib (%s):\n", peer["isa"].get<std::string>().c_str());
  std::printf("  build rate: %.2fx (%s to %s vectors/s, %u threads)\n",
              ratios["build_ratio"].get<double>(),
              grouped(report["build"]["vectors_per_second"].get<std::uint64_t>()).c_str(),
              grouped(peer["build"]["vectors_per_second"].get<std::uint64_t>()).c_str(), threads);
  std::printf("  build, processor time: %.2fx (which other load on the machine does not touch)\n",
              ratios["build_cpu_ratio"].get<double>());
  print_speed("1 thread", ratios["at_equal_recall"]["single_thread"]);
  if (threads > 1) {
    print_speed((std::to_string(threads) + " threads").c_str(),
                ratios["at_equal_recall"]["threads"]);
  }
  std::printf("  recall, worst difference at an ef: %+.2f points\n",
              ratios["recall_delta"].get<double>());
  std::printf("  memory: %.2fx (%s to %s)\n", ratios["memory_ratio"].get<double>(),
              mebibytes(report["memory"]["index_bytes"].get<std::uint64_t>()).c_str(),
              mebibytes(peer["memory_bytes"].get<std::uint64_t>()).c_str());
  std::printf("  unreachable nodes: %s to %s (%s of them in layer 0)\n",
              grouped(report["audit"]["unreachable"].get<std::uint64_t>()).c_str(),
              grouped(peer["unreachable"].get<std::uint64_t>()).c_str(),
              grouped(peer["unreachable_layer0"].get<std::uint64_t>()).c_str());
  std::printf("  asymmetric edges: %s to %s\n",
              grouped(report["audit"]["asymmetric_edges"].get<std::uint64_t>()).c_str(),
              grouped(peer["asymmetric_edges"].get<std::uint64_t>()).c_str());
}

int compare(Options& options, const CompareOptions& compare_options) {
  options.apply();
  const DataSet data = load_data_set(options.data, Need::train_and_queries);
  const IndexParams params = options.params_for(data);
  const unsigned threads = options.runtime.threads;
  print_data(data);

  Versus versus(data.train, data.queries, params, options.runtime, compare_options.rounds);
  versus.build();
  Json report = report_build(options, data, versus.built());
  const double seconds = versus.concord().build_median();
  report["build"]["seconds"] = seconds;
  report["build"]["vectors_per_second"] = static_cast<double>(data.train.rows) / seconds;
  report["build"]["cpu_seconds"] = versus.concord().build_cpu_median();
  report["build"]["rounds"] = versus.concord().build_seconds;

  const GroundTruth truth = find_ground_truth(data, data.train, options.k, threads);
  const Judge judge(data.train, data.queries, data.metric, truth);
  versus.search(judge, options.k, options.efs);
  report["data"]["ground_truth"] = truth.source;
  report["k"] = options.k;
  report["search"] = search_json(versus.concord().points);
  report["hnswlib"] = hnswlib_json(versus, versus.peer().audit(), data.train.rows);
  report["compare"] = ratios_json(versus, report, compare_options.target_recall);
  report["memory"]["peak_rss_bytes"] = peak_resident_bytes();
  print_points(versus, options.k);
  print_ratios(report, threads);
  write_report(report, options.json);
  return report["audit"]["ok"] ? 0 : 1;
}

}  // namespace

void add_compare_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command = *app.add_subcommand("compare", "Concord beside another library");
  const auto compare_options = std::make_shared<CompareOptions>();
  add_data_options(command, options);
  add_param_options(command, options);
  add_runtime_options(command, options);
  add_search_options(command, options);
  add_json_option(command, options);
  command.add_option("--with", compare_options->with, "the other library")
      ->capture_default_str()
      ->check(CLI::IsMember({"hnswlib"}));
  command.add_option("--rounds", compare_options->rounds, "measured rounds, alternating")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  command
      .add_option("--target-recall", compare_options->target_recall,
                  "recall at which speeds are compared")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  command.callback([&options, &chosen, compare_options] {
    chosen = [&options, compare_options] { return compare(options, *compare_options); };
  });
}

}  // namespace concord::bench
