// concord-bench words: the nearest words of a few words, over a file of word vectors.
#include <cstdio>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/commands.hpp"
#include "bench/tool/measure.hpp"
#include "bench/tool/names.hpp"
#include "bench/tool/result_document.hpp"
#include "bench/tool/table.hpp"

namespace concord::bench {
namespace {

struct WordOptions {
  std::filesystem::path list;
  std::vector<std::string> words{"king", "france", "python", "green"};
};

Names read_names(const std::filesystem::path& path, std::size_t vectors) {
  Names names(path);
  if (names.size() < vectors) {
    throw InputError(path.string() + ": has " + std::to_string(names.size()) + " words for " +
                     std::to_string(vectors) + " vectors");
  }
  return names;
}

/// Row of each word in `asked`. Throws InputError for a word that has no vector.
std::vector<std::size_t> find_rows(const Names& names, const std::vector<std::string>& asked,
                                   std::size_t vectors) {
  std::vector<std::size_t> rows;
  for (const std::string& word : asked) {
    rows.push_back(names.label_of(word));
    if (rows.back() < vectors) continue;
    throw InputError("\"" + word + "\" is not among the first " + grouped(vectors) + " words");
  }
  return rows;
}

/// The k nearest words of the word in `row`, without itself, as {"word", "distance"} each.
Json nearest_words(const Index& index, const FloatMatrix& vectors, const Names& names,
                   std::size_t row, std::uint32_t k) {
  // One more than k: a word is its own nearest.
  const SearchResult result = index.search(vectors.view().rows_from(row, 1), {k + 1, 200});
  Json nearest = Json::array();
  for (std::uint32_t i = 0; i < result.counts[0] && nearest.size() < k; ++i) {
    if (result.labels[i] == row) continue;
    nearest.push_back({{"word", names.of(result.labels[i])}, {"distance", result.distances[i]}});
  }
  return nearest;
}

int words(Options& options, const WordOptions& word_options) {
  options.apply();
  const DataSet data = load_data_set(options.data, Need::train);
  const Names names = read_names(word_options.list, data.train.rows);
  const auto rows = find_rows(names, word_options.words, data.train.rows);
  const IndexParams params = options.params_for(data);
  const BuildMeasure build = build_index(data.train, params, options.runtime);

  Json document = new_document(options.command_line, build.index.stats());
  document["parameters"] = parameters_json(params);
  document["data"] = data_json(data, data.train.rows);
  document["words"] = Json::array();
  std::printf("\nnearest words (%s, of %s):\n", to_string(data.metric),
              grouped(data.train.rows).c_str());
  for (const std::size_t row : rows) {
    const Json nearest = nearest_words(build.index, data.train, names, row, options.k);
    std::string line;
    for (const Json& one : nearest) {
      line += " " + one["word"].get<std::string>() + " " + fixed(one["distance"].get<double>(), 3);
    }
    std::printf("  %s:%s\n", names.of(row).c_str(), line.c_str());
    document["words"].push_back({{"word", names.of(row)}, {"nearest", nearest}});
  }
  write_document(document, options.json);
  return 0;
}

}  // namespace

void add_words_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command = *app.add_subcommand("words", "show the nearest words of given words");
  const auto word_options = std::make_shared<WordOptions>();
  add_data_options(command, options);
  add_param_options(command, options);
  add_runtime_options(command, options);
  command.add_option("--k", options.k, "neighbors per word")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  command
      .add_option("--words", word_options->list,
                  "file of the words, one per line, in the order of the vectors")
      ->required();
  command.add_option("--word", word_options->words, "words to look up, e.g. king,queen")
      ->capture_default_str()
      ->delimiter(',');
  add_json_option(command, options);
  add_examples(command,
               {"words --dataset words.i8bin --metric cosine --words words.txt --word king,queen"});
  command.callback([&options, &chosen, word_options] {
    chosen = [&options, word_options] { return words(options, *word_options); };
  });
}

}  // namespace concord::bench
