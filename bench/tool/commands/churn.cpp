// concord-bench churn: what removal and replacement cost, and what they leave of the graph. Vectors
// leave and others come in rounds; recall and distances are measured on the way, and at the end in
// an index that is built anew from the vectors that are left.
#include <algorithm>
#include <cstdio>
#include <deque>
#include <random>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/commands.hpp"
#include "bench/tool/commands/steps.hpp"
#include "bench/tool/input_error.hpp"
#include "bench/tool/measure.hpp"
#include "bench/tool/progress_bar.hpp"
#include "bench/tool/table.hpp"

namespace concord::bench {
namespace {

struct ChurnOptions {
  double turnovers = 1;
  double round = 0.01;
  std::string pattern = "random";
  std::uint32_t points = 4;  ///< measurements on the way
};

using Labels = std::vector<std::uint64_t>;

/// Which vectors are in the index. A vector's label is its row of the data, but that an update
/// leaves the label and takes another row.
class Population {
 public:
  Population(const FloatMatrix& data, std::size_t size) : data_(data) {
    for (std::size_t row = 0; row < data.rows; ++row) {
      if (row >= size) {
        spare_.push_back(row);
        continue;
      }
      labels_.push_back(row);
      rows_.push_back(row);
    }
  }

  [[nodiscard]] std::size_t size() const { return labels_.size(); }
  [[nodiscard]] Labels labels() const { return {labels_.begin(), labels_.end()}; }
  [[nodiscard]] FloatMatrix vectors() const { return rows_of({rows_.begin(), rows_.end()}); }

  Labels take_oldest(std::size_t count) {
    Labels labels;
    for (; count > 0; --count) labels.push_back(take(0));
    return labels;
  }
  Labels take_random(std::size_t count) {
    Labels labels;
    for (; count > 0; --count) labels.push_back(take(draw(labels_.size())));
    return labels;
  }
  /// A vector drawn at random and those nearest to it.
  Labels take_cluster(const Index& index, std::size_t count) {
    const std::size_t row = rows_[draw(rows_.size())];
    const MatrixView<const float> centre{data_.row(row), 1, data_.cols};
    Labels labels = index.exact_search(centre, static_cast<std::uint32_t>(count)).labels;
    for (const std::uint64_t label : labels) {
      take(static_cast<std::size_t>(std::find(labels_.begin(), labels_.end(), label) -
                                    labels_.begin()));
    }
    return labels;
  }
  /// As many vectors that are not in the index, with their rows as labels.
  FloatMatrix put(std::size_t count, Labels& labels) {
    const Labels rows = draw_spare(count);
    labels = rows;
    labels_.insert(labels_.end(), rows.begin(), rows.end());
    rows_.insert(rows_.end(), rows.begin(), rows.end());
    return rows_of(rows);
  }
  /// Others in the place of as many, drawn at random.
  FloatMatrix replace(std::size_t count, Labels& labels) {
    const Labels rows = draw_spare(count);
    for (std::size_t i = 0; i < count; ++i) {  // each once: they are moved to the end
      const std::size_t place = draw(labels_.size() - i);
      const std::size_t last = labels_.size() - 1 - i;
      std::swap(labels_[place], labels_[last]);
      std::swap(rows_[place], rows_[last]);
      labels.push_back(labels_[last]);
      spare_.push_back(rows_[last]);
      rows_[last] = rows[i];
    }
    return rows_of(rows);
  }

 private:
  std::uint64_t take(std::size_t place) {
    const std::uint64_t label = labels_[place];
    spare_.push_back(rows_[place]);
    labels_.erase(labels_.begin() + static_cast<std::ptrdiff_t>(place));
    rows_.erase(rows_.begin() + static_cast<std::ptrdiff_t>(place));
    return label;
  }
  Labels draw_spare(std::size_t count) {
    Labels rows;
    for (; count > 0; --count) {
      std::swap(spare_[draw(spare_.size())], spare_.back());
      rows.push_back(spare_.back());
      spare_.pop_back();
    }
    return rows;
  }
  [[nodiscard]] FloatMatrix rows_of(const Labels& rows) const {
    FloatMatrix matrix(rows.size(), data_.cols);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      std::copy_n(data_.row(rows[i]), data_.cols, matrix.row(i));
    }
    return matrix;
  }
  std::size_t draw(std::size_t below) { return random_() % below; }

