// concord-bench shards: what several graphs cost, by counts: distances of a build and of a query at
// each ef, with recall, for each number of shards.
#include <concord/sharded_index.hpp>
#include <cstdio>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/commands.hpp"
#include "bench/tool/commands/steps.hpp"
#include "bench/tool/measure.hpp"
#include "bench/tool/progress_bar.hpp"
#include "bench/tool/table.hpp"

namespace concord::bench {
namespace {

struct ShardsOptions {
  std::vector<std::uint32_t> counts{1, 2, 4, 8};
  std::uint32_t block = 1;
  std::vector<std::string> devices;
};

Json search_points(const ShardedIndex& index, const DataSet& data, const Judge& judge,
                   const Options& options, Table& table) {
  Json points = Json::array();
  for (const std::uint32_t ef : options.efs) {
    const SearchParams params{options.k, ef};
    const std::uint64_t before = index.stats().search.distances;
    const SearchResult found = index.search(data.queries.view(), params);
    const std::uint64_t distances = index.stats().search.distances - before;
    const double per_query =
        static_cast<double>(distances) / static_cast<double>(data.queries.rows);
    const double recall = judge.recall(found.labels, found.k, found.counts);
    const double qps =
        best_rate(data.queries.rows, [&] { (void)index.search(data.queries.view(), params); });
    points.push_back(
        {{"ef", ef}, {"recall", recall}, {"distances_per_query", per_query}, {"qps", qps}});
    table.add_row({std::to_string(index.shards()), std::to_string(ef), fixed(recall, 4),
                   fixed(per_query, 0), grouped(static_cast<std::uint64_t>(qps))});
  }
  return points;
}

Json measure_count(std::uint32_t count, const DataSet& data, const Judge& judge,
                   const Options& options, const ShardsOptions& own, Table& table, bool& sound) {
  ProgressBar bar("building", data.train.rows);
  const auto start = Clock::now();
  ShardedIndex index(options.params_for(data), {count, own.block}, {options.runtime, own.devices});
  index.add(data.train.view(), [&bar](std::uint64_t done, std::uint64_t) {
    bar.update(done);
    return true;
  });
  const double seconds = seconds_since(start);
  const double distances =
      static_cast<double>(index.stats().build.distances) / static_cast<double>(data.train.rows);
  const AuditReport audit = index.audit();
  sound = sound && audit.ok;
  std::printf("%u shards: built in %.2f s, %.0f distances a vector, %s\n", count, seconds,
              distances, audit.ok ? "sound" : "NOT SOUND");
  Json result = {{"count", count},           {"build_distances_per_vector", distances},
                 {"build_seconds", seconds}, {"index_bytes", index.memory().total()},
                 {"digest", index.digest()}, {"device", index.stats().device.name},
                 {"audit_ok", audit.ok}};
  result["search"] = search_points(index, data, judge, options, table);
  return result;
}

int shards(Options& options, const ShardsOptions& own) {
  options.apply();
  const DataSet data = load_data_set(options.data, Need::train_and_queries);
  print_data(data);
  const GroundTruth truth = find_ground_truth(data, data.train, options.k, options.runtime.threads);
  const Judge judge(data.train, data.queries, data.metric, truth);
  Table table({"shards", "ef", "recall@" + std::to_string(options.k), "distances/query", "QPS"});
  bool sound = true;
  Json counts = Json::array();
  for (const std::uint32_t count : own.counts) {
    counts.push_back(measure_count(count, data, judge, options, own, table, sound));
  }
  table.print();
  const IndexParams params = options.params_for(data);
  Json document = new_document(options.command_line, Index(params, options.runtime).stats());
  document["parameters"] = parameters_json(params);
  document["data"] = data_json(data, data.train.rows);
  document["k"] = options.k;
  document["block"] = own.block;
  document["shards"] = counts;
  write_document(document, options.json);
  return sound ? 0 : 1;
}

}  // namespace

void add_shards_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command = *app.add_subcommand(
      "shards", "what several graphs cost: build and search with each number of shards");
  add_data_options(command, options);
  add_param_options(command, options);
  add_runtime_options(command, options);
  add_search_options(command, options);
  add_json_option(command, options);
  const auto own = std::make_shared<ShardsOptions>();
  command.add_option("--shards", own->counts, "numbers of shards")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  command.add_option("--block", own->block, "vectors that stay together")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  command.add_option("--devices", own->devices, "shard s is on the (s mod number)-th of these")
      ->delimiter(',');
  add_examples(command,
               {"shards --dataset sift-128-euclidean.hdf5 --limit 100000 --shards 1,2,4,8"});
  command.callback(
      [&options, &chosen, own] { chosen = [&options, own] { return shards(options, *own); }; });
}

}  // namespace concord::bench
