#include "bench/tool/result_document.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <utility>

#include "bench/tool/machine.hpp"
#include "bench/tool/memory_probe.hpp"
#include "bench/tool/parallel.hpp"
#include "bench/tool/table.hpp"

namespace concord::bench {
namespace {

using NamedPhase = std::pair<const char*, const PhaseStats*>;

std::array<NamedPhase, 8> phases(const BuildStats& build) {
  return {{{"ingest", &build.ingest},
           {"descent", &build.descent},
           {"beam_search", &build.beam_search},
           {"tail", &build.tail},
           {"selection", &build.selection},
           {"commit", &build.commit},
           {"score", &build.score},
           {"seal", &build.seal}}};
}

using NamedBytes = std::pair<const char*, std::uint64_t>;

std::array<NamedBytes, 7> parts(const MemoryUse& use) {
  return {{{"vectors", use.vectors},
           {"links", use.links},
           {"upper", use.upper},
           {"labels", use.labels},
           {"nodes", use.nodes},
           {"epoch", use.epoch},
           {"scratch", use.scratch}}};
}

double rate(std::size_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

}  // namespace

Json new_document(const std::string& command, const Stats& stats) {
  return {{"tool", "concord-bench"},
          {"schema", 1},
          {"commit", build_commit()},
          {"date", utc_now()},
          {"command", command},
          {"machine",
           {{"cpu", cpu_model()},
            {"cores", resolve_threads(0)},
            {"memory_bytes", memory_bytes()},
            {"load_average", load_average()},
            {"isa", stats.isa},
            {"device", stats.device.name}}}};
}

void write_document(const Json& document, const std::filesystem::path& path) {
  if (path.empty()) return;
  std::ofstream file(path, std::ios::trunc);
  file << document.dump(2) << '\n' << std::flush;
  if (!file) throw InputError(path.string() + ": cannot be written");
}

Json parameters_json(const IndexParams& params) {
  return {{"dimension", params.dimension},
          {"metric", to_string(params.metric)},
          {"M", params.M},
          {"ef_construction", params.ef_construction},
          {"seed", params.seed},
          {"epoch_limit", params.epoch_limit},
          {"codes", to_string(params.codes)},
          {"storage", to_string(params.storage)}};
}

Json data_json(const DataSet& data, std::size_t indexed) {
  return {{"name", data.name},
          {"vectors", indexed},
          {"queries", data.queries.rows},
          {"queries_from", data.queries_from}};
}

Json index_json(const std::string& digest, std::size_t size, const Stats& stats) {
  return {{"digest", digest},
          {"size", size},
          {"max_level", stats.max_level},
          {"level_histogram", stats.level_histogram},
          {"degree_histogram", stats.degree_histogram}};
}

Json build_json(double seconds, std::size_t vectors, const Stats& stats) {
  Json phase_list = Json::object();
  for (const auto& [name, phase] : phases(stats.build)) {
    phase_list[name] = {{"seconds", phase->seconds}, {"count", phase->count}};
  }
  return {{"seconds", seconds},
          {"vectors_per_second", rate(vectors, seconds)},
          {"threads", stats.threads},
          {"phases", phase_list},
          {"propose_wall_seconds", stats.build.propose_wall_seconds},
          {"score_wall_seconds", stats.build.score_wall_seconds},
          {"distances", stats.build.distances},
          {"hops", stats.build.hops},
          {"refused_links", stats.build.refused_links},
          {"reanchored", stats.build.reanchored}};
}

Json audit_json(const AuditReport& audit) {
  return {{"ok", audit.ok},
          {"nodes", audit.nodes},
          {"edges", audit.edges},
          {"unreachable", audit.unreachable},
          {"asymmetric_edges", audit.asymmetric_edges},
          {"broken_anchors", audit.broken_anchors},
          {"over_degree", audit.over_degree},
          {"invalid_links", audit.invalid_links},
          {"entry_point_errors", audit.entry_point_errors},
          {"level_errors", audit.level_errors},
          {"copy_errors", audit.copy_errors},
          {"messages", audit.messages}};
}

Json memory_json(const MemoryUse& use, const BuildMeasure* build) {
  Json json = {{"peak_rss_bytes", peak_resident_bytes()}, {"index_bytes", use.total()}};
  for (const auto& [name, bytes] : parts(use)) json["parts"][name] = bytes;
  if (build != nullptr) {
    json["add_peak_bytes"] = build->add_peak_bytes;
    json["allowed_bytes"] = build->allowed_bytes;
    json["ok"] = build->add_peak_bytes <= build->allowed_bytes;
    json["peak_exact"] = build->peak_exact;
  }
  return json;
}

Json search_json(const std::vector<SearchPoint>& points) {
  Json list = Json::array();
  for (const SearchPoint& point : points) {
    list.push_back({{"ef", point.ef},
                    {"recall", point.recall},
                    {"qps", point.qps},
                    {"qps_single_thread", point.qps_single_thread},
                    {"distances_per_query", point.distances_per_query}});
    if (point.rescored_per_query > 0) {
      list.back()["rescored_per_query"] = point.rescored_per_query;
    }
    if (!std::isinf(point.slack)) list.back()["slack"] = point.slack;
  }
  return list;
}

Json batches_json(const std::vector<BatchPoint>& points) {
  Json list = Json::array();
  for (const BatchPoint& point : points) {
    list.push_back({{"device", point.device},
                    {"ef", point.ef},
                    {"batch", point.batch},
                    {"recall", point.recall},
                    {"qps", point.qps},
                    {"p50_seconds", point.p50_seconds},
                    {"p99_seconds", point.p99_seconds},
                    {"calls", point.calls},
                    {"kernel_seconds", point.kernel_seconds},
                    {"distances_per_query", point.distances_per_query},
                    {"answered_by", point.on_device ? "device" : "cpu"}});
  }
  return list;
}

Json journal_json(const JournalStats& journal) {
  return {{"bytes", journal.bytes},
          {"recovered", journal.recovered},
          {"cut_bytes", journal.cut_bytes},
          {"dropped", journal.dropped},
          {"recovery_seconds", journal.recovery_seconds},
          {"write_seconds", journal.write_seconds},
          {"sync_seconds", journal.sync_seconds},
          {"wait_seconds", journal.wait_seconds}};
}

Json device_json(const DeviceStats& device) {
  return {{"name", device.name},
          {"reason", device.reason},
          {"kernel_seconds", device.kernel_seconds},
          {"copy_in_seconds", device.copy_in_seconds},
          {"copy_out_seconds", device.copy_out_seconds},
          {"overlap_seconds", device.overlap_seconds},
          {"bytes_in", device.bytes_in},
          {"bytes_out", device.bytes_out},
          {"memory_bytes", device.memory_bytes},
          {"checked", device.checked},
          {"check_seconds", device.check_seconds}};
}

void print_build(double seconds, std::size_t vectors, const Stats& stats) {
  std::printf("\nbuild: %s vectors in %.2f s, %s vectors/s (%u threads, %s, %s)\n",
              grouped(vectors).c_str(), seconds, whole(rate(vectors, seconds)).c_str(),
              stats.threads, stats.isa.c_str(), stats.device.name.c_str());
  Table table({"phase", "seconds", "count", "us each"});
  for (const auto& [name, phase] : phases(stats.build)) {
    const double each =
        phase->count > 0 ? 1e6 * phase->seconds / static_cast<double>(phase->count) : 0;
    table.add_row({name, fixed(phase->seconds, 3), grouped(phase->count), fixed(each, 2)});
  }
  table.print();
  std::printf(
      "  %s distances, %s hops; phases that run on several threads are summed over the threads\n",
      grouped(stats.build.distances).c_str(), grouped(stats.build.hops).c_str());
}

void print_audit(const AuditReport& audit) {
  std::printf("\naudit: %s; %s nodes, %s edges, %s unreachable, %s asymmetric\n",
              audit.ok ? "ok" : "FAILED", grouped(audit.nodes).c_str(),
              grouped(audit.edges).c_str(), grouped(audit.unreachable).c_str(),
              grouped(audit.asymmetric_edges).c_str());
  for (const std::string& message : audit.messages) std::printf("  %s\n", message.c_str());
}

void print_memory(const MemoryUse& use, const BuildMeasure* build) {
  std::printf("\nmemory: index %s (", mebibytes(use.total()).c_str());
  const char* separator = "";
  for (const auto& [name, bytes] : parts(use)) {
    std::printf("%s%s %s", separator, name, mebibytes(bytes).c_str());
    separator = ", ";
  }
  std::printf("); peak of the process %s\n", mebibytes(peak_resident_bytes()).c_str());
  if (build == nullptr) return;
  std::printf(
      "  peak of add %s of %s allowed (1.15 x (vectors + codes + hnswlib's overhead) + 64 MiB): "
      "%s\n",
      mebibytes(build->add_peak_bytes).c_str(), mebibytes(build->allowed_bytes).c_str(),
      build->add_peak_bytes <= build->allowed_bytes ? "ok" : "TOO MUCH");
}

void print_search(const std::vector<SearchPoint>& points, std::uint32_t k) {
  std::printf("\nsearch:\n");
  const bool by_codes = std::ranges::any_of(
      points, [](const SearchPoint& point) { return point.rescored_per_query > 0; });
  std::vector<std::string> header{"ef",
                                  "slack",
                                  "recall@" + std::to_string(k),
                                  "queries/s",
                                  "queries/s, 1 thread",
                                  "distances/query"};
  if (by_codes) header.emplace_back("rescored/query");
  Table table(header);
  for (const SearchPoint& point : points) {
    std::vector<std::string> cells{
        std::to_string(point.ef),       std::isinf(point.slack) ? "-" : fixed(point.slack, 3),
        fixed(point.recall, 4),         whole(point.qps),
        whole(point.qps_single_thread), fixed(point.distances_per_query, 1)};
    if (by_codes) cells.push_back(fixed(point.rescored_per_query, 1));
    table.add_row(std::move(cells));
  }
  table.print();
}

void print_batches(const std::vector<BatchPoint>& points, std::uint32_t k) {
  std::printf("\nsearch by batch:\n");
  Table table({"device", "ef", "recall@" + std::to_string(k), "batch", "queries/s", "p50 ms",
               "p99 ms", "answered by"});
  for (const BatchPoint& point : points) {
    table.add_row({point.device, std::to_string(point.ef), fixed(point.recall, 4),
                   grouped(point.batch), whole(point.qps), fixed(1e3 * point.p50_seconds, 3),
                   fixed(1e3 * point.p99_seconds, 3), point.on_device ? "device" : "cpu"});
  }
  table.print();
}

}  // namespace concord::bench
