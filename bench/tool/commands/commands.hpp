// The subcommands of concord-bench: each adds itself to the parser and, when it is the one given,
// sets `chosen`. Exit codes: 0 ok, 1 a check failed; bad input is thrown (main.cpp).
#pragma once

#include "bench/tool/options.hpp"

namespace concord::bench {

void add_run_command(CLI::App& app, Options& options, Command& chosen);
void add_build_command(CLI::App& app, Options& options, Command& chosen);
void add_search_command(CLI::App& app, Options& options, Command& chosen);
void add_audit_command(CLI::App& app, Options& options, Command& chosen);
void add_info_command(CLI::App& app, Options& options, Command& chosen);
void add_convert_command(CLI::App& app, Options& options, Command& chosen);
void add_compare_command(CLI::App& app, Options& options, Command& chosen);
void add_report_command(CLI::App& app, Options& options, Command& chosen);
void add_serve_mix_command(CLI::App& app, Options& options, Command& chosen);
void add_durability_command(CLI::App& app, Options& options, Command& chosen);
void add_follow_command(CLI::App& app, Options& options, Command& chosen);
void add_churn_command(CLI::App& app, Options& options, Command& chosen);
void add_filter_command(CLI::App& app, Options& options, Command& chosen);
void add_range_command(CLI::App& app, Options& options, Command& chosen);
void add_tune_command(CLI::App& app, Options& options, Command& chosen);
void add_explain_command(CLI::App& app, Options& options, Command& chosen);
void add_shards_command(CLI::App& app, Options& options, Command& chosen);
void add_words_command(CLI::App& app, Options& options, Command& chosen);
void add_query_command(CLI::App& app, Options& options, Command& chosen);
void add_completion_command(CLI::App& app, Options& options, Command& chosen);

}  // namespace concord::bench
