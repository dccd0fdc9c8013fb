/* Every kind of error that a caller can provoke, and what it leaves behind. guard_test.cpp has
 * those of the library. */
#define _POSIX_C_SOURCE 200112L /* setrlimit */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"

TEST(names_and_version) {
  int32_t status;
  CHECK(concord_version() == CONCORD_VERSION);
  CHECK(strcmp(concord_status_name(CONCORD_OK), "ok") == 0);
  CHECK(strcmp(concord_status_name(CONCORD_ERROR_IO), "io") == 0);
  CHECK(strcmp(concord_status_name(CONCORD_ERROR_BUFFER_TOO_SMALL), "buffer_too_small") == 0);
  CHECK(strcmp(concord_status_name(-1), "unknown") == 0);
  CHECK(strcmp(concord_status_name(CONCORD_ERROR_DIVERGED + 1), "unknown") == 0);
  for (status = 0; status <= CONCORD_ERROR_DIVERGED; ++status) {
    CHECK(strcmp(concord_status_name(status), "unknown") != 0);
  }
  CHECK(strcmp(concord_last_error(), "") == 0 && concord_last_system_error() == 0);
}

TEST(null_pointers) {
  concord_index *index = index_of_data(0);
  const concord_matrix rows = matrix_of(data(), 2);
  const concord_index_params params = params_of();
  concord_matrix none = matrix_of(NULL, 2);
  concord_filter *filter = NULL;
  const uint64_t label = 0;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "index is NULL",
          concord_index_add(NULL, &rows, NULL, NULL, NULL, NULL));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "index is NULL",
          concord_index_create(&params, NULL, NULL));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "params is NULL",
          concord_index_create(NULL, NULL, &index));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "vectors is NULL",
          concord_index_add(index, NULL, NULL, NULL, NULL, NULL));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "vectors.data is NULL",
          concord_index_add(index, &none, NULL, NULL, NULL, NULL));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "labels is NULL",
          concord_index_update(index, &rows, NULL, NULL, NULL, NULL));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "labels is NULL",
          concord_index_remove(index, NULL, 1, NULL));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "hits is NULL",
          concord_index_search(index, &rows, NULL, NULL));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "path is NULL", concord_index_save(index, NULL));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "predicate is NULL",
          concord_filter_of_predicate(index, NULL, NULL, &filter));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "filter is NULL",
          concord_filter_of_labels(index, &label, 1, NULL));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "is NULL", concord_filter_and(NULL, NULL, &filter));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "cursor is NULL",
          concord_cursor_next(NULL, 1, NULL, NULL, NULL));
  CHECK(concord_index_size(NULL) == 0 && concord_index_shards(NULL) == 0);
  CHECK(concord_index_resume_at(NULL) == 0 && concord_cursor_given(NULL) == 0);
  CHECK(concord_filter_matches(NULL) == 0 && concord_groups_count(NULL) == 0);
  CHECK(filter == NULL && concord_index_size(index) == ROWS);
  concord_index_free(index);
}

TEST(parameters) {
  concord_index_params params = params_of();
  concord_index *index = NULL;
  concord_matrix rows = matrix_of(data(), 2);
  params.dimension = 0;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "dimension",
          concord_index_create(&params, NULL, &index));
  params = params_of();
  params.metric = 3;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "metric is 3",
          concord_index_create(&params, NULL, &index));
  params.metric = -1;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "metric is -1",
          concord_index_create(&params, NULL, &index));
  params = params_of();
  params.storage = 4;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "storage", concord_index_create(&params, NULL, &index));
  params = params_of();
  params.zero = 1;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "zero", concord_index_create(&params, NULL, &index));
  CHECK(index == NULL);
  index = index_of_data(0);
  rows.element = 5;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "element",
          concord_index_add(index, &rows, NULL, NULL, NULL, NULL));
  rows = matrix_of(data(), 2);
  rows.stride = DIMENSION - 1;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "stride",
          concord_index_add(index, &rows, NULL, NULL, NULL, NULL));
  rows = matrix_of(data(), 2);
  rows.zero = 1;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "zero",
          concord_index_add(index, &rows, NULL, NULL, NULL, NULL));
  CHECK(concord_index_size(index) == ROWS);
  concord_index_free(index);
}

