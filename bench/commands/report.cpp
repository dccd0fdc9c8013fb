// concord-bench report: one HTML page of result files, made by the Python program in report/, which
// stands beside this executable (a link in a build) or in ../share/concord-bench (installed).
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "bench/commands/commands.hpp"

namespace concord::bench {
namespace {

/// The folder of the program; throws InputError where there is none.
std::filesystem::path report_program() {
  const auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  for (const auto& folder : {here / "report", here.parent_path() / "share/concord-bench/report"}) {
    if (std::filesystem::exists(folder / "__main__.py")) return folder;
  }
  throw InputError("report: its program is neither in " + (here / "report").string() + " nor in " +
                   (here.parent_path() / "share/concord-bench/report").string());
}

/// Becomes the program; comes back only where python3 cannot be started.
int report(const std::vector<std::string>& files, const std::string& out) {
  std::vector<std::string> words{"python3", report_program().string()};
  words.insert(words.end(), files.begin(), files.end());
  words.insert(words.end(), {"--out", out});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execvp("python3", arguments.data());
  throw InputError(std::string("report: python3 cannot be started: ") + std::strerror(errno));
}

}  // namespace

void add_report_command(CLI::App& app, Options& /*options*/, Command& chosen) {
  CLI::App& command = *app.add_subcommand(
      "report", "make an HTML page of results (needs python3 with plotly and matplotlib)");
  const auto files = std::make_shared<std::vector<std::string>>();
  const auto out = std::make_shared<std::string>();
  command.add_option("files", *files, "results of run, build, compare and of bench/peers (JSON)")
      ->required()
      ->check(CLI::ExistingFile);
  command.add_option("--out", *out, "the page, PAGE.html; pictures go to PAGE-plots/")->required();
  command.callback(
      [&chosen, files, out] { chosen = [files, out] { return report(*files, *out); }; });
}

}  // namespace concord::bench
