// concord-bench: builds, searches, checks and compares Concord indexes on real data.
//
// Exit codes: 0 ok, 1 a check failed (audit, digest) or memory or the device ran out, 2 bad
// input, with one line on stderr.
#include <concord/error.hpp>
#include <cstdio>
#include <filesystem>
#include <new>
#include <span>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/commands.hpp"
#include "bench/tool/machine.hpp"

namespace {

constexpr int kFailed = 1;
constexpr int kBadInput = 2;

/// The command line for a result document: files without the folders of this machine.
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
  set_up_parser(app);
  app.set_version_flag("--version",
                       "concord-bench " + build_version() + ", commit " + build_commit());
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
  add_follow_command(app, options, chosen);
  add_churn_command(app, options, chosen);
  add_filter_command(app, options, chosen);
  add_range_command(app, options, chosen);
  add_tune_command(app, options, chosen);
  add_explain_command(app, options, chosen);
  add_shards_command(app, options, chosen);
  add_words_command(app, options, chosen);
  add_query_command(app, options, chosen);
  add_completion_command(app, options, chosen);
  try {
    check_words(app, std::span<const char* const>(argv, argc).subspan(argc > 0 ? 1 : 0));
    app.parse(argc, argv);
  } catch (const InputError& error) {
    return fail(kBadInput, std::string(error.what()) + " (see concord-bench --help)");
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    return fail(kBadInput, std::string(error.what()) + " (see concord-bench --help)");
  }
  return guarded(chosen);
}
