// concord-bench tune: the presets that Index::tune finds from the vectors of the index alone,
// judged by queries that are not in it, beside the cheapest search of a grid that reaches the goal.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/commands.hpp"
#include "bench/tool/commands/steps.hpp"
#include "bench/tool/measure.hpp"
#include "bench/tool/table.hpp"

namespace concord::bench {
namespace {

struct TuneOptions {
  std::vector<double> recalls{0.9, 0.95, 0.99};
  std::uint32_t sample = TuneParams().sample;
  bool grid = true;
};

constexpr float kNoSlack = std::numeric_limits<float>::infinity();

/// Widths from k on, each a twentieth above the last.
std::vector<std::uint32_t> grid_of_efs(std::uint32_t k, std::size_t size) {
  std::vector<std::uint32_t> efs;
  const auto most = static_cast<std::uint32_t>(std::min<std::size_t>(size, 4096));
  for (std::uint32_t ef = k; ef < most; ef += 1 + ef / 20) efs.push_back(ef);
  efs.push_back(std::max(k, most));
  return efs;
}

std::vector<float> grid_of_slacks(Metric metric) {
  std::vector<float> slacks{kNoSlack};
  if (metric == Metric::inner_product) return slacks;
  for (int i = 1; i <= 20; ++i) slacks.push_back(0.01f * static_cast<float>(i));
  for (int i = 5; i <= 10; ++i) slacks.push_back(0.05f * static_cast<float>(i));
  return slacks;
}

/// The queries that are not in the index, and what searches find of them.
class HeldOut {
 public:
  HeldOut(const Index& index, const DataSet& data, const Judge& judge, std::uint32_t k)
      : index_(index), data_(data), judge_(judge), k_(k) {}

  /// Without codes, as presets are.
  [[nodiscard]] SearchPoint measure(std::uint32_t ef, float slack) const {
    return measure_quality(index_, data_.queries, judge_,
                           {.k = k_, .ef = ef, .slack = slack, .use_codes = false});
  }
  /// The cheapest point of the grid whose recall reaches the goal. With a wider ef the recall does
  /// not fall, so a bisection finds the least.
  [[nodiscard]] std::optional<SearchPoint> best(double goal) const {
    const std::vector<std::uint32_t> efs = grid_of_efs(k_, index_.size());
    std::optional<SearchPoint> best;
    for (const float slack : grid_of_slacks(index_.params().metric)) {
      SearchPoint found = measure(efs.back(), slack);
      if (found.recall < goal) continue;
      for (std::size_t first = 0, last = efs.size() - 1; first < last;) {
        const std::size_t middle = (first + last) / 2;
        const SearchPoint tried = measure(efs[middle], slack);
        if (tried.recall < goal) {
          first = middle + 1;
        } else {
          last = middle;
          found = tried;
        }
      }
      if (!best || found.distances_per_query < best->distances_per_query) best = found;
    }
    return best;
  }

 private:
  const Index& index_;
  const DataSet& data_;
  const Judge& judge_;
  std::uint32_t k_;
};

/// Infinity has no number in JSON.
Json slack_json(float slack) { return slack < kNoSlack ? Json(slack) : Json(nullptr); }

Json judge_goal(Index& index, const HeldOut& held_out, double goal, const Options& options,
                const TuneOptions& own, Table& table) {
  const Clock::time_point start = Clock::now();
  const Preset preset = index.tune({.recall = goal, .k = options.k, .sample = own.sample});
  const double seconds = seconds_since(start);
  const SearchPoint there = held_out.measure(preset.ef, preset.slack);
  Json point = {{"goal", goal},
                {"ef", preset.ef},
                {"slack", slack_json(preset.slack)},
                {"sample", preset.queries},
                {"sample_recall", preset.measured},
                {"at_least", preset.at_least},
                {"sample_distances_per_query", preset.distances},
                {"recall", there.recall},
                {"distances_per_query", there.distances_per_query},
                {"seconds", seconds}};
  std::string best_text = "-";
  std::string ratio_text = "-";
  if (own.grid) {
    if (const auto best = held_out.best(goal)) {
      const double ratio = there.distances_per_query / best->distances_per_query;
      point["best"] = {{"ef", best->ef},
                       {"slack", slack_json(best->slack)},
                       {"recall", best->recall},
                       {"distances_per_query", best->distances_per_query}};
      point["cost_ratio"] = ratio;
      best_text = std::to_string(best->ef) + ", " + fixed(best->slack, 2);
      ratio_text = fixed(ratio, 3);
    }
  }
  table.add_row({fixed(goal, 3), std::to_string(preset.ef), fixed(preset.slack, 3),
                 std::to_string(preset.queries), fixed(preset.measured, 4),
                 fixed(preset.at_least, 4), fixed(there.recall, 4),
                 fixed(there.distances_per_query, 0), best_text, ratio_text, fixed(seconds, 1)});
  return point;
}

int tune(Options& options, const TuneOptions& own) {
  options.apply();
  const DataSet data = load_data_set(options.data, Need::train_and_queries);
  print_data(data);
  const IndexParams params = options.params_for(data);
  Index index = build_index(data.train, params, options.runtime).index;
  const GroundTruth truth = find_ground_truth(data, data.train, index, options);
  const Judge judge(data.train, data.queries, data.metric, truth);
  const HeldOut held_out(index, data, judge, options.k);

  Table table({"goal", "ef", "slack", "sample", "recall there", "at least",
               "recall@" + std::to_string(options.k), "distances", "best of grid", "cost/best",
               "seconds"});
  Json points = Json::array();
  for (const double goal : own.recalls) {
    points.push_back(judge_goal(index, held_out, goal, options, own, table));
  }
  table.print();
  if (!options.out.empty()) index.save(options.out);
  Json document = new_document(options.command_line, index.stats());
  document["parameters"] = parameters_json(params);
  document["data"] = data_json(data, data.train.rows);
  document["data"]["ground_truth"] = truth.source;
  document["index"] = {{"digest", index.digest()}, {"size", index.size()}};
  document["k"] = options.k;
  document["tune"] = points;
  write_document(document, options.json);
  return 0;
}

}  // namespace

void add_tune_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command = *app.add_subcommand(
      "tune", "find the cheapest ef and slack for a recall, and judge them by other queries");
  add_data_options(command, options);
  add_param_options(command, options);
  add_runtime_options(command, options);
  add_json_option(command, options);
  add_out_option(command, options, "the index, with its presets beside it");
  const auto own = std::make_shared<TuneOptions>();
  command.add_option("--k", options.k, "neighbors")
      ->capture_default_str()
      ->check(CLI::Range(1, 65536));
  command.add_option("--recall", own->recalls, "goals, above 0 and below 1")->delimiter(',');
  command.add_option("--sample", own->sample, "vectors of the index that are taken as queries")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command.add_flag("!--no-grid", own->grid, "do not search the grid for the best point");
  add_examples(command, {"tune --dataset sift-128-euclidean.hdf5 --limit 60000 --recall 0.95,0.99",
                         "tune --synthetic 60000,64 --no-grid --out tuned.concord"});
  command.callback(
      [&options, &chosen, own] { chosen = [&options, own] { return tune(options, *own); }; });
}

}  // namespace concord::bench
