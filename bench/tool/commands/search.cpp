// concord-bench search: recall and speed of a saved index on any set of queries.
#include <algorithm>
#include <cstdio>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/commands.hpp"
#include "bench/tool/commands/steps.hpp"
#include "bench/tool/table.hpp"

namespace concord::bench {
namespace {

/// The index's own vectors, in the order of `labels`. Answers are judged by them, so that the data
/// set need not hold the vectors.
FloatMatrix vectors_of(const Index& index, const std::vector<std::uint64_t>& labels) {
  FloatMatrix vectors(labels.size(), index.params().dimension);
  for (std::size_t r = 0; r < labels.size(); ++r) {
    std::ranges::copy(index.vector(labels[r]), vectors.row(r));
  }
  return vectors;
}

DataSet load_queries(const Options& options, const IndexParams& params) {
  DataSet data = load_data_set(options.data, Need::queries);
  const bool same_metric = data.metric == params.metric;
  if (options.data.metric && !same_metric) {
    throw InputError(std::string("the index has metric ") + to_string(params.metric) +
                     "; --metric cannot change it");
  }
  if (!same_metric) data.neighbors = {};
  data.metric = params.metric;
  if (data.queries.cols != params.dimension) {
    throw InputError(data.name + ": queries have dimension " + std::to_string(data.queries.cols) +
                     ", but the index has " + std::to_string(params.dimension));
  }
  return data;
}

/// The saved index, read or mapped. `document` receives the seconds, and with a mapped file those
/// of its check.
Index open_index(const Options& options, bool mapped, Json& document) {
  const Clock::time_point start = Clock::now();
  Index index = mapped ? Index::map(options.index, MapCheck::on_first_use, options.runtime)
                       : Index::load(options.index, options.runtime);
  const double opened = seconds_since(start);
  document = {{"mapped", mapped}, {"seconds", opened}};
  std::printf("%s in %.1f ms\n", mapped ? "mapped" : "loaded", 1e3 * opened);
  if (mapped) {
    (void)index.search({}, {});  // the first search checks what searches use
    const double checked = seconds_since(start);
    document["with_check_seconds"] = checked;
    std::printf("checked by %.1f ms\n", 1e3 * checked);
  }
  return index;
}

int search(Options& options, bool mapped) {
  options.apply();
  Json opened;
  Index index = open_index(options, mapped, opened);
  const DataSet data = load_queries(options, index.params());
  std::printf("index: %s, %s vectors\n", options.index.c_str(), grouped(index.size()).c_str());
  print_data(data);

  // Stored neighbors are row numbers; in an index built from the same file rows are the labels,
  // and labels in insertion order count up. Otherwise the check finds them wrong.
  const std::vector<std::uint64_t> labels = index.labels();
  const FloatMatrix vectors = vectors_of(index, labels);
  const GroundTruth truth = find_ground_truth(data, vectors, options.k, options.runtime.threads);
  const Judge judge(vectors, data.queries, data.metric, truth, labels);

  Json document = new_document(options.command_line, index.stats());
  document["parameters"] = parameters_json(index.params());
  document["data"] = data_json(data, index.size());
  document["data"]["ground_truth"] = truth.source;
  document["open"] = opened;
  document["index"] = {{"digest", index.digest()}, {"size", index.size()}};
  document["memory"] = memory_json(index.memory(), nullptr);
  search_and_report(index, data, judge, options, document);
  std::printf("  true neighbors: %s\n", truth.source.c_str());
  write_document(document, options.json);
  return 0;
}

}  // namespace

void add_search_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command = *app.add_subcommand(
      "search", "search a saved index with the queries of --dataset: its test set, or all rows");
  add_index_option(command, options);
  add_data_options(command, options);
  add_runtime_options(command, options);
  add_search_options(command, options);
  add_slack_option(command, options);
  add_rescore_option(command, options);
  add_batch_options(command, options);
  add_json_option(command, options);
  const auto mapped = std::make_shared<bool>(false);
  command.add_flag("--map", *mapped, "map the file instead of reading it");
  add_examples(
      command,
      {"search --index base.concord --dataset queries.fvecs --ef 20,40,80",
       "search --index base.concord --dataset queries.fvecs --ef 512 --slack 0.02,0.04,0.08"});
  command.callback([&options, &chosen, mapped] {
    chosen = [&options, mapped] { return search(options, *mapped); };
  });
}

}  // namespace concord::bench
