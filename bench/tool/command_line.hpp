// What a person meets at the command line beside the commands themselves: the help's form, what a
// mistyped word may have meant, and completion in bash.
#pragma once

#include <CLI/CLI.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace concord::bench {

/// The parser without commands: its help, and the groups that options appear in.
void set_up_parser(CLI::App& app);

/// Options added while it lives appear under `title` in the help.
class OptionGroup {
 public:
  OptionGroup(CLI::App& app, const char* title) : app_(app) {
    app_.option_defaults()->group(title);
  }
  ~OptionGroup() { app_.option_defaults()->group("Options"); }
  OptionGroup(const OptionGroup&) = delete;
  OptionGroup& operator=(const OptionGroup&) = delete;

 private:
  CLI::App& app_;
};

/// Puts `examples`, lines without the program's name, and the exit codes under a command's help.
void add_examples(CLI::App& command, std::initializer_list<std::string_view> examples);

/// Throws InputError, with the nearest name there is, if the first of `words` is no command, or a
/// later one is an option that the command does not have.
void check_words(const CLI::App& app, std::span<const char* const> words);

/// The name that `word` was most likely to be: the one fewest edits away; empty if all are far.
std::string nearest_name(std::string_view word, const std::vector<std::string>& names);

/// A program for bash that completes commands, options and files.
std::string bash_completion(const CLI::App& app);

}  // namespace concord::bench