TEST(shapes_and_vectors) {
  concord_index *index = index_of_data(0);
  concord_matrix rows = matrix_of(data(), 2);
  float bad[2 * DIMENSION] = {0};
  float vector[DIMENSION];
  uint64_t labels[4] = {0, 1, 900, 900};
  size_t count = 7;
  uint64_t few[1];
  concord_hits hits = {0};
  rows.cols = DIMENSION - 1;
  REFUSED(CONCORD_ERROR_DIMENSION_MISMATCH, "",
          concord_index_add(index, &rows, NULL, NULL, NULL, &count));
  rows = matrix_of(bad, 2);
  bad[3] = NAN;
  REFUSED(CONCORD_ERROR_INVALID_VECTOR, "",
          concord_index_add(index, &rows, NULL, NULL, NULL, &count));
  rows = matrix_of(data(), 2);
  REFUSED(CONCORD_ERROR_DUPLICATE_LABEL, "",
          concord_index_add(index, &rows, labels, NULL, NULL, &count));
  REFUSED(CONCORD_ERROR_DUPLICATE_LABEL, "",
          concord_index_add(index, &rows, labels + 2, NULL, NULL, &count));
  labels[3] = CONCORD_NO_LABEL;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "",
          concord_index_add(index, &rows, labels + 2, NULL, NULL, &count));
  REFUSED(CONCORD_ERROR_UNKNOWN_LABEL, "", concord_index_remove(index, labels + 2, 1, &count));
  REFUSED(CONCORD_ERROR_UNKNOWN_LABEL, "", concord_index_vector(index, 900, vector, DIMENSION));
  REFUSED(CONCORD_ERROR_DIMENSION_MISMATCH, "",
          concord_index_vector(index, 1, vector, DIMENSION - 1));
  CHECK(count == 7);
  REFUSED(CONCORD_ERROR_BUFFER_TOO_SMALL, "300 labels",
          concord_index_labels(index, few, 1, &count));
  CHECK(count == ROWS);
  hits.queries = 1;
  REFUSED(CONCORD_ERROR_DIMENSION_MISMATCH, "hits.queries",
          concord_index_search(index, &rows, NULL, &hits));
  CHECK(concord_index_size(index) == ROWS);
  concord_index_free(index);
}

static int no_rows(void *context, size_t first, concord_matrix *rows) {
  (void)context;
  (void)first;
  (void)rows;
  return 1;
}

TEST(capacity_and_memory) {
  concord_index_params params = params_of();
  concord_index *index = NULL;
  const concord_matrix *none = NULL;
  concord_matrix huge = matrix_of(data(), SIZE_MAX / 2);
  OK(concord_index_create(&params, NULL, &index));
  REFUSED(CONCORD_ERROR_CAPACITY, "",
          concord_index_add_from(index, no_rows, NULL, 3000000000u, NULL, NULL, NULL, NULL));
  CHECK(concord_index_size(index) == 0 && none == NULL);
  huge.element = CONCORD_ELEMENT_F16; /* would have to be copied as floats */
  REFUSED(CONCORD_ERROR_OUT_OF_MEMORY, "memory",
          concord_index_update(index, &huge, (const uint64_t *)data(), NULL, NULL, NULL));
  huge = matrix_of(data(), SIZE_MAX / 16); /* countable, and more than a container takes */
  huge.element = CONCORD_ELEMENT_F16;
  REFUSED(CONCORD_ERROR_OUT_OF_MEMORY, "memory",
          concord_index_update(index, &huge, (const uint64_t *)data(), NULL, NULL, NULL));
  CHECK(concord_index_size(index) == 0);
  concord_index_free(index);
}

