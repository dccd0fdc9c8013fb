// concord-bench: builds, searches, checks and compares Concord indexes on real data.
//
// Exit codes: 0 ok, 1 a check failed (audit, digest) or the machine gave out, 2 bad input, with
// one line on stderr.
#include <concord/error.hpp>
#include <cstdio>
#include <filesystem>
#include <new>

#include "bench/commands/commands.hpp"
#include "bench/machine.hpp"

namespace {

constexpr int kFailed = 1;
constexpr int kBadInput = 2;

/// The command line for a report: files without the folders of this machine.
std::string joined(int argc, char** argv) {
  std::string line = "concord-bench";
  for (int i = 1; i < argc; ++i) {
    const std::filesystem::path word(argv[i]);
    line += " " + (word.is_absolute() ? word.filename() : word).string();
  }
  return line;
}

int fail(int code, const std::string& message) {
  std::fflush(stdout);
  std::fprintf(stderr, "concord-bench: %s\n", message.c_str());
  return code;
}

bool is_bad_input(concord::ErrorCode code) {
  return code != concord::ErrorCode::out_of_memory && code != concord::ErrorCode::cuda;
}

/// Throws InputError unless `word` is an option or one of the commands.
void check_command(const CLI::App& app, const std::string& word) {
  std::string names;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (command->get_name() == word) return;
    names += " " + command->get_name();
  }
  if (!word.starts_with('-')) {
    throw concord::bench::InputError("the first argument is one of:" + names);
  }
}

int guarded(const concord::bench::Command& command) {
  try {
    return command();
  } catch (const concord::Error& error) {
    return fail(is_bad_input(error.code()) ? kBadInput : kFailed, error.what());
  } catch (const concord::bench::InputError& error) {
    return fail(kBadInput, error.what());
  } catch (const std::bad_alloc&) {
    return fail(kFailed, "out of memory");
  } catch (const std::length_error&) {
    return fail(kFailed, "out of memory");
  } catch (const std::exception& error) {
    return fail(kFailed, error.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  using namespace concord::bench;
  Options options;
  options.command_line = joined(argc, argv);
  Command chosen;
  CLI::App app("Builds, searches, checks and compares Concord indexes.", "concord-bench");
  app.require_subcommand(1);
  app.set_version_flag("--version", "concord-bench, commit " + build_commit());
  add_run_command(app, options, chosen);
  add_build_command(app, options, chosen);
  add_search_command(app, options, chosen);
  add_audit_command(app, options, chosen);
  add_info_command(app, options, chosen);
  add_convert_command(app, options, chosen);
  add_compare_command(app, options, chosen);
  add_report_command(app, options, chosen);
  add_serve_mix_command(app, options, chosen);
  add_durability_command(app, options, chosen);
  add_words_command(app, options, chosen);
  try {
    check_command(app, argc > 1 ? argv[1] : "");
    app.parse(argc, argv);
  } catch (const InputError& error) {
    return fail(kBadInput, std::string(error.what()) + " (see concord-bench --help)");
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    return fail(kBadInput, std::string(error.what()) + " (see concord-bench --help)");
  }
  return guarded(chosen);
}
