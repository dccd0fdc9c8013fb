/* Searches: nearest, exact, filtered, in groups, within a radius, page by page. */
#include <math.h>

#include "check.h"

enum { K = 5, QUERIES = 20 };

static uint64_t labels[QUERIES * K];
static float distances[QUERIES * K];
static uint32_t counts[QUERIES];

static concord_hits hits_of(size_t queries, size_t k) {
  concord_hits hits;
  hits.labels = labels;
  hits.distances = distances;
  hits.counts = counts;
  hits.queries = queries;
  hits.k = k;
  memset(labels, 0x55, sizeof labels);
  return hits;
}

static concord_search_params search_of(uint32_t k) {
  concord_search_params params;
  concord_search_params_init(&params, sizeof params);
  CHECK(params.k == 10 && params.ef == 64 && isinf(params.slack) && params.use_codes == 1);
  params.k = k;
  return params;
}

/* An index and one of shards find each vector by itself, and with a large ef what an exact search
 * finds. */
TEST(nearest_and_exact) {
  uint32_t shards;
  for (shards = 0; shards <= 2; shards += 2) {
    concord_index *index = index_of_data(shards);
    const concord_matrix queries = matrix_of(data(), QUERIES);
    concord_search_params params = search_of(K);
    concord_hits hits = hits_of(QUERIES, K);
    uint64_t exact[QUERIES * K];
    size_t q;
    params.ef = ROWS;
    OK(concord_index_exact_search(index, &queries, &params, &hits));
    memcpy(exact, labels, sizeof exact);
    hits = hits_of(QUERIES, K);
    OK(concord_index_search(index, &queries, &params, &hits));
    CHECK(memcmp(exact, labels, sizeof exact) == 0);
    for (q = 0; q < QUERIES; ++q) {
      CHECK(labels[q * K] == q && distances[q * K] == 0.0f && counts[q] == K);
    }
    hits = hits_of(QUERIES, K);
    hits.counts = NULL;
    OK(concord_index_search(index, &queries, &params, &hits));
    CHECK(memcmp(exact, labels, sizeof exact) == 0);
    concord_index_free(index);
  }
}

TEST(exact_knn_without_an_index) {
  const concord_matrix rows = matrix_of(data(), ROWS);
  const concord_matrix queries = matrix_of(data(), QUERIES);
  concord_index *index = index_of_data(0);
  const concord_search_params search = search_of(K);
  concord_exact_params params;
  concord_hits hits = hits_of(QUERIES, K);
  uint64_t expected[QUERIES * K];
  OK(concord_index_exact_search(index, &queries, &search, &hits));
  memcpy(expected, labels, sizeof expected);
  concord_exact_params_init(&params, sizeof params);
  params.k = K;
  params.threads = 1;
  hits = hits_of(QUERIES, K);
  OK(concord_exact_knn(&rows, &queries, &params, &hits));
  CHECK(memcmp(expected, labels, sizeof expected) == 0);
  hits = hits_of(QUERIES, K - 1);
  REFUSED(CONCORD_ERROR_DIMENSION_MISMATCH, "hits.k",
          concord_exact_knn(&rows, &queries, &params, &hits));
  concord_index_free(index);
}

TEST(padding) {
  const concord_index_params of = params_of();
  const concord_matrix two = matrix_of(data(), 2);
  const concord_matrix query = matrix_of(data(), 1);
  const concord_search_params params = search_of(K);
  const concord_hits hits = hits_of(1, K);
  concord_index *index = NULL;
  size_t j;
  OK(concord_index_create(&of, NULL, &index));
  OK(concord_index_add(index, &two, NULL, NULL, NULL, NULL));
  OK(concord_index_search(index, &query, &params, &hits));
  CHECK(counts[0] == 2 && labels[0] == 0 && labels[1] == 1);
  for (j = 2; j < K; ++j) CHECK(labels[j] == CONCORD_NO_LABEL && isinf(distances[j]));
  concord_index_free(index);
}

