#include "bench/tool/command_line.hpp"

#include <algorithm>
#include <memory>
#include <numeric>

#include "bench/tool/input_error.hpp"

namespace concord::bench {
namespace {

constexpr const char* kExitCodes =
    "Exit codes: 0 success; 1 a check failed, or memory or the device ran out; 2 bad input.";

/// Says what a value is and its default, in place of types and ranges of C++.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(28); }

  std::string make_option_opts(const CLI::Option* option) const override {
    if (is_flag(option)) return {};
    const bool many = option->get_expected_max() > 1;
    std::string text = " " + kind(option->get_type_name()) + (many ? ",..." : "");
    if (option->get_required()) text += " (required)";
    return text;
  }

  std::string make_option_desc(const CLI::Option* option) const override {
    std::string text = option->get_description();
    std::string value = option->get_default_str();
    if (value.starts_with('[') && value.ends_with(']')) value = value.substr(1, value.size() - 2);
    if (!value.empty() && !is_flag(option)) text += " [" + value + "]";
    return text;
  }

 private:
  static bool is_flag(const CLI::Option* option) { return option->get_type_name().empty(); }
  static std::string kind(const std::string& type) {
    if (type.starts_with("UINT") || type.starts_with("INT")) return "N";
    if (type.starts_with("FLOAT") || type.starts_with("NONNEGATIVE")) return "X";
    return "TEXT";
  }
};

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

/// Letters put in, left out or replaced, to make `to` of `from` (Levenshtein).
std::size_t edits(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= from.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= to.size(); ++j) {
      const std::size_t replaced = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& names) {
  const std::string nearest = nearest_name(word, names);
  return nearest.empty() ? "" : "; did you mean " + nearest + "?";
}

void check_options(const CLI::App& command, std::span<const char* const> words) {
  for (const std::string_view word : words) {
    if (word == "--") return;
    if (!word.starts_with("--")) continue;
    const std::string name(word.substr(0, word.find('=')));
    if (command.get_option_no_throw(name) != nullptr) continue;
    throw InputError(command.get_name() + " has no option " + name +
                     did_you_mean(name, option_names(command)));
  }
}

}  // namespace

void set_up_parser(CLI::App& app) {
  app.formatter(std::make_shared<HelpFormatter>());
  app.require_subcommand(1);
  app.footer(std::string("concord-bench COMMAND --help describes a command, with examples.\n") +
             kExitCodes);
}

void add_examples(CLI::App& command, std::initializer_list<std::string_view> examples) {
  std::string text = "Examples:\n";
  for (const std::string_view example : examples) {
    text += "  concord-bench " + std::string(example) + "\n";
  }
  command.footer(text + "\n" + kExitCodes);
}

void check_words(const CLI::App& app, std::span<const char* const> words) {
  const std::vector<std::string> names = command_names(app);
  const std::string word = words.empty() ? "" : words[0];
  if (word.starts_with('-')) return;
  if (std::ranges::find(names, word) == names.end()) {
    throw InputError("the first argument must be one of: " + joined(names) +
                     did_you_mean(word, names));
  }
  check_options(*app.get_subcommand(word), words.subspan(1));
}

std::string nearest_name(std::string_view word, const std::vector<std::string>& names) {
  std::string nearest;
  std::size_t fewest = std::max<std::size_t>(2, word.size() / 3) + 1;  // a third may be wrong
  for (const std::string& name : names) {
    const std::size_t needed = edits(word, name);
    if (needed >= fewest || needed >= name.size()) continue;
    fewest = needed;
    nearest = name;
  }
  return nearest;
}

std::string bash_completion(const CLI::App& app) {
  std::string text =
      "# Completion for bash: source <(concord-bench completion)\n"
      "_concord_bench() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} words=\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
      "    words='" +
      joined(command_names(app)) +
      " --help --version'\n"
      "  elif [[ $word == -* ]]; then\n"
      "    case ${COMP_WORDS[1]} in\n";
  for (const CLI::App* command : app.get_subcommands({})) {
    text +=
        "      " + command->get_name() + ") words='" + joined(option_names(*command)) + "' ;;\n";
  }
  text +=
      "    esac\n"
      "  fi\n"
      "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
      "}\n"
      "complete -o default -F _concord_bench concord-bench\n";
  return text;
}

}  // namespace concord::bench