/* Under a sanitizer memory cannot be limited. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CAN_LIMIT_MEMORY 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define CAN_LIMIT_MEMORY 0
#endif
#endif
#ifndef CAN_LIMIT_MEMORY
#define CAN_LIMIT_MEMORY 1
#endif

/* Takes all memory up to the limit. 0 where the system, such as an emulator, enforces none. */
static int take_memory(void ***taken, size_t limit) {
  size_t size, sum = 0;
  void **block;
  for (size = (size_t)1 << 24; size >= 16; size /= 2) {
    for (; sum <= 2 * limit && (block = malloc(size)) != NULL; sum += size) {
      *block = *taken;
      *taken = block;
    }
  }
  return sum <= limit;
}

/* The first message of a thread needs no memory. */
TEST(no_memory_for_the_first_message) {
  const concord_index_params params = params_of();
  concord_index *index = NULL;
  struct rlimit old, limit;
  void **taken = NULL;
  concord_status status = CONCORD_OK;
  int is_limited;
  if (!CAN_LIMIT_MEMORY) return;
  CHECK(getrlimit(RLIMIT_AS, &old) == 0);
  limit = old;
  limit.rlim_cur = (rlim_t)256 << 20;
  CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
  is_limited = take_memory(&taken, (size_t)limit.rlim_cur);
  if (is_limited) status = concord_index_create(&params, NULL, &index);
  while (taken != NULL) {
    void **const next = *taken;
    free(taken);
    taken = next;
  }
  CHECK(setrlimit(RLIMIT_AS, &old) == 0);
  if (!is_limited) return;
  REFUSED(CONCORD_ERROR_OUT_OF_MEMORY, "memory", status);
  CHECK(index == NULL);
}

TEST(files) {
  concord_index *index = NULL;
  FILE *file;
  char name[301];
  REFUSED(CONCORD_ERROR_IO, "missing", concord_index_load(path_of("missing"), NULL, &index));
  CHECK(concord_last_system_error() == ENOENT);
  memset(name, 'n', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  REFUSED(CONCORD_ERROR_IO, "nnn",
          concord_hnswlib_load(path_of(name), DIMENSION, 0, 0, NULL, &index));
  CHECK(concord_last_system_error() == ENAMETOOLONG);
  REFUSED(CONCORD_ERROR_IO, "nnn", concord_faiss_load(path_of(name), 0, NULL, &index));
  CHECK(concord_last_system_error() == ENAMETOOLONG);
  file = fopen(path_of("garbage"), "wb");
  CHECK(file != NULL);
  fputs("this is no index, and long enough to have a header of one, if it were one", file);
  fclose(file);
  REFUSED(CONCORD_ERROR_CORRUPT_FILE, "", concord_index_load(path_of("garbage"), NULL, &index));
  CHECK(concord_last_system_error() == 0);
  REFUSED(CONCORD_ERROR_CORRUPT_FILE, "", concord_index_from_bytes("no", 2, NULL, &index));
  REFUSED(CONCORD_ERROR_IO, "", concord_sharded_load(path_of("missing"), NULL, &index));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "check",
          concord_index_map(path_of("garbage"), 2, NULL, &index));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "adopt",
          concord_faiss_load(path_of("garbage"), -1, NULL, &index));
  CHECK(index == NULL);
}