  const FloatMatrix& data_;
  std::deque<std::uint64_t> labels_, rows_;  ///< in the order of insertion, unless updated
  std::vector<std::uint64_t> spare_;         ///< rows that are not in the index
  std::mt19937_64 random_{1};
};

/// Of some rounds. Seals fall into removals and additions alike, so the sum of both is the price.
struct Costs {
  std::size_t removals = 0;
  double seconds = 0;                ///< of the calls that remove
  std::uint64_t distances = 0;       ///< of those
  std::uint64_t both_distances = 0;  ///< and of those that add
};

Json measure(const Index& index, const Population& population, const DataSet& data,
             const Options& options, const std::string& name, Table& table) {
  const FloatMatrix vectors = population.vectors();
  const Labels labels = population.labels();
  const GroundTruth truth = find_ground_truth(data, vectors, options.k, options.runtime.threads);
  const Judge judge(vectors, data.queries, data.metric, truth, labels);
  Json points = Json::array();
  for (const std::uint32_t ef : options.efs) {
    const SearchPoint point = measure_quality(index, data.queries, judge, {options.k, ef});
    points.push_back(
        {{"ef", ef}, {"recall", point.recall}, {"distances_per_query", point.distances_per_query}});
    table.add_row(
        {name, std::to_string(ef), fixed(point.recall, 4), fixed(point.distances_per_query, 0)});
  }
  return points;
}

void play_round(Index& index, Population& population, const std::string& pattern, std::size_t count,
                Costs& costs) {
  const auto at_first = index.stats().build.distances;
  Labels labels;
  if (pattern == "update") {
    const FloatMatrix vectors = population.replace(count, labels);
    const auto before = index.stats().build.distances;
    const auto start = Clock::now();
    index.update(vectors.view(), labels);
    costs.seconds += seconds_since(start);
    costs.distances += index.stats().build.distances - before;
  } else {
    labels = pattern == "fifo"       ? population.take_oldest(count)
             : pattern == "clusters" ? population.take_cluster(index, count)
                                     : population.take_random(count);
    const auto before = index.stats().build.distances;
    const auto start = Clock::now();
    index.remove(labels);
    costs.seconds += seconds_since(start);
    costs.distances += index.stats().build.distances - before;
    Labels added;
    const FloatMatrix vectors = population.put(labels.size(), added);
    index.add(vectors.view(), added);
  }
  costs.removals += labels.size();
  costs.both_distances += index.stats().build.distances - at_first;
}

Json point_of(const Index& index, double turnovers, const Costs& costs, const Json& search) {
  const double removals = static_cast<double>(std::max<std::size_t>(1, costs.removals));
  return {
      {"turnovers", turnovers},
      {"size", index.size()},
      {"removals_per_second", costs.seconds > 0 ? removals / costs.seconds : 0},
      {"distances_per_removal", static_cast<double>(costs.distances) / removals},
      {"distances_per_removal_and_addition", static_cast<double>(costs.both_distances) / removals},
      {"memory_bytes", index.memory().total()},
      {"search", search}};
}

int churn(Options& options, const ChurnOptions& own) {
  options.apply();
  const std::size_t limit = options.data.limit;
  options.data.limit = 0;
  const DataSet data = load_data_set(options.data, Need::train_and_queries);
  print_data(data);
  const std::size_t size = limit == 0 ? data.train.rows / 2 : limit;
  const std::size_t count =
      std::max<std::size_t>(1, static_cast<std::size_t>(own.round * static_cast<double>(size)));
  if (size == 0 || size + count > data.train.rows) {
    throw InputError("churn needs vectors that are not in the index: " +
                     std::to_string(size + count) + " of them or more, the data have " +
                     std::to_string(data.train.rows) + "; give a smaller --limit");
  }
  const IndexParams params = options.params_for(data);
  Population population(data.train, size);
  Index index(params, options.runtime);
  index.add(population.vectors().view());
  Table table({"turnovers", "ef", "recall@" + std::to_string(options.k), "distances/query"});
  Costs costs;
  Json points = Json::array();
  points.push_back(
      point_of(index, 0, costs, measure(index, population, data, options, "0", table)));
  const auto rounds = static_cast<std::size_t>(own.turnovers * static_cast<double>(size) /
                                               static_cast<double>(count));
  ProgressBar bar("churning", rounds);
  for (std::size_t round = 1; round <= rounds; ++round) {
    play_round(index, population, own.pattern, count, costs);
    bar.update(round);
    if (round * own.points / rounds == (round - 1) * own.points / rounds) continue;
    const double turnovers = static_cast<double>(round * count) / static_cast<double>(size);
    points.push_back(
        point_of(index, turnovers, costs,
                 measure(index, population, data, options, fixed(turnovers, 2), table)));
    costs = {};
  }
  const AuditReport audit = index.audit();
  Index anew(params, options.runtime);
  anew.add(population.vectors().view(), population.labels());
  Json fresh = {{"build_distances_per_vector",
                 static_cast<double>(anew.stats().build.distances) / static_cast<double>(size)},
                {"memory_bytes", anew.memory().total()},
                {"search", measure(anew, population, data, options, "built anew", table)}};
  table.print();
  print_audit(audit);
  Json document = new_document(options.command_line, index.stats());
  document["parameters"] = parameters_json(params);
  document["data"] = data_json(data, size);
  document["k"] = options.k;
  document["pattern"] = own.pattern;
  document["round"] = own.round;
  document["churn"] = points;
  document["fresh"] = fresh;
  document["digest"] = index.digest();
  document["audit"] = audit_json(audit);
  write_document(document, options.json);
  return audit.ok ? 0 : 1;
}

}  // namespace

void add_churn_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command = *app.add_subcommand(
      "churn", "remove and add vectors in rounds: cost, and recall against an index built anew");
  add_data_options(command, options);
  add_param_options(command, options);
  add_runtime_options(command, options);
  add_search_options(command, options);
  add_json_option(command, options);
  const auto own = std::make_shared<ChurnOptions>();
  command
      .add_option("--turnovers", own->turnovers, "removals, in times of the vectors in the index")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1000.0));
  command.add_option("--round", own->round, "part of the vectors that is removed at once")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  command
      .add_option("--pattern", own->pattern,
                  "random; fifo: the oldest; clusters: neighbors of one vector; update: replaced")
      ->capture_default_str()
      ->check(CLI::IsMember({"random", "fifo", "clusters", "update"}));
  add_examples(command,
               {"churn --dataset words-100-angular.hdf5 --limit 60000 --turnovers 3 --ef 40,80"});
  command.callback(
      [&options, &chosen, own] { chosen = [&options, own] { return churn(options, *own); }; });
}

}  // namespace concord::bench
