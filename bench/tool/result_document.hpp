// The results of a command: a JSON document for programs, tables on the screen for people.
#pragma once

#include <concord/index.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/tool/batch_sweep.hpp"
#include "bench/tool/data_set.hpp"
#include "bench/tool/measure.hpp"

namespace concord::bench {

using Json = nlohmann::ordered_json;

/// Document with tool, version of the document, commit, date, command and machine.
Json new_document(const std::string& command, const Stats& stats);
/// Writes `document` indented to `path`; does nothing if the path is empty. Throws InputError.
void write_document(const Json& document, const std::filesystem::path& path);

Json parameters_json(const IndexParams& params);
Json data_json(const DataSet& data, std::size_t indexed);
/// A finished index: digest, size, levels, degrees.
Json index_json(const std::string& digest, std::size_t size, const Stats& stats);
Json build_json(double seconds, std::size_t vectors, const Stats& stats);
Json audit_json(const AuditReport& audit);
/// The parts held, the peak of add against its allowance, and the peak of the process.
Json memory_json(const MemoryUse& use, const BuildMeasure* build);
Json search_json(const std::vector<SearchPoint>& points);
Json batches_json(const std::vector<BatchPoint>& points);
Json device_json(const DeviceStats& device);
Json journal_json(const JournalStats& journal);

void print_build(double seconds, std::size_t vectors, const Stats& stats);
void print_audit(const AuditReport& audit);
void print_memory(const MemoryUse& use, const BuildMeasure* build);
void print_search(const std::vector<SearchPoint>& points, std::uint32_t k);
void print_batches(const std::vector<BatchPoint>& points, std::uint32_t k);

}  // namespace concord::bench
