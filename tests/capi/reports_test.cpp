// Reports of the C interface have each field of those of C++: none is lost, and none is another's.

#include "common/capi/reports.hpp"

#include <gtest/gtest.h>

#include <initializer_list>

namespace concord {
namespace {

/// Gives each field a number that no other has.
class Distinct {
 public:
  template <class T>
  void fill(std::initializer_list<T*> fields) {
    for (T* field : fields) *field = static_cast<T>(++number_);
  }

 private:
  int number_ = 0;
};

Stats distinct_stats() {
  Stats of;
  Distinct distinct;
  BuildStats& build = of.build;
  for (PhaseStats* phase :
       {&build.ingest, &build.descent, &build.beam_search, &build.tail, &build.selection,
        &build.commit, &build.score, &build.seal, &build.repair}) {
    distinct.fill({&phase->seconds});
    distinct.fill({&phase->count});
  }
  distinct.fill({&of.max_level, &of.threads});
  distinct.fill({&of.size,
                 &of.insertions,
                 &of.removals,
                 &of.tombstones,
                 &of.copies,
                 &build.distances,
                 &build.hops,
                 &build.refused_links,
                 &build.reanchored,
                 &of.search.queries,
                 &of.search.distances,
                 &of.search.hops,
                 &of.search.rescored,
                 &of.device.bytes_in,
                 &of.device.bytes_out,
                 &of.device.memory_bytes,
                 &of.device.checked,
                 &of.journal.bytes,
                 &of.journal.recovered,
                 &of.journal.cut_bytes,
                 &of.journal.dropped});
  distinct.fill({&build.propose_wall_seconds, &build.score_wall_seconds, &of.device.kernel_seconds,
                 &of.device.copy_in_seconds, &of.device.copy_out_seconds,
                 &of.device.overlap_seconds, &of.device.check_seconds, &of.journal.recovery_seconds,
                 &of.journal.write_seconds, &of.journal.sync_seconds, &of.journal.wait_seconds});
  of.isa = "an instruction set";
  of.device.name = "a device";
  of.device.reason = "a reason";
  of.level_histogram = {7, 8, 9};
  of.degree_histogram = {3, 4};
  return of;
}

void expect_equal(const concord_phase& phase, const PhaseStats& expected) {
  EXPECT_EQ(phase.seconds, expected.seconds);
  EXPECT_EQ(phase.count, expected.count);
}

TEST(CReports, FiguresOfTheGraph) {
  const Stats of = distinct_stats();
  const capi::OwnedStats got(of);
  EXPECT_EQ(got.struct_size, sizeof(concord_stats));
  EXPECT_EQ(got.size, of.size);
  EXPECT_EQ(got.insertions, of.insertions);
  EXPECT_EQ(got.removals, of.removals);
  EXPECT_EQ(got.tombstones, of.tombstones);
  EXPECT_EQ(got.copies, of.copies);
  EXPECT_EQ(got.max_level, of.max_level);
  EXPECT_EQ(got.threads, of.threads);
  EXPECT_EQ(got.isa, of.isa);
  EXPECT_EQ(std::vector(got.level_histogram, got.level_histogram + got.levels), of.level_histogram);
  EXPECT_EQ(std::vector(got.degree_histogram, got.degree_histogram + got.degrees),
            of.degree_histogram);
}

TEST(CReports, FiguresOfTheBuild) {
  const Stats of = distinct_stats();
  const capi::OwnedStats got(of);
  expect_equal(got.ingest, of.build.ingest);
  expect_equal(got.descent, of.build.descent);
  expect_equal(got.beam_search, of.build.beam_search);
  expect_equal(got.tail, of.build.tail);
  expect_equal(got.selection, of.build.selection);
  expect_equal(got.commit, of.build.commit);
  expect_equal(got.score, of.build.score);
  expect_equal(got.seal, of.build.seal);
  expect_equal(got.repair, of.build.repair);
  EXPECT_EQ(got.propose_wall_seconds, of.build.propose_wall_seconds);
  EXPECT_EQ(got.score_wall_seconds, of.build.score_wall_seconds);
  EXPECT_EQ(got.build_distances, of.build.distances);
  EXPECT_EQ(got.build_hops, of.build.hops);
  EXPECT_EQ(got.refused_links, of.build.refused_links);
  EXPECT_EQ(got.reanchored, of.build.reanchored);
}

TEST(CReports, FiguresOfSearchesDeviceAndJournal) {
  const Stats of = distinct_stats();
  const capi::OwnedStats got(of);
  EXPECT_EQ(got.queries, of.search.queries);
  EXPECT_EQ(got.distances, of.search.distances);
  EXPECT_EQ(got.hops, of.search.hops);
  EXPECT_EQ(got.rescored, of.search.rescored);
  EXPECT_EQ(got.device, of.device.name);
  EXPECT_EQ(got.device_reason, of.device.reason);
  EXPECT_EQ(got.kernel_seconds, of.device.kernel_seconds);
  EXPECT_EQ(got.copy_in_seconds, of.device.copy_in_seconds);
  EXPECT_EQ(got.copy_out_seconds, of.device.copy_out_seconds);
  EXPECT_EQ(got.overlap_seconds, of.device.overlap_seconds);
  EXPECT_EQ(got.bytes_in, of.device.bytes_in);
  EXPECT_EQ(got.bytes_out, of.device.bytes_out);
  EXPECT_EQ(got.device_memory, of.device.memory_bytes);
  EXPECT_EQ(got.device_checked, of.device.checked);
  EXPECT_EQ(got.check_seconds, of.device.check_seconds);
  EXPECT_EQ(got.journal_bytes, of.journal.bytes);
  EXPECT_EQ(got.journal_recovered, of.journal.recovered);
  EXPECT_EQ(got.journal_cut_bytes, of.journal.cut_bytes);
  EXPECT_EQ(got.journal_dropped, of.journal.dropped);
  EXPECT_EQ(got.journal_recovery_seconds, of.journal.recovery_seconds);
  EXPECT_EQ(got.journal_write_seconds, of.journal.write_seconds);
  EXPECT_EQ(got.journal_sync_seconds, of.journal.sync_seconds);
  EXPECT_EQ(got.journal_wait_seconds, of.journal.wait_seconds);
}

TEST(CReports, Memory) {
  MemoryUse of;
  Distinct().fill(
      {&of.vectors, &of.links, &of.upper, &of.labels, &of.nodes, &of.epoch, &of.scratch});
  const concord_memory got = capi::of_memory(of);
  EXPECT_EQ(got.vectors, of.vectors);
  EXPECT_EQ(got.links, of.links);
  EXPECT_EQ(got.upper, of.upper);
  EXPECT_EQ(got.labels, of.labels);
  EXPECT_EQ(got.nodes, of.nodes);
  EXPECT_EQ(got.epoch, of.epoch);
  EXPECT_EQ(got.scratch, of.scratch);
}

TEST(CReports, AuditOfADamagedGraph) {
  AuditReport of;
  Distinct().fill({&of.nodes, &of.edges, &of.unreachable, &of.asymmetric_edges, &of.broken_anchors,
                   &of.over_degree, &of.invalid_links, &of.entry_point_errors, &of.level_errors,
                   &of.copy_errors});
  of.ok = false;
  of.messages = {"first", "second"};
  const capi::OwnedAudit got(of);
  EXPECT_EQ(got.struct_size, sizeof(concord_audit));
  EXPECT_EQ(got.ok, 0);
  EXPECT_EQ(got.nodes, of.nodes);
  EXPECT_EQ(got.edges, of.edges);
  EXPECT_EQ(got.unreachable, of.unreachable);
  EXPECT_EQ(got.asymmetric_edges, of.asymmetric_edges);
  EXPECT_EQ(got.broken_anchors, of.broken_anchors);
  EXPECT_EQ(got.over_degree, of.over_degree);
  EXPECT_EQ(got.invalid_links, of.invalid_links);
  EXPECT_EQ(got.entry_point_errors, of.entry_point_errors);
  EXPECT_EQ(got.level_errors, of.level_errors);
  EXPECT_EQ(got.copy_errors, of.copy_errors);
  ASSERT_EQ(got.message_count, 2u);
  EXPECT_STREQ(got.messages[0], "first");
  EXPECT_STREQ(got.messages[1], "second");
}

TEST(CReports, Explanation) {
  Explanation of;
  Distinct distinct;
  distinct.fill({&of.label, &of.rank, &of.hop, &of.parent});
  distinct.fill({&of.k, &of.level, &of.ef});
  distinct.fill({&of.distance, &of.slack});
  of.reason = Explanation::Reason::links;
  const capi::OwnedExplanation got(of);
  EXPECT_EQ(got.struct_size, sizeof(concord_explanation));
  EXPECT_EQ(got.label, of.label);
  EXPECT_EQ(got.k, of.k);
  EXPECT_EQ(got.reason, CONCORD_REASON_LINKS);
  EXPECT_EQ(got.rank, of.rank);
  EXPECT_EQ(got.level, of.level);
  EXPECT_EQ(got.ef, of.ef);
  EXPECT_EQ(got.distance, of.distance);
  EXPECT_EQ(got.slack, of.slack);
  EXPECT_EQ(got.hop, of.hop);
  EXPECT_EQ(got.parent, of.parent);
  EXPECT_EQ(got.text, of.text());
}

TEST(CReports, PresetsThereAndBack) {
  Preset of;
  Distinct distinct;
  distinct.fill({&of.recall, &of.measured, &of.at_least, &of.distances});
  distinct.fill({&of.k, &of.ef});
  distinct.fill({&of.queries, &of.size, &of.insertions, &of.removals});
  distinct.fill({&of.slack});
  const capi::OwnedPresets presets({Preset{}, of});
  EXPECT_EQ(presets.struct_size, sizeof(concord_presets));
  ASSERT_EQ(presets.count, 2u);
  const concord_preset& got = *presets.items[1];
  EXPECT_EQ(got.struct_size, sizeof(concord_preset));
  EXPECT_EQ(got.recall, of.recall);
  EXPECT_EQ(got.k, of.k);
  EXPECT_EQ(got.ef, of.ef);
  EXPECT_EQ(got.slack, of.slack);
  EXPECT_EQ(got.zero, 0);
  EXPECT_EQ(got.measured, of.measured);
  EXPECT_EQ(got.at_least, of.at_least);
  EXPECT_EQ(got.distances, of.distances);
  EXPECT_EQ(got.queries, of.queries);
  EXPECT_EQ(got.size, of.size);
  EXPECT_EQ(got.insertions, of.insertions);
  EXPECT_EQ(got.removals, of.removals);
  EXPECT_EQ(capi::preset_of(got), of);
}

}  // namespace
}  // namespace concord
