// concord-bench filter: searches that may return a part of the vectors alone, by kind of filter and
// by how many match: recall, work, and speed beside the search without a filter.
#include <algorithm>
#include <cstdio>
#include <limits>
#include <set>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/commands.hpp"
#include "bench/tool/commands/steps.hpp"
#include "bench/tool/filter_kinds.hpp"
#include "bench/tool/input_error.hpp"
#include "bench/tool/measure.hpp"
#include "bench/tool/table.hpp"

namespace concord::bench {
namespace {

struct FilterOptions {
  std::vector<double> selectivities{1, 0.99, 0.9, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.001};
  std::vector<std::string> kinds{"random"};
  std::string attribute;
  unsigned rounds = 5;
};

/// A call for each query, into arrays that stay. Processor time, so that other load adds nothing.
class Runner {
 public:
  Runner(const Index& index, const FloatMatrix& queries, const SearchParams& params)
      : index_(index), queries_(queries), params_(params), found_(queries.rows) {}

  /// Answers all queries with the filters given, null for none; returns the seconds.
  double run(const std::vector<const Filter*>& filters) {
    const double start = cpu_seconds();
    for (std::size_t q = 0; q < queries_.rows; ++q) {
      const MatrixView<const float> query{queries_.row(q), 1, queries_.cols};
      found_[q] = filters[q] == nullptr ? index_.search(query, params_)
                                        : index_.search(query, params_, {.filter = filters[q]});
    }
    return cpu_seconds() - start;
  }
  [[nodiscard]] const std::vector<SearchResult>& found() const noexcept { return found_; }

