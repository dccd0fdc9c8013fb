// concord-bench explain: why searches miss true neighbors. Explains every miss of the queries, and
// checks each explanation by searches: the ef that it names finds the neighbor, one less does not.
#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/commands.hpp"
#include "bench/tool/commands/steps.hpp"
#include "bench/tool/input_error.hpp"
#include "bench/tool/measure.hpp"
#include "bench/tool/table.hpp"

namespace concord::bench {
namespace {

struct ExplainOptions {
  std::uint32_t ef = 64;
  std::size_t show = 3;
  std::optional<std::size_t> query;
  std::optional<std::uint64_t> label;
};

class Misses {
 public:
  Misses(const Index& index, const FloatMatrix& queries, std::uint32_t k)
      : index_(index), queries_(queries), k_(k) {}

  /// By a search without codes, which explanations are about.
  [[nodiscard]] std::vector<std::uint64_t> found(std::size_t q, std::uint32_t ef) const {
    const SearchResult result = index_.search(row(q), {.k = k_, .ef = ef, .use_codes = false});
    return {result.labels.begin(), result.labels.begin() + result.counts[0]};
  }
  [[nodiscard]] bool finds(std::size_t q, std::uint32_t ef, std::uint64_t label) const {
    const std::vector<std::uint64_t> labels = found(q, ef);
    return std::find(labels.begin(), labels.end(), label) != labels.end();
  }
  /// Whether searches agree with an explanation of a miss.
  [[nodiscard]] bool agrees(std::size_t q, const Explanation& why) const {
    return why.ef > 1 && finds(q, why.ef, why.label) && !finds(q, why.ef - 1, why.label);
  }
  /// True neighbors that a search with this ef misses.
  [[nodiscard]] std::vector<std::uint64_t> of(std::size_t q, std::uint32_t ef) const {
    const SearchResult truth = index_.exact_search(row(q), k_);
    const std::vector<std::uint64_t> labels = found(q, ef);
    std::vector<std::uint64_t> missed;
    for (std::size_t j = 0; j < truth.counts[0]; ++j) {
      if (std::find(labels.begin(), labels.end(), truth.labels[j]) == labels.end()) {
        missed.push_back(truth.labels[j]);
      }
    }
    return missed;
  }
  [[nodiscard]] MatrixView<const float> row(std::size_t q) const {
    return {queries_.row(q), 1, queries_.cols};
  }

 private:
  const Index& index_;
  const FloatMatrix& queries_;
  std::uint32_t k_;
};

/// The misses of one reason.
struct Group {
  std::vector<double> efs;
  std::vector<double> hops;
};

void print_groups(std::map<std::string, Group>& groups) {
  Table table({"reason", "misses", "ef: median", "ef: most", "hop: median"});
  for (auto& [reason, group] : groups) {
    std::ranges::sort(group.efs);
    std::ranges::sort(group.hops);
    table.add_row({reason, std::to_string(group.efs.size()), fixed(quantile(group.efs, 0.5), 0),
                   fixed(group.efs.back(), 0), fixed(quantile(group.hops, 0.5), 0)});
  }
  table.print();
}

int explain_one(const Index& index, const FloatMatrix& queries, std::uint32_t k,
                const ExplainOptions& own) {
  if (*own.query >= queries.rows) {
    throw InputError("--query is " + std::to_string(*own.query) + "; there are " +
                     std::to_string(queries.rows) + " queries, counted from 0");
  }
  const Misses misses(index, queries, k);
  std::printf("%s\n", index.explain(misses.row(*own.query), *own.label, k).text().c_str());
  return 0;
}

int explain(Options& options, const ExplainOptions& own) {
  options.apply();
  const DataSet data = load_data_set(options.data, Need::train_and_queries);
  print_data(data);
  const IndexParams params = options.params_for(data);
  const Index index = build_index(data.train, params, options.runtime).index;
  if (own.query) return explain_one(index, data.queries, options.k, own);

  const Misses misses(index, data.queries, options.k);
  std::map<std::string, Group> groups;
  std::size_t count = 0;
  std::size_t wrong = 0;
  for (std::size_t q = 0; q < data.queries.rows; ++q) {
    for (const std::uint64_t label : misses.of(q, own.ef)) {
      const Explanation why = index.explain(misses.row(q), label, options.k);
      if (count++ < own.show) std::printf("query %zu. %s\n", q, why.text().c_str());
      wrong += misses.agrees(q, why) ? 0 : 1;
      Group& group = groups[to_string(why.reason)];
      group.efs.push_back(why.ef);
      group.hops.push_back(static_cast<double>(why.hop));
    }
  }
  std::printf(
      "%zu queries, k = %u, ef = %u: %zu misses, %zu explanations that searches contradict\n",
      data.queries.rows, options.k, own.ef, count, wrong);
  print_groups(groups);
  Json document = new_document(options.command_line, index.stats());
  document["parameters"] = parameters_json(params);
  document["data"] = data_json(data, data.train.rows);
  document["index"] = {{"digest", index.digest()}, {"size", index.size()}};
  Json reasons = Json::object();
  for (const auto& [reason, group] : groups) {
    reasons[reason] = {{"misses", group.efs.size()},
                       {"ef_median", quantile(group.efs, 0.5)},
                       {"ef_most", group.efs.back()},
                       {"hop_median", quantile(group.hops, 0.5)}};
  }
  document["explain"] = {{"k", options.k},  {"ef", own.ef},   {"queries", data.queries.rows},
                         {"misses", count}, {"wrong", wrong}, {"reasons", reasons}};
  write_document(document, options.json);
  return wrong == 0 ? 0 : 1;
}

}  // namespace

void add_explain_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command = *app.add_subcommand(
      "explain", "say why searches miss true neighbors, and check it by searches");
  add_data_options(command, options);
  add_param_options(command, options);
  add_runtime_options(command, options);
  add_json_option(command, options);
  const auto own = std::make_shared<ExplainOptions>();
  command.add_option("--k", options.k, "neighbors")
      ->capture_default_str()
      ->check(CLI::Range(1, 65536));
  command.add_option("--ef", own->ef, "of the searches whose misses are explained")
      ->capture_default_str()
      ->check(CLI::Range(1, 65536));
  command.add_option("--show", own->show, "explanations that are printed")->capture_default_str();
  CLI::Option* const query =
      command.add_option("--query", own->query, "the number of one query, for --label");
  CLI::Option* const label =
      command.add_option("--label", own->label, "the vector that is explained for --query");
  query->needs(label);
  label->needs(query);
  add_examples(command, {"explain --dataset sift-128-euclidean.hdf5 --limit 60000 --ef 64",
                         "explain --synthetic 20000,32 --query 0 --label 17"});
  command.callback(
      [&options, &chosen, own] { chosen = [&options, own] { return explain(options, *own); }; });
}

}  // namespace concord::bench