/* What a sharded index, or a shard, cannot do says so. */
TEST(unsupported) {
  concord_index *index = index_of_data(2);
  concord_index *plain = index_of_data(0);
  const concord_matrix query = matrix_of(data(), 1);
  const concord_index *shard = NULL;
  concord_shard_params of;
  concord_preset preset;
  concord_presets *presets = NULL;
  concord_search_params search;
  concord_runtime_options options;
  concord_index *none = NULL;
  concord_index_params params = params_of();
  concord_range_result *range = NULL;
  size_t count = 0;
  memset(&preset, 0, sizeof preset);
  preset.struct_size = sizeof preset;
  search.struct_size = sizeof search;
  of.struct_size = sizeof of;
  REFUSED(CONCORD_ERROR_UNSUPPORTED, "shard", concord_index_tune(index, NULL, NULL, NULL));
  REFUSED(CONCORD_ERROR_UNSUPPORTED, "shard", concord_index_presets(index, &presets));
  REFUSED(CONCORD_ERROR_UNSUPPORTED, "shard", concord_index_remember(index, &preset));
  REFUSED(CONCORD_ERROR_UNSUPPORTED, "shard", concord_index_preset(index, 0.9, 10, &search));
  REFUSED(CONCORD_ERROR_UNSUPPORTED, "shard", concord_faiss_save(index, path_of("f")));
  REFUSED(CONCORD_ERROR_UNSUPPORTED, "no shards", concord_index_get_shard_params(plain, &of));
  REFUSED(CONCORD_ERROR_UNSUPPORTED, "no shards", concord_index_shard(plain, 0, &shard));
  OK(concord_index_shard(index, 0, &shard));
  REFUSED(CONCORD_ERROR_UNSUPPORTED, "only be read",
          concord_index_add((concord_index *)shard, &query, NULL, NULL, NULL, &count));
  params.metric = CONCORD_METRIC_INNER_PRODUCT;
  OK(concord_index_create(&params, NULL, &none));
  REFUSED(CONCORD_ERROR_UNSUPPORTED, "metric",
          concord_index_range_search(none, &query, 1.0f, NULL, &range));
  concord_index_free(none);
  none = NULL;
  concord_runtime_options_init(&options, sizeof options);
  options.device = "cuda:99";
  REFUSED(CONCORD_ERROR_UNSUPPORTED, "", concord_index_create(&params, &options, &none));
  options.device = "tpu";
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "tpu", concord_index_create(&params, &options, &none));
  CHECK(none == NULL);
  concord_index_free(index);
  concord_index_free(plain);
}

/* A filter belongs to its index. */
TEST(filters_of_another_index) {
  concord_index *index = index_of_data(0);
  concord_index *other = index_of_data(0);
  const concord_matrix query = matrix_of(data(), 1);
  concord_search_params params;
  concord_filter *filter = NULL, *of_other = NULL, *both = NULL;
  uint64_t label;
  float distance;
  concord_hits hits = {0};
  const uint8_t mask[1] = {1};
  hits.labels = &label;
  hits.distances = &distance;
  hits.queries = 1;
  hits.k = 1;
  concord_search_params_init(&params, sizeof params);
  params.k = 1;
  OK(concord_filter_of_range(index, 0, 5, &filter));
  OK(concord_filter_of_range(other, 0, 5, &of_other));
  params.filter = of_other;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "", concord_index_search(index, &query, &params, &hits));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "", concord_filter_and(filter, of_other, &both));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "", concord_filter_of_mask(index, mask, 1, &both));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "", concord_filter_of_range(index, 4, ROWS + 1, &both));
  params.filter = NULL;
  params.filter_count = 1;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "filters is NULL",
          concord_index_search(index, &query, &params, &hits));
  CHECK(both == NULL);
  concord_filter_free(filter);
  concord_filter_free(of_other);
  concord_index_free(index);
  concord_index_free(other);
}

