// concord-bench report: one HTML page of result files, made by the Python program page/.
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/commands.hpp"
#include "bench/tool/python_program.hpp"

namespace concord::bench {
namespace {

/// Becomes the program; returns only if python3 cannot be started.
int report(const std::vector<std::string>& files, const std::string& out) {
  std::vector<std::string> words{"python3", python_program("page").string()};
  words.insert(words.end(), files.begin(), files.end());
  words.insert(words.end(), {"--out", out});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execvp("python3", arguments.data());
  throw InputError(std::string("report: cannot start python3: ") + std::strerror(errno));
}

}  // namespace

void add_report_command(CLI::App& app, Options& /*options*/, Command& chosen) {
  CLI::App& command = *app.add_subcommand(
      "report", "make an HTML page of results (needs python3 with plotly and matplotlib)");
  const auto files = std::make_shared<std::vector<std::string>>();
  const auto out = std::make_shared<std::string>();
  command.add_option("files", *files, "JSON results of concord-bench and of bench/peers")
      ->required()
      ->check(CLI::ExistingFile);
  command.add_option("--out", *out, "file of the page, PAGE.html; pictures go to PAGE-plots/")
      ->required();
  add_examples(command, {"report result.json peers.json --out page.html"});
  command.callback(
      [&chosen, files, out] { chosen = [files, out] { return report(*files, *out); }; });
}

}  // namespace concord::bench
