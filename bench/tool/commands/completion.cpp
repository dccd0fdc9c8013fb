// concord-bench completion: a program for bash that completes commands, options and files.
#include <cstdio>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/commands.hpp"

namespace concord::bench {

void add_completion_command(CLI::App& app, Options& /*options*/, Command& chosen) {
  CLI::App& command = *app.add_subcommand("completion", "print a program that completes in bash");
  add_examples(command, {"completion > ~/.local/share/bash-completion/completions/concord-bench"});
  command.callback([&app, &chosen] {
    chosen = [&app] {
      std::fputs(bash_completion(app).c_str(), stdout);
      return 0;
    };
  });
}

}  // namespace concord::bench
