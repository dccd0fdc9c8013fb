#include "reports.hpp"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;

namespace concord::python {
namespace {

nb::dict to_dict(const PhaseStats& phase) {
  nb::dict d;
  d["seconds"] = phase.seconds;
  d["count"] = phase.count;
  return d;
}

nb::dict to_dict(const BuildStats& build) {
  nb::dict d;
  d["ingest"] = to_dict(build.ingest);
  d["descent"] = to_dict(build.descent);
  d["beam_search"] = to_dict(build.beam_search);
  d["tail"] = to_dict(build.tail);
  d["selection"] = to_dict(build.selection);
  d["commit"] = to_dict(build.commit);
  d["score"] = to_dict(build.score);
  d["seal"] = to_dict(build.seal);
  d["repair"] = to_dict(build.repair);
  d["propose_wall_seconds"] = build.propose_wall_seconds;
  d["score_wall_seconds"] = build.score_wall_seconds;
  d["distances"] = build.distances;
  d["hops"] = build.hops;
  d["refused_links"] = build.refused_links;
  d["reanchored"] = build.reanchored;
  return d;
}

nb::dict to_dict(const SearchStats& search) {
  nb::dict d;
  d["queries"] = search.queries;
  d["distances"] = search.distances;
  d["hops"] = search.hops;
  d["rescored"] = search.rescored;
  return d;
}

nb::dict to_dict(const JournalStats& journal) {
  nb::dict d;
  d["bytes"] = journal.bytes;
  d["recovered"] = journal.recovered;
  d["cut_bytes"] = journal.cut_bytes;
  d["dropped"] = journal.dropped;
  d["recovery_seconds"] = journal.recovery_seconds;
  d["write_seconds"] = journal.write_seconds;
  d["sync_seconds"] = journal.sync_seconds;
  d["wait_seconds"] = journal.wait_seconds;
  return d;
}

nb::dict to_dict(const DeviceStats& device) {
  nb::dict d;
  d["name"] = device.name;
  d["reason"] = device.reason;
  d["kernel_seconds"] = device.kernel_seconds;
  d["copy_in_seconds"] = device.copy_in_seconds;
  d["copy_out_seconds"] = device.copy_out_seconds;
  d["overlap_seconds"] = device.overlap_seconds;
  d["bytes_in"] = device.bytes_in;
  d["bytes_out"] = device.bytes_out;
  d["memory_bytes"] = device.memory_bytes;
  d["checked"] = device.checked;
  d["check_seconds"] = device.check_seconds;
  return d;
}

}  // namespace

nb::dict to_dict(const Stats& stats) {
  nb::dict d;
  d["size"] = stats.size;
  d["insertions"] = stats.insertions;
  d["removals"] = stats.removals;
  d["tombstones"] = stats.tombstones;
  d["copies"] = stats.copies;
  d["max_level"] = stats.max_level;
  d["isa"] = stats.isa;
  d["threads"] = stats.threads;
  d["build"] = to_dict(stats.build);
  d["search"] = to_dict(stats.search);
  d["device"] = to_dict(stats.device);
  d["journal"] = to_dict(stats.journal);
  d["level_histogram"] = stats.level_histogram;
  d["degree_histogram"] = stats.degree_histogram;
  return d;
}

nb::dict to_dict(const MemoryUse& use) {
  nb::dict d;
  d["vectors"] = use.vectors;
  d["links"] = use.links;
  d["upper"] = use.upper;
  d["labels"] = use.labels;
  d["nodes"] = use.nodes;
  d["epoch"] = use.epoch;
  d["scratch"] = use.scratch;
  return d;
}

nb::dict to_dict(const AuditReport& report) {
  nb::dict d;
  d["ok"] = report.ok;
  d["nodes"] = report.nodes;
  d["edges"] = report.edges;
  d["unreachable"] = report.unreachable;
  d["asymmetric_edges"] = report.asymmetric_edges;
  d["broken_anchors"] = report.broken_anchors;
  d["over_degree"] = report.over_degree;
  d["invalid_links"] = report.invalid_links;
  d["entry_point_errors"] = report.entry_point_errors;
  d["level_errors"] = report.level_errors;
  d["copy_errors"] = report.copy_errors;
  d["messages"] = report.messages;
  return d;
}

}  // namespace concord::python
