// Reports of the C interface: figures, memory, audit, presets, explanations.

#include "common/capi/reports.hpp"

#include "common/capi/guard.hpp"
#include "common/capi/handles.hpp"
#include "common/capi/options.hpp"
#include "common/capi/rows.hpp"
#include "common/capi/structs.hpp"

namespace concord::capi {
namespace {

concord_phase phase_of(const PhaseStats& phase) noexcept { return {phase.seconds, phase.count}; }

}  // namespace

OwnedStats::OwnedStats(Stats stats) : concord_stats{}, data(std::move(stats)) {
  struct_size = sizeof(concord_stats);
  take_graph();
  take_build();
  take_work();
}

void OwnedStats::take_graph() {
  size = data.size;
  insertions = data.insertions;
  removals = data.removals;
  tombstones = data.tombstones;
  copies = data.copies;
  max_level = data.max_level;
  threads = data.threads;
  isa = data.isa.c_str();
  level_histogram = data.level_histogram.data();
  levels = data.level_histogram.size();
  degree_histogram = data.degree_histogram.data();
  degrees = data.degree_histogram.size();
}

void OwnedStats::take_build() {
  const BuildStats& build = data.build;
  ingest = phase_of(build.ingest);
  descent = phase_of(build.descent);
  beam_search = phase_of(build.beam_search);
  tail = phase_of(build.tail);
  selection = phase_of(build.selection);
  commit = phase_of(build.commit);
  score = phase_of(build.score);
  seal = phase_of(build.seal);
  repair = phase_of(build.repair);
  propose_wall_seconds = build.propose_wall_seconds;
  score_wall_seconds = build.score_wall_seconds;
  build_distances = build.distances;
  build_hops = build.hops;
  refused_links = build.refused_links;
  reanchored = build.reanchored;
}

void OwnedStats::take_work() {
  queries = data.search.queries;
  distances = data.search.distances;
  hops = data.search.hops;
  rescored = data.search.rescored;
  device = data.device.name.c_str();
  device_reason = data.device.reason.c_str();
  kernel_seconds = data.device.kernel_seconds;
  copy_in_seconds = data.device.copy_in_seconds;
  copy_out_seconds = data.device.copy_out_seconds;
  overlap_seconds = data.device.overlap_seconds;
  bytes_in = data.device.bytes_in;
  bytes_out = data.device.bytes_out;
  device_memory = data.device.memory_bytes;
  device_checked = data.device.checked;
  check_seconds = data.device.check_seconds;
  journal_bytes = data.journal.bytes;
  journal_recovered = data.journal.recovered;
  journal_cut_bytes = data.journal.cut_bytes;
  journal_dropped = data.journal.dropped;
  journal_recovery_seconds = data.journal.recovery_seconds;
  journal_write_seconds = data.journal.write_seconds;
  journal_sync_seconds = data.journal.sync_seconds;
  journal_wait_seconds = data.journal.wait_seconds;
}

OwnedAudit::OwnedAudit(AuditReport report) : concord_audit{}, data(std::move(report)) {
  struct_size = sizeof(concord_audit);
  ok = data.ok ? 1 : 0;
  nodes = data.nodes;
  edges = data.edges;
  unreachable = data.unreachable;
  asymmetric_edges = data.asymmetric_edges;
  broken_anchors = data.broken_anchors;
  over_degree = data.over_degree;
  invalid_links = data.invalid_links;
  entry_point_errors = data.entry_point_errors;
  level_errors = data.level_errors;
  copy_errors = data.copy_errors;
  for (const std::string& message : data.messages) texts.push_back(message.c_str());
  messages = texts.data();
  message_count = texts.size();
}

OwnedExplanation::OwnedExplanation(const Explanation& of)
    : concord_explanation{}, words(of.text()) {
  struct_size = sizeof(concord_explanation);
  label = of.label;
  k = of.k;
  reason = static_cast<std::int32_t>(of.reason);
  rank = of.rank;
  level = of.level;
  ef = of.ef;
  distance = of.distance;
  slack = of.slack;
  hop = of.hop;
  parent = of.parent;
  text = words.c_str();
}

OwnedPresets::OwnedPresets(const std::vector<Preset>& presets) : concord_presets{} {
  struct_size = sizeof(concord_presets);
  for (const Preset& preset : presets) data.push_back(of_preset(preset));
  for (const concord_preset& preset : data) pointers.push_back(&preset);
  count = pointers.size();
  items = pointers.data();
}

concord_preset of_preset(const Preset& preset) noexcept {
  concord_preset result = {};
  result.struct_size = sizeof(concord_preset);
  result.recall = preset.recall;
  result.k = preset.k;
  result.ef = preset.ef;
  result.slack = preset.slack;
  result.measured = preset.measured;
  result.at_least = preset.at_least;
  result.distances = preset.distances;
  result.queries = preset.queries;
  result.size = preset.size;
  result.insertions = preset.insertions;
  result.removals = preset.removals;
  return result;
}

Preset preset_of(const concord_preset& given) {
  expect_zero(given.zero, "zero");
  Preset preset;
  preset.recall = given.recall;
  preset.k = given.k;
  preset.ef = given.ef;
  preset.slack = given.slack;
  preset.measured = given.measured;
  preset.at_least = given.at_least;
  preset.distances = given.distances;
  preset.queries = given.queries;
  preset.size = given.size;
  preset.insertions = given.insertions;
  preset.removals = given.removals;
  return preset;
}

concord_memory of_memory(const MemoryUse& use) noexcept {
  concord_memory result = {};
  result.struct_size = sizeof(concord_memory);
  result.vectors = use.vectors;
  result.links = use.links;
  result.upper = use.upper;
  result.labels = use.labels;
  result.nodes = use.nodes;
  result.epoch = use.epoch;
  result.scratch = use.scratch;
  return result;
}

}  // namespace concord::capi

