// concord-bench words: the nearest words of a few words, over a file of word vectors.
#include <cstdio>
#include <fstream>
#include <unordered_map>

#include "bench/commands/commands.hpp"
#include "bench/measure.hpp"
#include "bench/table.hpp"

namespace concord::bench {
namespace {

struct WordOptions {
  std::filesystem::path list;
  std::vector<std::string> words{"king", "france", "python", "green"};
};

std::vector<std::string> read_words(const std::filesystem::path& path, std::size_t vectors) {
  std::ifstream file(path);
  if (!file) throw InputError(path.string() + ": cannot be read");
  std::vector<std::string> words;
  for (std::string line; std::getline(file, line);) words.push_back(line);
  if (words.size() < vectors) {
    throw InputError(path.string() + ": has " + std::to_string(words.size()) + " words for " +
                     std::to_string(vectors) + " vectors");
  }
  return words;
}

/// Row of each word asked for; unknown ones are an InputError.
std::vector<std::size_t> find_rows(const std::vector<std::string>& words,
                                   const std::vector<std::string>& asked, std::size_t vectors) {
  std::unordered_map<std::string, std::size_t> rows;
  for (std::size_t r = 0; r < vectors; ++r) rows.emplace(words[r], r);
  std::vector<std::size_t> result;
  for (const std::string& word : asked) {
    const auto found = rows.find(word);
    if (found == rows.end()) {
      throw InputError("\"" + word + "\" is not among the " + grouped(vectors) +
                       " words (lower case, the most frequent of English)");
    }
    result.push_back(found->second);
  }
  return result;
}

int words(Options& options, const WordOptions& word_options) {
  options.apply();
  const DataSet data = load_data_set(options.data, Need::train);
  const auto names = read_words(word_options.list, data.train.rows);
  const auto rows = find_rows(names, word_options.words, data.train.rows);
  const BuildMeasure build = build_index(data.train, options.params_for(data), options.runtime);

  // One more than k: a word is its own nearest.
  const SearchParams params{options.k + 1, 200};
  std::printf("\nnearest words (%s, of %s):\n", to_string(data.metric),
              grouped(data.train.rows).c_str());
  for (const std::size_t row : rows) {
    const SearchResult result = build.index.search(data.train.view().rows_from(row, 1), params);
    std::string line;
    std::uint32_t shown = 0;
    for (std::uint32_t i = 0; i < result.counts[0] && shown < options.k; ++i) {
      if (result.labels[i] == row) continue;
      line +=
          " " + names[result.labels[i]] + " " + fixed(static_cast<double>(result.distances[i]), 3);
      ++shown;
    }
    std::printf("  %s:%s\n", names[row].c_str(), line.c_str());
  }
  return 0;
}

}  // namespace

void add_words_command(CLI::App& app, Options& options, Command& chosen) {
  CLI::App& command = *app.add_subcommand("words", "nearest words of words, over word vectors");
  const auto word_options = std::make_shared<WordOptions>();
  add_data_options(command, options);
  add_param_options(command, options);
  add_runtime_options(command, options);
  command.add_option("--k", options.k, "words to show")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  command.add_option("--words", word_options->list, "the words, one a line, in the vectors' order")
      ->required();
  command.add_option("--word", word_options->words, "words to look up, e.g. king,queen")
      ->capture_default_str()
      ->delimiter(',');
  command.callback([&options, &chosen, word_options] {
    chosen = [&options, word_options] { return words(options, *word_options); };
  });
}

}  // namespace concord::bench