static int is_even(void *context, uint64_t label) {
  ++*(int *)context;
  return label % 2 == 0;
}
static int ends_at_ten(void *context, uint64_t label) {
  (void)context;
  return label == 10 ? -1 : 1;
}

/* The same filter, made in five ways, gives the same answers; and, or, not are those of sets. */
TEST(filters) {
  uint32_t shards;
  for (shards = 0; shards <= 3; shards += 3) {
    concord_index *index = index_of_data(shards);
    const concord_matrix queries = matrix_of(data(), QUERIES);
    concord_search_params params = search_of(K);
    static uint8_t mask[ROWS];
    static uint8_t bits[(ROWS + 3 + 7) / 8];
    uint64_t even[ROWS / 2 + 1];
    uint64_t expected[QUERIES * K];
    concord_filter *made[4];
    concord_filter *range = NULL, *both = NULL, *either = NULL, *other = NULL;
    const concord_filter *each[QUERIES];
    concord_hits hits;
    int calls = 0;
    size_t i, f;
    memset(bits, 0, sizeof bits);
    for (i = 0; i < ROWS; ++i) {
      mask[i] = i % 2 == 0;
      if (i % 2 == 0) bits[(i + 3) / 8] |= (uint8_t)(1u << (i + 3) % 8);
      if (i % 2 == 0) even[i / 2] = i;
    }
    even[ROWS / 2] = 123456; /* no vector has it */
    OK(concord_filter_of_mask(index, mask, ROWS, &made[0]));
    OK(concord_filter_of_bits(index, bits, sizeof bits, ROWS, 3, &made[1]));
    OK(concord_filter_of_labels(index, even, ROWS / 2 + 1, &made[2]));
    OK(concord_filter_of_predicate(index, is_even, &calls, &made[3]));
    CHECK(calls == ROWS);
    CHECK(concord_filter_unknown(made[2]) == 1 && concord_filter_unknown(made[0]) == 0);
    for (f = 0; f < 4; ++f) {
      CHECK(concord_filter_matches(made[f]) == ROWS / 2 && concord_filter_size(made[f]) == ROWS);
      CHECK(concord_filter_bytes(made[f]) > 0);
      params.filter = made[f];
      hits = hits_of(QUERIES, K);
      OK(concord_index_search(index, &queries, &params, &hits));
      for (i = 0; i < QUERIES * K; ++i) CHECK(labels[i] % 2 == 0);
      if (f == 0) memcpy(expected, labels, sizeof expected);
      CHECK(memcmp(expected, labels, sizeof expected) == 0);
    }
    OK(concord_filter_of_range(index, 0, 10, &range));
    OK(concord_filter_and(made[0], range, &both));
    OK(concord_filter_or(made[0], range, &either));
    OK(concord_filter_not(range, &other));
    CHECK(concord_filter_matches(both) == 5);
    CHECK(concord_filter_matches(either) == ROWS / 2 + 5);
    CHECK(concord_filter_matches(other) == ROWS - 10);

    for (i = 0; i < QUERIES; ++i) each[i] = i % 2 == 0 ? NULL : range;
    params.filter = NULL;
    params.filters = each;
    params.filter_count = QUERIES;
    hits = hits_of(QUERIES, K);
    OK(concord_index_exact_search(index, &queries, &params, &hits));
    for (i = 0; i < QUERIES * K; ++i) CHECK((i / K) % 2 == 0 || labels[i] < 10);

    REFUSED(CONCORD_ERROR_CANCELLED, "predicate",
            concord_filter_of_predicate(index, ends_at_ten, NULL, &made[0]));
    for (f = 0; f < 4; ++f) concord_filter_free(made[f]);
    concord_filter_free(range);
    concord_filter_free(both);
    concord_filter_free(either);
    concord_filter_free(other);
    concord_filter_free(NULL);
    concord_index_free(index);
  }
}