/* An array and its length fit each other and the queries, or nothing of the array is read. */
TEST(arrays_without_their_length) {
  concord_index *index = index_of_data(0);
  concord_index *none = NULL;
  const concord_matrix query = matrix_of(data(), 1);
  const concord_matrix no_query = matrix_of(NULL, 0);
  const concord_index_params of = params_of();
  concord_search_params params;
  concord_range_params range_params;
  concord_range_result *range = NULL;
  concord_runtime_options options;
  concord_cursor *cursor = NULL;
  uint64_t label;
  float distance;
  concord_hits hits = {0};
  const char *const devices[1] = {"cpu"};
  concord_filter *filter = NULL;
  /* one filter, allocated so that a sanitizer sees what is read behind it */
  const concord_filter **filters = malloc(sizeof *filters);
  CHECK(filters != NULL);
  OK(concord_filter_of_range(index, 0, 5, &filter));
  filters[0] = filter;
  hits.labels = &label;
  hits.distances = &distance;
  hits.queries = 1;
  hits.k = 1;
  concord_search_params_init(&params, sizeof params);
  params.k = 1;
  params.filters = filters;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "filter_count is 0",
          concord_index_search(index, &query, &params, &hits));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "filter_count is 0",
          concord_index_exact_search(index, &query, &params, &hits));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "filter_count is 0",
          concord_cursor_create(index, &query, &params, &cursor));
  params.filter_count = (size_t)1 << 40; /* a length that was not initialised */
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "1 queries",
          concord_index_search(index, &query, &params, &hits));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "1 queries",
          concord_cursor_create(index, &query, &params, &cursor));
  params.filter_count = 1;
  OK(concord_index_search(index, &query, &params, &hits));
  hits.queries = 0;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "0 queries",
          concord_index_search(index, &no_query, &params, &hits));
  params.filter_count = 0; /* one filter for each of no queries */
  OK(concord_index_search(index, &no_query, &params, &hits));

  concord_range_params_init(&range_params, sizeof range_params);
  range_params.filters = filters;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "filter_count is 0",
          concord_index_range_search(index, &query, 1.0f, &range_params, &range));
  range_params.filter_count = 2;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "filter_count is 2",
          concord_index_range_search(index, &query, 1.0f, &range_params, &range));
  CHECK(range == NULL && cursor == NULL);

  concord_runtime_options_init(&options, sizeof options);
  options.devices = devices;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "device_count is 0",
          concord_sharded_create(&of, NULL, &options, &none));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "devices", concord_index_create(&of, &options, &none));
  options.devices = NULL;
  options.device_count = 1;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "devices is NULL",
          concord_sharded_create(&of, NULL, &options, &none));
  CHECK(none == NULL);
  concord_filter_free(filter);
  concord_index_free(index);
  free(filters);
}

/* Structs of another size: of an older program, of a newer one, and one that nobody initialised. */
TEST(struct_sizes) {
  struct {
    concord_index_params params;
    uint64_t later;
  } newer;
  concord_index_params params = params_of();
  concord_index *index = NULL;
  concord_memory memory;
  params.struct_size = 0;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "struct_size is 0",
          concord_index_create(&params, NULL, &index));
  params.struct_size = (size_t)-1;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "struct_size",
          concord_index_create(&params, NULL, &index));
  memset(&newer, 0xFF, sizeof newer);
  concord_index_params_init(&newer.params, sizeof newer);
  CHECK(newer.params.struct_size == sizeof newer && newer.later == 0);
  newer.params.dimension = DIMENSION;
  OK(concord_index_create(&newer.params, NULL, &index));
  newer.later = 1;
  REFUSED(CONCORD_ERROR_UNSUPPORTED, "does not know",
          concord_index_create(&newer.params, NULL, &index));
  newer.later = 1;
  OK(concord_index_get_params(index, &newer.params));
  CHECK(newer.later == 0 && newer.params.struct_size == sizeof newer);
  memory.struct_size = 8;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "concord_memory", concord_index_memory(index, &memory));
  CHECK(strstr(concord_last_error(), "_init") == NULL); /* it has no such function */
  concord_index_params_init(NULL, sizeof params);
  concord_index_free(index);
}

static void *fail_in_a_thread(void *context) {
  concord_index *index = NULL;
  (void)context;
  CHECK(strcmp(concord_last_error(), "") == 0);
  REFUSED(CONCORD_ERROR_IO, "of the thread", concord_index_load("/of the thread", NULL, &index));
  return NULL;
}

