// The command line: options that several commands share, and how commands are registered.
#pragma once

#include <CLI/CLI.hpp>
#include <concord/durability.hpp>
#include <concord/params.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "bench/tool/data_set.hpp"

namespace concord::bench {

/// Values of the shared options. Each command offers some of them.
struct Options {
  DataSource data;
  std::string metric;
  std::string codes = "none";
  std::string storage = "automatic";
  IndexParams params;
  RuntimeOptions runtime;
  std::string isa;
  std::uint32_t k = 10;
  std::vector<std::uint32_t> efs{10, 20, 40, 80, 160, 320};
  std::vector<float> slacks{std::numeric_limits<float>::infinity()};  ///< each with each ef
  std::uint32_t rescore = 0;                                          ///< as in SearchParams
  std::vector<std::size_t> batches;        ///< empty: sweep over ef, all queries in one call
  std::vector<std::string> batch_devices;  ///< empty: runtime.device
  std::filesystem::path index;
  std::filesystem::path json;
  std::filesystem::path out;
  std::string command_line;

  /// Makes the options effective: sets CONCORD_ISA (so it comes before any use of an index) and
  /// resolves the metric, the codes, the storage and the thread count. Throws concord::Error for
  /// unknown names.
  void apply();
  /// params with the metric and dimension of `data_set`.
  [[nodiscard]] IndexParams params_for(const DataSet& data_set) const;
};

void add_data_options(CLI::App& app, Options& options);
void add_column_option(CLI::App& app, std::string& column);
void add_param_options(CLI::App& app, Options& options);
void add_runtime_options(CLI::App& app, Options& options);
void add_search_options(CLI::App& app, Options& options);
void add_slack_option(CLI::App& app, Options& options);
void add_rescore_option(CLI::App& app, Options& options);
void add_batch_options(CLI::App& app, Options& options);
void add_index_option(CLI::App& app, Options& options);
void add_json_option(CLI::App& app, Options& options);
void add_out_option(CLI::App& app, Options& options, const std::string& what);

/// Of a journal's name, "synced" or "system".
Durability durability_of(const std::string& journal);

/// The command chosen by the parser; returns the exit code.
using Command = std::function<int()>;

}  // namespace concord::bench
