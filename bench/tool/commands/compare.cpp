// concord-bench compare: Concord and hnswlib on the same data, in one process, with the same
// parameters and threads.
#include <algorithm>
#include <cstdio>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/commands.hpp"
#include "bench/tool/commands/steps.hpp"
#include "bench/tool/interpolate.hpp"
#include "bench/tool/memory_probe.hpp"
#include "bench/tool/table.hpp"
#include "bench/tool/versus.hpp"

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

/// Rates of both at equal recall, and their ratio; null if the curves do not overlap.
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

/// Concord's recall less hnswlib's at each ef, in percentage points.
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

Json ratios_json(const Versus& versus, const Json& document, double target) {
  const Json deltas = recall_deltas(versus);
  double worst = 0;
  for (std::size_t i = 0; i < deltas.size(); ++i) {
    const double points = deltas[i]["points"];
    worst = i == 0 ? points : std::min(worst, points);
  }
  const Json single = speed_json(versus, &SearchPoint::qps_single_thread, target);
  const Json threaded = speed_json(versus, &SearchPoint::qps, target);
  const auto ratio = [](const Json& speed) { return speed.is_null() ? Json() : speed["ratio"]; };
  const double memory = document["memory"]["index_bytes"];
  const double peer_memory = document["hnswlib"]["memory_bytes"];
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

std::string count(const Json& number) { return grouped(number.get<std::uint64_t>()); }

void print_points(const Versus& versus, std::uint32_t k) {
  std::printf("\nsearch (medians):\n");
  Table table({"ef", "recall@" + std::to_string(k), "hnswlib", "points", "queries/s, 1 thread",
               "hnswlib", "queries/s", "hnswlib", "distances", "hnswlib"});
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
    std::printf(
        "  queries/s, %s: their ranges of recall do not overlap; give more values of --ef\n", name);
    return;
  }
  std::printf("  queries/s at recall %.4f, %s: %.2fx (%s to %s)\n", speed["recall"].get<double>(),
              name, speed["ratio"].get<double>(), count(speed["concord_qps"]).c_str(),
              count(speed["hnswlib_qps"]).c_str());
}

void print_ratios(const Json& document, unsigned threads) {
  const Json& ratios = document["compare"];
  const Json& peer = document["hnswlib"];
  std::printf("\nConcord to hnswlib (%s):\n", peer["isa"].get<std::string>().c_str());
  std::printf("  build rate: %.2fx (%s to %s vectors/s, %u threads)\n",
              ratios["build_ratio"].get<double>(),
              count(document["build"]["vectors_per_second"]).c_str(),
              count(peer["build"]["vectors_per_second"]).c_str(), threads);
  std::printf("  build, processor time: %.2fx (other load on the machine does not count)\n",
              ratios["build_cpu_ratio"].get<double>());
  print_speed("1 thread", ratios["at_equal_recall"]["single_thread"]);
  if (threads > 1) {
    print_speed((std::to_string(threads) + " threads").c_str(),
                ratios["at_equal_recall"]["threads"]);
  }
  std::printf("  recall, worst difference at equal ef: %+.2f points\n",
              ratios["recall_delta"].get<double>());
  std::printf("  memory: %.2fx (%s to %s)\n", ratios["memory_ratio"].get<double>(),
              mebibytes(document["memory"]["index_bytes"].get<std::uint64_t>()).c_str(),
              mebibytes(peer["memory_bytes"].get<std::uint64_t>()).c_str());
  std::printf("  unreachable nodes: %s to %s (%s of them in layer 0)\n",
              count(document["audit"]["unreachable"]).c_str(), count(peer["unreachable"]).c_str(),
              count(peer["unreachable_layer0"]).c_str());
  std::printf("  asymmetric edges: %s to %s\n",
              count(document["audit"]["asymmetric_edges"]).c_str(),
              count(peer["asymmetric_edges"]).c_str());
}

int compare(Options& options, const CompareOptions& compare_options) {
  options.apply();
  const DataSet data = load_data_set(options.data, Need::train_and_queries);
  const IndexParams params = options.params_for(data);
  const unsigned threads = options.runtime.threads;
  print_data(data);

  Versus versus(data.train, data.queries, params, options.runtime, compare_options.rounds);
  versus.build();
  Json document = report_build(options, data, versus.built());
  const double seconds = versus.concord().build_median();
  document["build"]["seconds"] = seconds;
  document["build"]["vectors_per_second"] = static_cast<double>(data.train.rows) / seconds;
  document["build"]["cpu_seconds"] = versus.concord().build_cpu_median();
  document["build"]["rounds"] = versus.concord().build_seconds;

  const GroundTruth truth = find_ground_truth(data, data.train, options.k, threads);
  const Judge judge(data.train, data.queries, data.metric, truth);
  versus.search(judge, options.k, options.efs, options.rescore);
  document["data"]["ground_truth"] = truth.source;
  document["k"] = options.k;
  document["search"] = search_json(versus.concord().points);
  document["hnswlib"] = hnswlib_json(versus, versus.peer().audit(), data.train.rows);
  document["compare"] = ratios_json(versus, document, compare_options.target_recall);
  document["memory"]["peak_rss_bytes"] = peak_resident_bytes();
  print_points(versus, options.k);
  print_ratios(document, threads);
  write_document(document, options.json);
  return document["audit"]["ok"] ? 0 : 1;
}

}  // namespace

void add_compare_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command = *app.add_subcommand(
      "compare", "build and search with Concord and with another library, alternating");
  const auto compare_options = std::make_shared<CompareOptions>();
  add_data_options(command, options);
  add_param_options(command, options);
  add_runtime_options(command, options);
  add_search_options(command, options);
  add_rescore_option(command, options);
  add_json_option(command, options);
  command.add_option("--with", compare_options->with, "the other library")
      ->capture_default_str()
      ->check(CLI::IsMember({"hnswlib"}));
  command.add_option("--rounds", compare_options->rounds, "rounds of measurement")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  command
      .add_option("--target-recall", compare_options->target_recall,
                  "recall at which speeds are compared")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  add_examples(command, {"compare --with hnswlib --dataset sift-128-euclidean.hdf5 --threads 1"});
  command.callback([&options, &chosen, compare_options] {
    chosen = [&options, compare_options] { return compare(options, *compare_options); };
  });
}

}  // namespace concord::bench
