// concord-bench query: the nearest neighbors of one vector in a saved index.
#include <algorithm>
#include <cstdio>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/commands.hpp"
#include "bench/tool/names.hpp"
#include "bench/tool/result_document.hpp"
#include "bench/tool/table.hpp"

namespace concord::bench {
namespace {

/// One of vector, file, label and name says what is asked for.
struct QueryOptions {
  std::vector<float> vector;
  std::filesystem::path file;
  std::string column;
  std::size_t row = 0;
  std::optional<std::uint64_t> label;
  std::string name;
  std::filesystem::path names;
  std::uint32_t ef = 64;
  bool exact = false;
};

struct Question {
  std::vector<float> vector;
  std::string text;  ///< of what it is
};

std::vector<float> stored_vector(const Index& index, std::uint64_t label) {
  if (!index.contains(label)) {
    throw InputError("label " + std::to_string(label) + " is not in the index");
  }
  return index.vector(label);
}

std::vector<float> row_of_file(const QueryOptions& own) {
  DataSource source;
  source.dataset = own.file;
  source.column = own.column;
  source.limit_queries = own.row + 1;
  const DataSet data = load_data_set(source, Need::queries);
  if (own.row >= data.queries.rows) {
    throw InputError(own.file.string() + ": has no row " + std::to_string(own.row) + "; it has " +
                     grouped(data.queries.rows));
  }
  const float* const row = data.queries.row(own.row);
  return {row, row + data.queries.cols};
}

void check_one_question(const QueryOptions& own) {
  const int given = (own.vector.empty() ? 0 : 1) + (own.file.empty() ? 0 : 1) +
                    (own.label ? 1 : 0) + (own.name.empty() ? 0 : 1);
  if (given != 1) throw InputError("give one of --vector, --dataset, --label and --name");
  if (!own.name.empty() && own.names.empty()) throw InputError("--name needs --names FILE");
}

Question question_of(const QueryOptions& own, const Index& index, const Names& names) {
  Question question;
  if (!own.vector.empty()) {
    question = {own.vector, "the vector given"};
  } else if (!own.file.empty()) {
    question = {row_of_file(own), "row " + std::to_string(own.row) + " of " + own.file.string()};
  } else if (own.label) {
    question = {stored_vector(index, *own.label), "label " + std::to_string(*own.label)};
  } else {
    const std::uint64_t label = names.label_of(own.name);
    question = {stored_vector(index, label), own.name};
  }
  if (question.vector.size() != index.params().dimension) {
    throw InputError(question.text + " has " + std::to_string(question.vector.size()) +
                     " elements, but the index has dimension " +
                     std::to_string(index.params().dimension));
  }
  return question;
}

Json neighbors_json(const SearchResult& result, const Names& names) {
  Json list = Json::array();
  for (std::uint32_t i = 0; i < result.counts[0]; ++i) {
    Json neighbor{{"label", std::uint64_t{result.labels[i]}}, {"distance", result.distances[i]}};
    if (names.size() > 0) neighbor["name"] = names.of(result.labels[i]);
    list.push_back(std::move(neighbor));
  }
  return list;
}

void print_neighbors(const SearchResult& result, const Names& names) {
  std::vector<std::string> header{"", "label", "distance"};
  if (names.size() > 0) header.emplace_back("name");
  Table table(header);
  for (std::uint32_t i = 0; i < result.counts[0]; ++i) {
    std::vector<std::string> cells{std::to_string(i + 1), std::to_string(result.labels[i]),
                                   fixed(static_cast<double>(result.distances[i]), 6)};
    if (names.size() > 0) cells.push_back(names.of(result.labels[i]));
    table.add_row(std::move(cells));
  }
  table.print();
}

/// How the neighbors were found, where it is not by a search with exact distances alone.
std::string way_of(const Index& index, const QueryOptions& own) {
  if (own.exact) return ", exact";
  const Codes codes = index.params().codes;
  return codes == Codes::none ? "" : std::string(", walked by ") + to_string(codes);
}

int query(Options& options, const QueryOptions& own) {
  options.apply();
  check_one_question(own);
  const Index index = Index::load(options.index, options.runtime);
  const Names names = own.names.empty() ? Names{} : Names(own.names);
  const Question question = question_of(own, index, names);
  const MatrixView<const float> row{question.vector.data(), 1, question.vector.size()};
  const SearchResult result =
      own.exact ? index.exact_search(row, options.k)
                : index.search(row, {.k = options.k, .ef = own.ef, .rescore = options.rescore});
  std::printf("nearest to %s (%s%s, of %s):\n", question.text.c_str(),
              to_string(index.params().metric), way_of(index, own).c_str(),
              grouped(index.size()).c_str());
  print_neighbors(result, names);

  Json document = new_document(options.command_line, index.stats());
  document["parameters"] = parameters_json(index.params());
  document["neighbors"] = neighbors_json(result, names);
  write_document(document, options.json);
  return 0;
}

void add_question_options(CLI::App& command, QueryOptions& own) {
  const OptionGroup group(command, "Question, one of these");
  command.add_option("--vector", own.vector, "the vector's elements, e.g. 0.5,-1,2")
      ->delimiter(',');
  command.add_option("--dataset", own.file, "file of vectors, of which --row is asked for");
  command.add_option("--label", own.label, "label of a vector in the index");
  command.add_option("--name", own.name, "name of a vector in the index, by --names");
}

}  // namespace

void add_query_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command =
      *app.add_subcommand("query", "show the nearest neighbors of one vector in a saved index");
  const auto own = std::make_shared<QueryOptions>();
  add_index_option(command, options);
  add_question_options(command, *own);
  command.add_option("--row", own->row, "row of --dataset, from 0")
      ->capture_default_str()
      ->check(CLI::Range(std::size_t{0}, std::size_t{4294967294}));
  add_column_option(command, own->column);
  command.add_option("--names", own->names, "file of names, one a line, in the order of labels");
  command.add_option("--k", options.k, "neighbors to show")
      ->capture_default_str()
      ->check(CLI::Range(1, 65536));
  command.add_option("--ef", own->ef, "candidates kept by the search")
      ->capture_default_str()
      ->check(CLI::Range(1, 65536));
  add_rescore_option(command, options);
  command.add_flag("--exact", own->exact, "compare with every vector instead of searching");
  add_runtime_options(command, options);
  add_json_option(command, options);
  add_examples(command, {"query --index base.concord --vector 0.5,-1,2",
                         "query --index base.concord --dataset queries.npy --row 3 --k 5",
                         "query --index words.concord --names words.txt --name king"});
  command.callback(
      [&options, &chosen, own] { chosen = [&options, own] { return query(options, *own); }; });
}

}  // namespace concord::bench