 private:
  const Index& index_;
  const FloatMatrix& queries_;
  SearchParams params_;
  std::vector<SearchResult> found_;
};

struct Quality {
  double recall = 0;
  double worst = 1;
  double returned_min = 1;  ///< smallest count over min(k, matches)
};

/// An answer is right if it is no farther than the k-th of the exact search with the same filter.
Quality quality_of(const Index& index, const FloatMatrix& queries,
                   const std::vector<const Filter*>& filters, std::uint32_t k,
                   const std::vector<SearchResult>& found) {
  const SearchResult truth = index.exact_search(queries.view(), k, {.filters = filters});
  Quality quality;
  std::size_t judged = 0;  // queries of which anything matches
  for (std::size_t q = 0; q < queries.rows; ++q) {
    const std::size_t wanted = truth.counts[q];
    if (wanted == 0) continue;
    const float farthest = truth.distances[q * k + wanted - 1];
    const auto right =
        std::count_if(found[q].distances.begin(), found[q].distances.begin() + found[q].counts[0],
                      [&](float distance) { return distance <= farthest; });
    const double recall = static_cast<double>(right) / static_cast<double>(wanted);
    quality.recall += recall;
    ++judged;
    quality.worst = std::min(quality.worst, recall);
    quality.returned_min = std::min(quality.returned_min, static_cast<double>(found[q].counts[0]) /
                                                              static_cast<double>(wanted));
  }
  quality.recall = judged > 0 ? quality.recall / static_cast<double>(judged) : 1;
  return quality;
}

std::vector<const Filter*> pointers(const std::vector<Filter>& filters,
                                    const std::vector<std::size_t>& of_query) {
  std::vector<const Filter*> chosen;
  for (const std::size_t which : of_query) chosen.push_back(&filters[which]);
  return chosen;
}

Json measure(Index& index, const DataSet& data, const FilterSet& set, const SearchParams& params,
             unsigned rounds, Table& table) {
  std::vector<Filter> filters;
  for (const Mask& mask : set.masks) filters.push_back(Filter::of_mask(index, mask));
  const std::vector<const Filter*> with = pointers(filters, set.of_query);
  const std::vector<const Filter*> without(data.queries.rows, nullptr);
  const auto queries = static_cast<double>(data.queries.rows);
  double matches = 0;
  for (const Filter* const filter : with) {
    matches += static_cast<double>(filter->matches()) / queries;
  }

  Runner runner(index, data.queries, params);
  runner.run(with);
  const auto before = index.stats().search;
  runner.run(with);
  const auto after = index.stats().search;
  const Quality quality = quality_of(index, data.queries, with, params.k, runner.found());
  std::vector<double> times;
  std::vector<double> plain_times;
  for (unsigned r = 0; r < rounds; ++r) {
    plain_times.push_back(runner.run(without));
    times.push_back(runner.run(with));
  }
  const double time = median(times);
  const double distances = static_cast<double>(after.distances - before.distances) / queries;
  const double rows = static_cast<double>(after.hops - before.hops) / queries;
  const double rescored = static_cast<double>(after.rescored - before.rescored) / queries;
  table.add_row({set.kind, fixed(set.selectivity, 4), std::to_string(params.ef),
                 fixed(params.slack, 2), fixed(matches, 0), fixed(quality.recall, 4),
                 fixed(quality.worst, 2), fixed(quality.returned_min, 2), fixed(distances, 0),
                 fixed(rows, 0), fixed(queries / time, 0), fixed(time / median(plain_times), 2)});
  Json point = {{"kind", set.kind},
                {"selectivity", set.selectivity},
                {"ef", params.ef},
                {"matches", matches},
                {"recall", quality.recall},
                {"recall_worst", quality.worst},
                {"returned_min", quality.returned_min},
                {"distances_per_query", distances},
                {"rows_per_query", rows},
                {"qps", queries / time},
                {"qps_ratio_to_unfiltered", median(plain_times) / time}};
  if (params.slack < std::numeric_limits<float>::infinity()) point["slack"] = params.slack;
  if (rescored > 0) point["rescored_per_query"] = rescored;
  return point;
}

std::vector<FilterSet> wanted_sets(const Options& options, const FilterOptions& own,
                                   const DataSet& data) {
  std::vector<FilterSet> sets;
  if (!own.attribute.empty()) {
    sets.push_back(filters_by_attribute(options.data, data, own.attribute));
    return sets;
  }
  for (const std::string& kind : own.kinds) {
    for (const double selectivity : own.selectivities) {
      sets.push_back(make_filters(data, kind, selectivity, options.runtime.threads));
    }
  }
  return sets;
}

/// The index file, if one is named, else a new index.
Index index_of(const Options& options, const DataSet& data) {
  if (options.index.empty()) {
    return build_index(data.train, options.params_for(data), options.runtime).index;
  }
  Index index = Index::load(options.index, options.runtime);
  const IndexParams& params = index.params();
  if (index.size() != data.train.rows || params.dimension != data.train.cols ||
      params.metric != data.metric) {
    throw InputError(options.index.string() + " is not an index of the vectors of " + data.name);
  }
  return index;
}

int filter(Options& options, const FilterOptions& own) {
  options.apply();
  const DataSet data = load_data_set(options.data, Need::train_and_queries);
  print_data(data);
  Index index = index_of(options, data);
  RuntimeOptions one = options.runtime;
  one.threads = 1;
  index.set_runtime(one);

  Table table({"kind", "share", "ef", "slack", "matches", "recall@" + std::to_string(options.k),
               "worst", "returned", "distances", "lists", "queries/s", "time/unfiltered"});
  Json points = Json::array();
  for (const FilterSet& set : wanted_sets(options, own, data)) {
    for (const std::uint32_t ef : options.efs) {
      for (const float slack : options.slacks) {
        const SearchParams search{options.k, ef, slack, options.rescore};
        points.push_back(measure(index, data, set, search, own.rounds, table));
      }
    }
  }
  table.print();
  Json document = new_document(options.command_line, index.stats());
  document["parameters"] = parameters_json(index.params());
  document["data"] = data_json(data, data.train.rows);
  document["index"] = {{"digest", index.digest()}, {"size", index.size()}};
  document["k"] = options.k;
  document["filter"] = points;
  write_document(document, options.json);
  return 0;
}

}  // namespace

void add_filter_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command = *app.add_subcommand(
      "filter", "search with filters, on one thread: recall, work, and speed beside no filter");
  add_data_options(command, options);
  add_param_options(command, options);
  add_runtime_options(command, options);
  add_search_options(command, options);
  add_slack_option(command, options);
  add_rescore_option(command, options);
  add_json_option(command, options);
  const auto own = std::make_shared<FilterOptions>();
  command.add_option(
      "--index", options.index,
      "index file of the same vectors, in the place of a build; its parameters hold");
  command.add_option("--selectivity", own->selectivities, "shares of the vectors that match")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 1.0));
  command.add_option("--kind", own->kinds, "random, window, near, far, cells")
      ->delimiter(',')
      ->check(CLI::IsMember({"random", "window", "near", "far", "cells"}));
  command.add_option("--attribute", own->attribute,
                     "each query's filter is the rows with its own value of this attribute, in the "
                     "data sets NAME and test_NAME of the HDF5 file");
  command.add_option("--rounds", own->rounds, "measurements of time, of which the median counts")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  add_examples(command,
               {"filter --dataset words-100-angular.hdf5 --limit 100000 --ef 64",
                "filter --dataset debian-384-angular.hdf5 --attribute section --slack 0.1"});
  command.callback(
      [&options, &chosen, own] { chosen = [&options, own] { return filter(options, *own); }; });
}

}  // namespace concord::bench