TEST(groups) {
  concord_index *index = index_of_data(0);
  const concord_matrix query = matrix_of(data(), 1);
  concord_search_params params = search_of(2);
  concord_hits hits = hits_of(1, 4);
  concord_groups *groups = NULL;
  static uint64_t keys[ROWS];
  size_t i;
  for (i = 0; i < ROWS; ++i) keys[i] = i / 10;
  OK(concord_groups_of_keys(index, keys, ROWS, &groups));
  CHECK(concord_groups_count(groups) == ROWS / 10 && concord_groups_size(groups) == ROWS);
  CHECK(concord_groups_bytes(groups) > 0);
  params.groups = groups;
  params.group_hits = 2;
  OK(concord_index_search(index, &query, &params, &hits));
  CHECK(counts[0] == 4 && labels[0] == 0);
  hits = hits_of(1, 2);
  REFUSED(CONCORD_ERROR_DIMENSION_MISMATCH, "",
          concord_index_search(index, &query, &params, &hits));
  concord_groups_free(groups);
  concord_groups_free(NULL);
  concord_index_free(index);
}

TEST(within_a_radius) {
  concord_index *index = index_of_data(0);
  const concord_matrix queries = matrix_of(data(), 3);
  concord_range_params params;
  concord_range_result *all = NULL, *some = NULL, *even = NULL;
  concord_filter *filter = NULL;
  int calls = 0;
  size_t q, i;
  OK(concord_index_range_search(index, &queries, INFINITY, NULL, &all));
  CHECK(all->struct_size == sizeof *all);
  CHECK(all->queries == 3 && all->lims[0] == 0 && all->lims[3] == 3 * ROWS);
  for (q = 0; q < 3; ++q) CHECK(all->labels[all->lims[q]] == q);
  concord_range_params_init(&params, sizeof params);
  CHECK(params.limit == -1 && params.ef == 64);
  params.limit = 4;
  OK(concord_index_range_search(index, &queries, INFINITY, &params, &some));
  for (q = 0; q < 3; ++q) {
    CHECK(some->lims[q + 1] - some->lims[q] == 4);
    CHECK(some->distances[some->lims[q]] == 0.0f);
  }
  OK(concord_filter_of_predicate(index, is_even, &calls, &filter));
  params.limit = -1;
  params.filter = filter;
  OK(concord_index_range_search(index, &queries, INFINITY, &params, &even));
  CHECK(even->lims[3] == 3 * ROWS / 2);
  for (i = 0; i < even->lims[3]; ++i) CHECK(even->labels[i] % 2 == 0);
  params.limit = -2;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "limit",
          concord_index_range_search(index, &queries, 1.0f, &params, &even));
  concord_filter_free(filter);
  concord_range_result_free(all);
  concord_range_result_free(some);
  concord_range_result_free(even);
  concord_range_result_free(NULL);
  concord_index_free(index);
}

/* Pages give every vector once, and the first page is the search. */
TEST(cursor_gives_all_once) {
  uint32_t shards;
  for (shards = 0; shards <= 2; shards += 2) {
    concord_index *index = index_of_data(shards);
    const concord_matrix query = matrix_of(data() + 5 * DIMENSION, 1);
    const concord_matrix two = matrix_of(data(), 2);
    concord_cursor *cursor = NULL;
    static unsigned char seen[ROWS];
    size_t count = 0, j, total = 0;
    memset(seen, 0, sizeof seen);
    REFUSED(CONCORD_ERROR_DIMENSION_MISMATCH, "one query",
            concord_cursor_create(index, &two, NULL, &cursor));
    OK(concord_cursor_create(index, &query, NULL, &cursor));
    do {
      OK(concord_cursor_next(cursor, 70, labels, distances, &count));
      if (total == 0) CHECK(labels[0] == 5);
      for (j = 0; j < count; ++j) CHECK(seen[labels[j]]++ == 0);
      total += count;
      CHECK(concord_cursor_given(cursor) == total);
    } while (count == 70);
    CHECK(total == ROWS);
    REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "k",
            concord_cursor_next(cursor, 70000, labels, distances, &count));
    concord_cursor_free(cursor);
    concord_cursor_free(NULL);
    concord_index_free(index);
  }
}