/* Each thread has its own message, and a call that succeeds leaves it. */
TEST(messages_of_threads) {
  pthread_t thread;
  concord_index *index = NULL;
  const concord_index_params params = params_of();
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "params", concord_index_create(NULL, NULL, &index));
  CHECK(pthread_create(&thread, NULL, fail_in_a_thread, NULL) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
  CHECK(strstr(concord_last_error(), "params") != NULL);
  OK(concord_index_create(&params, NULL, &index));
  CHECK(strstr(concord_last_error(), "params") != NULL);
  concord_index_free(index);
}

/* A message that a thread left is there until the thread has ended: after the destructors of C++.
 */
static const char *const long_path =
    "/no such folder/and a name that is too long for a short string";
static int messages_at_the_end = 0;

static void fail_again(void) {
  concord_index *index = NULL;
  CHECK(strstr(concord_last_error(), long_path) != NULL);
  CHECK(concord_last_system_error() == ENOENT);
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "path is NULL", concord_index_load(NULL, NULL, &index));
  REFUSED(CONCORD_ERROR_IO, long_path, concord_index_load(long_path, NULL, &index));
  ++messages_at_the_end;
}

static void end_of_a_thread(void *value) {
  (void)value;
  fail_again();
}

static concord_index *kept = NULL;
static const char *kept_path = NULL;

/* Runs after what the library has in static storage was destroyed, if anything was. */
static void end_of_the_process(void) {
  const concord_matrix rows = matrix_of(data(), ROWS);
  static uint64_t labels[ROWS];
  static float distances[ROWS];
  concord_hits hits = {0};
  concord_search_params params;
  concord_index *index = NULL;
  fail_again();
  CHECK(messages_at_the_end == 2);
  hits.labels = labels;
  hits.distances = distances;
  hits.queries = ROWS;
  hits.k = 1;
  concord_search_params_init(&params, sizeof params);
  params.k = 1;
  OK(concord_index_search(kept, &rows, &params, &hits));
  CHECK(labels[ROWS - 1] == ROWS - 1);
  OK(concord_index_save(kept, kept_path));
  concord_index_free(kept);
  OK(concord_index_load(kept_path, NULL, &index)); /* with threads of its own */
  OK(concord_index_search(index, &rows, &params, &hits));
  CHECK(labels[ROWS - 1] == ROWS - 1);
  concord_index_free(index);
}

static void *leave_a_message(void *key) {
  concord_index *index = NULL;
  CHECK(pthread_setspecific(*(pthread_key_t *)key, key) == 0);
  REFUSED(CONCORD_ERROR_IO, long_path, concord_index_load(long_path, NULL, &index));
  return NULL;
}

TEST(messages_at_the_end) {
  concord_index *index = NULL;
  pthread_key_t key;
  pthread_t thread;
  CHECK(atexit(end_of_the_process) == 0);
  kept_path = path_of("kept.concord");
  kept = index_of_data(0);
  CHECK(pthread_key_create(&key, end_of_a_thread) == 0);
  CHECK(pthread_create(&thread, NULL, leave_a_message, &key) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
  CHECK(messages_at_the_end == 1);
  CHECK(pthread_key_delete(key) == 0);
  REFUSED(CONCORD_ERROR_IO, long_path, concord_index_load(long_path, NULL, &index));
}

/* What does not fit is cut: a message is never lost. */
TEST(messages_are_cut) {
  static char path[20000];
  concord_index *index = NULL;
  memset(path, 'p', sizeof path - 1);
  REFUSED(CONCORD_ERROR_IO, "pppp", concord_index_load(path, NULL, &index));
  CHECK(strlen(concord_last_error()) >= 4096 && strlen(concord_last_error()) < sizeof path);
  CHECK(concord_last_system_error() == ENAMETOOLONG);
}
