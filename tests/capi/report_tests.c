/* What an index tells of itself and its answers. */
#include <math.h>

#include "check.h"

TEST(figures) {
  uint32_t shards;
  for (shards = 0; shards <= 2; shards += 2) {
    concord_index *index = index_of_data(shards);
    concord_stats *stats = NULL;
    concord_audit *audit = NULL;
    concord_memory memory;
    uint64_t nodes = 0, lists = 0;
    size_t i;
    OK(concord_index_stats(index, &stats));
    CHECK(stats->struct_size == sizeof *stats);
    CHECK(stats->size == ROWS && stats->insertions == ROWS && stats->removals == 0);
    CHECK(stats->commit.count == ROWS && stats->build_distances > 0);
    CHECK(strlen(stats->isa) > 0 && strlen(stats->device) > 0 && stats->device_reason != NULL);
    CHECK(stats->levels == stats->max_level + 1);
    for (i = 0; i < stats->levels; ++i) nodes += stats->level_histogram[i];
    for (i = 0; i < stats->degrees; ++i) lists += stats->degree_histogram[i];
    CHECK(nodes == ROWS && lists == ROWS);
    concord_stats_free(stats);
    concord_stats_free(NULL);
    OK(concord_index_audit(index, &audit));
    CHECK(audit->struct_size == sizeof *audit);
    CHECK(audit->ok == 1 && audit->nodes == ROWS && audit->edges > ROWS);
    CHECK(audit->message_count == 0 && audit->unreachable == 0);
    concord_audit_free(audit);
    concord_audit_free(NULL);
    memory.struct_size = sizeof memory;
    OK(concord_index_memory(index, &memory));
    CHECK(memory.vectors >= ROWS * DIMENSION && memory.links > 0);
    concord_index_free(index);
  }
}

static int count_calls(void *context, uint64_t done, uint64_t total) {
  CHECK(done <= total);
  return --*(int *)context == 0;
}

TEST(presets) {
  concord_index *index = index_of_data(0);
  concord_index *other = index_of_data(0);
  const concord_matrix queries = matrix_of(data(), ROWS);
  concord_tune_params goal;
  concord_preset preset;
  concord_presets *presets = NULL, *taken_over = NULL;
  concord_search_params params;
  int calls = 1000000;
  preset.struct_size = sizeof preset;
  concord_tune_params_init(&goal, sizeof goal);
  CHECK(goal.recall == 0.99 && goal.k == 10 && goal.sample == 4000);
  goal.recall = 0.9;
  goal.k = 5;
  goal.progress = count_calls;
  goal.progress_context = &calls;
  OK(concord_index_tune(index, &queries, &goal, &preset));
  CHECK(preset.recall == 0.9 && preset.k == 5 && preset.ef >= 1 && preset.at_least >= 0.9);
  CHECK(calls < 1000000);
  calls = 1;
  REFUSED(CONCORD_ERROR_CANCELLED, "progress", concord_index_tune(index, NULL, &goal, &preset));
  calls = 1000000;
  OK(concord_index_tune(index, NULL, &goal, NULL));
  OK(concord_index_presets(index, &presets));
  CHECK(presets->struct_size == sizeof *presets);
  CHECK(presets->items[0]->struct_size == sizeof preset);
  CHECK(presets->count == 1 && presets->items[0]->k == 5);
  params.struct_size = sizeof params;
  OK(concord_index_preset(index, 0.9, 5, &params));
  CHECK(params.k == 5 && params.ef == presets->items[0]->ef && params.group_hits == 1);
  REFUSED(CONCORD_ERROR_UNKNOWN_PRESET, "", concord_index_preset(index, 0.9, 6, &params));
  CHECK(presets->items[0]->insertions == ROWS && presets->items[0]->size == ROWS);
  CHECK(presets->items[0]->removals == 0 && presets->items[0]->distances > 0);
  OK(concord_index_remember(other, presets->items[0]));
  OK(concord_index_preset(other, 0.9, 5, &params));
  OK(concord_index_presets(other, &taken_over));
  CHECK(taken_over->count == 1);
  CHECK(memcmp(taken_over->items[0], presets->items[0], sizeof preset) == 0);
  concord_presets_free(taken_over);
  concord_presets_free(presets);
  concord_presets_free(NULL);
  preset.zero = 1;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "zero", concord_index_remember(other, &preset));
  preset.zero = 0;
  preset.recall = 2;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "", concord_index_remember(other, &preset));
  concord_index_free(index);
  concord_index_free(other);
}

TEST(explanations) {
  concord_index *index = index_of_data(0);
  const concord_matrix query = matrix_of(data(), 1);
  concord_explanation *explanation = NULL;
  concord_filter *filter = NULL;
  OK(concord_index_explain(index, &query, 0, 3, NULL, &explanation));
  CHECK(explanation->reason == CONCORD_REASON_RETURNED && explanation->rank == 1);
  CHECK(explanation->struct_size == sizeof *explanation);
  CHECK(explanation->label == 0 && explanation->distance == 0.0f && strlen(explanation->text) > 0);
  concord_explanation_free(explanation);
  OK(concord_filter_of_range(index, 1, ROWS, &filter));
  OK(concord_index_explain(index, &query, 0, 3, filter, &explanation));
  CHECK(explanation->reason == CONCORD_REASON_FILTER);
  concord_explanation_free(explanation);
  concord_explanation_free(NULL);
  REFUSED(CONCORD_ERROR_UNKNOWN_LABEL, "",
          concord_index_explain(index, &query, ROWS, 3, NULL, &explanation));
  concord_filter_free(filter);
  concord_index_free(index);
}
