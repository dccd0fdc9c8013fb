// concord-bench range: searches for all vectors within a radius: how much of it they find, how many
// queries are answered wholly, and what that costs.
#include <algorithm>
#include <cstdio>
#include <limits>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/commands.hpp"
#include "bench/tool/commands/steps.hpp"
#include "bench/tool/input_error.hpp"
#include "bench/tool/measure.hpp"
#include "bench/tool/table.hpp"

namespace concord::bench {
namespace {

struct RangeOptions {
  std::vector<std::uint32_t> ranks{1, 30, 300};
  std::vector<std::uint32_t> efs{64};
  std::vector<float> slacks{RangeParams().slack};
  unsigned rounds = 3;
};

/// A radius, and how many vectors are within it of each query.
struct Ball {
  std::uint32_t rank;
  float radius;
  std::vector<std::size_t> truth;
};

/// The median over the queries of the distance to the rank-th nearest vector. What is within it is
/// counted by a search with an infinite slack, which scans.
Ball ball_of(const Index& index, const FloatMatrix& queries, std::uint32_t rank) {
  const SearchResult nearest = index.exact_search(queries.view(), rank);
  std::vector<double> distances;
  for (std::size_t q = 0; q < queries.rows; ++q) {
    distances.push_back(static_cast<double>(nearest.distances[(q + 1) * rank - 1]));
  }
  Ball ball{rank, std::max(0.0F, static_cast<float>(median(distances))), {}};
  const RangeResult all =
      index.range_search(queries.view(), ball.radius, {1, std::numeric_limits<float>::infinity()});
  for (std::size_t q = 0; q < queries.rows; ++q) {
    ball.truth.push_back(all.lims[q + 1] - all.lims[q]);
  }
  return ball;
}

/// A call for each query; the counts of what was found. Adds the processor time to `seconds`.
std::vector<std::size_t> run(const Index& index, const FloatMatrix& queries, float radius,
                             const RangeParams& params, double& seconds) {
  std::vector<std::size_t> counts;
  counts.reserve(queries.rows);
  const double start = cpu_seconds();
  for (std::size_t q = 0; q < queries.rows; ++q) {
    const MatrixView<const float> query{queries.row(q), 1, queries.cols};
    counts.push_back(index.range_search(query, radius, params).labels.size());
  }
  seconds = cpu_seconds() - start;
  return counts;
}

struct Found {
  double share = 1;     ///< of all pairs of a query and a vector within its radius
  double worst = 1;     ///< the smallest share of a query
  double complete = 0;  ///< the share of queries of which all was found
  double in_range = 0;  ///< vectors within the radius, a query
};

Found judge(const std::vector<std::size_t>& counts, const std::vector<std::size_t>& truth) {
  Found found;
  double pairs = 0;
  double hits = 0;
  for (std::size_t q = 0; q < counts.size(); ++q) {
    pairs += static_cast<double>(truth[q]);
    hits += static_cast<double>(counts[q]);
    found.complete += counts[q] == truth[q] ? 1 : 0;
    if (truth[q] == 0) continue;
    found.worst =
        std::min(found.worst, static_cast<double>(counts[q]) / static_cast<double>(truth[q]));
  }
  if (pairs > 0) found.share = hits / pairs;
  found.complete /= static_cast<double>(counts.size());
  found.in_range = pairs / static_cast<double>(counts.size());
  return found;
}

Json measure(const Index& index, const FloatMatrix& queries, const Ball& ball,
             const RangeParams& params, unsigned rounds, Table& table) {
  double seconds = 0;
  const auto before = index.stats().search;
  const Found found =
      judge(run(index, queries, ball.radius, params, seconds), ball.truth);  // warms up
  const auto after = index.stats().search;
  std::vector<double> times;
  for (unsigned r = 0; r < rounds; ++r) {
    run(index, queries, ball.radius, params, seconds);
    times.push_back(seconds);
  }
  const auto count = static_cast<double>(queries.rows);
  const double distances = static_cast<double>(after.distances - before.distances) / count;
  const double qps = count / median(times);
  table.add_row({std::to_string(ball.rank), fixed(static_cast<double>(ball.radius), 4),
                 std::to_string(params.ef), fixed(params.slack, 2), fixed(found.in_range, 1),
                 fixed(found.share, 5), fixed(found.worst, 2), fixed(found.complete, 4),
                 fixed(distances, 0), fixed(qps, 0)});
  Json point = {{"rank", ball.rank},
                {"radius", ball.radius},
                {"ef", params.ef},
                {"in_range", found.in_range},
                {"found", found.share},
                {"found_worst", found.worst},
                {"complete", found.complete},
                {"distances_per_query", distances},
                {"qps", qps}};
  if (params.slack < std::numeric_limits<float>::infinity()) point["slack"] = params.slack;
  return point;
}

int range(Options& options, const RangeOptions& own) {
  options.apply();
  const DataSet data = load_data_set(options.data, Need::train_and_queries);
  print_data(data);
  for (const std::uint32_t rank : own.ranks) {
    if (rank > data.train.rows) {
      throw InputError("--rank " + std::to_string(rank) + ": there are " +
                       std::to_string(data.train.rows) + " vectors");
    }
  }
  const IndexParams params = options.params_for(data);
  Index index = build_index(data.train, params, options.runtime).index;
  std::vector<Ball> balls;
  for (const std::uint32_t rank : own.ranks) balls.push_back(ball_of(index, data.queries, rank));
  RuntimeOptions one = options.runtime;
  one.threads = 1;
  index.set_runtime(one);

  Table table({"rank", "radius", "ef", "slack", "in range", "found", "worst", "complete",
               "distances", "queries/s"});
  Json points = Json::array();
  for (const Ball& ball : balls) {
    for (const std::uint32_t ef : own.efs) {
      for (const float slack : own.slacks) {
        points.push_back(measure(index, data.queries, ball, {ef, slack}, own.rounds, table));
      }
    }
  }
  table.print();
  Json document = new_document(options.command_line, index.stats());
  document["parameters"] = parameters_json(params);
  document["data"] = data_json(data, data.train.rows);
  document["index"] = {{"digest", index.digest()}, {"size", index.size()}};
  document["range"] = points;
  write_document(document, options.json);
  return 0;
}

}  // namespace

void add_range_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command = *app.add_subcommand(
      "range", "search for all within a radius, on one thread: how much is found, and its cost");
  add_data_options(command, options);
  add_param_options(command, options);
  add_runtime_options(command, options);
  add_json_option(command, options);
  const auto own = std::make_shared<RangeOptions>();
  command
      .add_option("--rank", own->ranks,
                  "the radius is the median distance of the queries to their nearest vector of "
                  "this rank, e.g. 1,30,300")
      ->delimiter(',')
      ->check(CLI::Range(1, 65536));
  command.add_option("--ef", own->efs, "values of ef, the candidates that a search spreads from")
      ->delimiter(',')
      ->check(CLI::Range(1, 65536));
  command
      .add_option("--slack", own->slacks,
                  "spread over vectors within 1 + slack times the radius, e.g. 0,0.05,0.1")
      ->delimiter(',')
      ->check(CLI::Range(0.0F, std::numeric_limits<float>::infinity()));
  command.add_option("--rounds", own->rounds, "measurements of time, of which the median counts")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  add_examples(command,
               {"range --dataset words-100-angular.hdf5 --limit 100000 --rank 1,30,300",
                "range --dataset sift-128-euclidean.hdf5 --limit 200000 --slack 0,0.05,0.1"});
  command.callback(
      [&options, &chosen, own] { chosen = [&options, own] { return range(options, *own); }; });
}

}  // namespace concord::bench