using namespace concord;
using namespace concord::capi;

concord_status concord_index_stats(const concord_index* index, concord_stats** stats) {
  return guarded([&] {
    expect(stats, "stats");
    *stats = new OwnedStats(read(index, [](const auto& of) { return of.stats(); }));
  });
}
void concord_stats_free(concord_stats* stats) { delete static_cast<OwnedStats*>(stats); }

concord_status concord_index_memory(const concord_index* index, concord_memory* memory) {
  return guarded([&] {
    fill(memory, of_memory(read(index, [](const auto& of) { return of.memory(); })),
         "concord_memory");
  });
}

concord_status concord_index_audit(const concord_index* index, concord_audit** audit) {
  return guarded([&] {
    expect(audit, "audit");
    *audit = new OwnedAudit(read(index, [](const auto& of) { return of.audit(); }));
  });
}
void concord_audit_free(concord_audit* audit) { delete static_cast<OwnedAudit*>(audit); }

concord_status concord_index_tune(concord_index* index, const concord_matrix* queries,
                                  const concord_tune_params* params, concord_preset* preset) {
  return guarded([&] {
    Index& of = expect_own_single(index);
    const auto given = read_options(params, default_tune_params(), "concord_tune_params");
    if (preset != nullptr) checked_size(*preset, "concord_preset");
    TuneProgress progress;
    if (given.progress != nullptr) {
      progress = [&](std::size_t done, std::size_t total) {
        if (given.progress(given.progress_context, done, total) != 0) throw Cancelled("progress");
      };
    }
    const TuneParams goal = tune_params_of(given);
    const Preset found = queries == nullptr
                             ? of.tune(goal, progress)
                             : of.tune(Rows(queries, "queries").floats(), goal, progress);
    if (preset != nullptr) fill(preset, of_preset(found), "concord_preset");
  });
}

concord_status concord_index_preset(const concord_index* index, double recall, uint32_t k,
                                    concord_search_params* params) {
  return guarded([&] {
    fill(params, of_search_params(expect_single(index).preset(recall, k)), "concord_search_params");
  });
}

concord_status concord_index_remember(concord_index* index, const concord_preset* preset) {
  return guarded([&] {
    Index& of = expect_own_single(index);
    of.remember(
        preset_of(read_options(&expect(preset, "preset"), concord_preset{}, "concord_preset")));
  });
}

concord_status concord_index_presets(const concord_index* index, concord_presets** presets) {
  return guarded([&] {
    expect(presets, "presets");
    *presets = new OwnedPresets(expect_single(index).presets());
  });
}
void concord_presets_free(concord_presets* presets) { delete static_cast<OwnedPresets*>(presets); }

concord_status concord_index_explain(const concord_index* index, const concord_matrix* query,
                                     uint64_t label, uint32_t k, const concord_filter* filter,
                                     concord_explanation** explanation) {
  return guarded([&] {
    expect(explanation, "explanation");
    Rows row(query, "query");
    const Filter* const of_all = filter == nullptr ? nullptr : &filter->filter;
    *explanation = new OwnedExplanation(
        read(index, [&](const auto& of) { return of.explain(row.floats(), label, k, of_all); }));
  });
}
void concord_explanation_free(concord_explanation* explanation) {
  delete static_cast<OwnedExplanation*>(explanation);
}
