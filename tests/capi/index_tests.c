/* Life of an index: made, changed, saved, opened. */
#define _POSIX_C_SOURCE 199309L /* nanosleep */
#include <time.h>

#include "check.h"

static void expect_digests_equal(const concord_index *a, const concord_index *b) {
  char of_a[CONCORD_DIGEST_SIZE];
  char of_b[CONCORD_DIGEST_SIZE];
  OK(concord_index_digest(a, of_a));
  OK(concord_index_digest(b, of_b));
  CHECK(strlen(of_a) == CONCORD_DIGEST_SIZE - 1);
  CHECK(strcmp(of_a, of_b) == 0);
}

TEST(vectors_go_in_and_come_out) {
  concord_index *index = index_of_data(0);
  concord_index_params params;
  uint64_t labels[ROWS];
  float vector[DIMENSION];
  size_t count = 0, i;
  int found = 0;
  CHECK(concord_index_size(index) == ROWS);
  CHECK(concord_index_shards(index) == 0);
  CHECK(concord_index_resume_at(index) == ROWS);
  params.struct_size = sizeof params;
  OK(concord_index_get_params(index, &params));
  CHECK(params.struct_size == sizeof params);
  CHECK(params.dimension == DIMENSION && params.M == 8 && params.seed == 42);
  CHECK(params.epoch_limit == 1024 && params.metric == CONCORD_METRIC_L2SQ);
  OK(concord_index_labels(index, labels, ROWS, &count));
  CHECK(count == ROWS);
  for (i = 0; i < ROWS; ++i) CHECK(labels[i] == i);
  OK(concord_index_vector(index, 7, vector, DIMENSION));
  CHECK(memcmp(vector, data() + 7 * DIMENSION, sizeof vector) == 0);
  OK(concord_index_contains(index, 7, &found));
  CHECK(found == 1);
  OK(concord_index_contains(index, ROWS, &found));
  CHECK(found == 0);
  concord_index_free(index);
}

TEST(nothing_and_one) {
  const concord_index_params params = params_of();
  concord_matrix rows = matrix_of(NULL, 0);
  concord_index *index = NULL;
  size_t count = 99;
  OK(concord_index_create(&params, NULL, &index));
  CHECK(concord_index_size(index) == 0);
  OK(concord_index_add(index, &rows, NULL, NULL, NULL, &count));
  CHECK(count == 0);
  OK(concord_index_labels(index, NULL, 0, &count));
  CHECK(count == 0);
  OK(concord_index_remove(index, NULL, 0, &count));
  rows = matrix_of(data(), 1);
  OK(concord_index_add(index, &rows, NULL, NULL, NULL, &count));
  CHECK(count == 1 && concord_index_size(index) == 1);
  OK(concord_index_flush(index));
  concord_index_free(index);
  concord_index_free(NULL);
}

TEST(changes) {
  concord_index *index = index_of_data(0);
  const concord_matrix three = matrix_of(data(), 3);
  const uint64_t labels[3] = {10, 11, 12};
  const uint64_t fresh[3] = {12, 1000, 1001};
  float vector[DIMENSION];
  size_t count = 0;
  int found = 1;
  OK(concord_index_update(index, &three, labels, NULL, NULL, &count));
  CHECK(count == 3 && concord_index_size(index) == ROWS);
  OK(concord_index_vector(index, 11, vector, DIMENSION));
  CHECK(memcmp(vector, data() + DIMENSION, sizeof vector) == 0);
  OK(concord_index_upsert(index, &three, fresh, NULL, NULL, &count));
  CHECK(count == 3 && concord_index_size(index) == ROWS + 2);
  OK(concord_index_remove(index, labels, 3, &count));
  CHECK(count == 3 && concord_index_size(index) == ROWS - 1);
  OK(concord_index_contains(index, 11, &found));
  CHECK(found == 0);
  OK(concord_index_flush(index));
  concord_index_free(index);
}

/* Elements of every type, with gaps between the rows, give the digest of the same numbers as
 * floats. */
TEST(elements) {
  enum { N = 40, STRIDE = 11 };
  static const int32_t elements[] = {CONCORD_ELEMENT_F16, CONCORD_ELEMENT_BF16, CONCORD_ELEMENT_U8,
                                     CONCORD_ELEMENT_I8};
  /* 0, 1, ..., 7 as binary16 and bfloat16 */
  static const uint16_t halves[] = {0, 0x3C00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600, 0x4700};
  static const uint16_t bfloats[] = {0, 0x3F80, 0x4000, 0x4040, 0x4080, 0x40A0, 0x40C0, 0x40E0};
  static float floats[N * DIMENSION];
  static uint16_t shorts[2][N * STRIDE];
  static uint8_t bytes[N * STRIDE];
  const concord_index_params params = params_of();
  const void *rows[4];
  concord_index *expected = NULL;
  concord_matrix of_floats;
  uint64_t labels[N];
  size_t e, r, c;
  rows[0] = shorts[0];
  rows[1] = shorts[1];
  rows[2] = rows[3] = bytes;
  for (r = 0; r < N; ++r) {
    labels[r] = 500 + r;
    for (c = 0; c < DIMENSION; ++c) {
      const unsigned number = (unsigned)((r * 5 + c * c + r * c) % 8);
      floats[r * DIMENSION + c] = (float)number;
      shorts[0][r * STRIDE + c] = halves[number];
      shorts[1][r * STRIDE + c] = bfloats[number];
      bytes[r * STRIDE + c] = (uint8_t)number;
    }
  }
  of_floats = matrix_of(floats, N);
  OK(concord_index_create(&params, NULL, &expected));
  OK(concord_index_add(expected, &of_floats, labels, NULL, NULL, NULL));
  for (e = 0; e < 4; ++e) {
    concord_matrix matrix = matrix_of(NULL, N);
    concord_index *index = NULL;
    uint64_t found[N];
    float distances[N];
    concord_hits hits = {0};
    concord_search_params search;
    size_t count = 0;
    matrix.data = rows[e];
    matrix.stride = STRIDE;
    matrix.element = elements[e];
    OK(concord_index_create(&params, NULL, &index));
    OK(concord_index_add(index, &matrix, labels, NULL, NULL, &count));
    CHECK(count == N);
    expect_digests_equal(index, expected);
    concord_search_params_init(&search, sizeof search);
    search.k = 1;
    hits.labels = found;
    hits.distances = distances;
    hits.queries = N;
    hits.k = 1;
    OK(concord_index_search(index, &matrix, &search, &hits));
    for (r = 0; r < N; ++r) CHECK(distances[r] == 0.0f);
    OK(concord_index_update(index, &matrix, labels, NULL, NULL, &count));
    CHECK(count == N);
    concord_index_free(index);
  }
  concord_index_free(expected);
}

struct source {
  size_t calls;
  size_t fail_at;
};

static int next_rows(void *context, size_t first, concord_matrix *rows) {
  struct source *source = context;
  if (++source->calls == source->fail_at) return 5;
  *rows = matrix_of(data() + first * DIMENSION, first + 70 < ROWS ? 70 : ROWS - first);
  return 0;
}

TEST(rows_from_a_source) {
  const concord_index_params params = params_of();
  concord_index *expected = index_of_data(0);
  concord_index *index = NULL;
  struct source source = {0, 0};
  size_t count = 0;
  OK(concord_index_create(&params, NULL, &index));
  OK(concord_index_add_from(index, next_rows, &source, ROWS, NULL, NULL, NULL, &count));
  CHECK(count == ROWS && source.calls == 5);
  expect_digests_equal(index, expected);
  concord_index_free(index);

  source.calls = 0;
  source.fail_at = 3;
  count = 77;
  OK(concord_index_create(&params, NULL, &index));
  REFUSED(CONCORD_ERROR_CANCELLED, "source of rows",
          concord_index_add_from(index, next_rows, &source, ROWS, NULL, NULL, NULL, &count));
  CHECK(count == 77 && concord_index_size(index) == 0);
  concord_index_free(index);
  concord_index_free(expected);
}

struct progress {
  uint64_t calls;
  uint64_t done;
  int answer;
};

static int watch(void *context, uint64_t done, uint64_t total) {
  struct progress *progress = context;
  const struct timespec pause = {0, 21 * 1000000}; /* so that every question counts */
  nanosleep(&pause, NULL);
  CHECK(done <= total);
  ++progress->calls;
  progress->done = done;
  return progress->answer;
}

TEST(progress_is_told_and_may_cancel) {
  concord_index_params params = params_of();
  const concord_matrix rows = matrix_of(data(), ROWS);
  concord_index *index = NULL;
  struct progress progress = {0, 0, 0};
  size_t count = 0;
  params.epoch_limit = 50;
  OK(concord_index_create(&params, NULL, &index));
  OK(concord_index_add(index, &rows, NULL, watch, &progress, &count));
  CHECK(progress.calls > 1 && progress.done == ROWS && count == ROWS);
  concord_index_free(index);

  progress.answer = 1;
  progress.calls = 0;
  OK(concord_index_create(&params, NULL, &index));
  OK(concord_index_add(index, &rows, NULL, watch, &progress, &count));
  CHECK(progress.calls == 1 && count < ROWS && count == concord_index_size(index));
  concord_index_free(index);
}

struct memory {
  unsigned char *bytes;
  size_t size;
  int answer;
};

static int append(void *context, const void *bytes, size_t count, uint64_t left) {
  struct memory *memory = context;
  CHECK(count > 0 && bytes != NULL);
  if (memory->bytes == NULL) memory->bytes = malloc(count + (size_t)left);
  memcpy(memory->bytes + memory->size, bytes, count);
  memory->size += count;
  return memory->answer;
}

TEST(files_and_bytes) {
  concord_index *index = index_of_data(0);
  concord_index *other = NULL;
  struct memory memory = {NULL, 0, 0};
  concord_runtime_options options;
  size_t count = 0;
  const uint64_t label = 3;
  concord_runtime_options_init(&options, sizeof options);
  options.threads = 1;
  options.device = "cpu";

  OK(concord_index_save(index, path_of("a.concord")));
  OK(concord_index_load(path_of("a.concord"), &options, &other));
  expect_digests_equal(index, other);
  concord_index_free(other);

  OK(concord_index_map(path_of("a.concord"), CONCORD_MAP_CHECK_ON_OPEN, &options, &other));
  expect_digests_equal(index, other);
  REFUSED(CONCORD_ERROR_UNSUPPORTED, "map", concord_index_remove(other, &label, 1, &count));
  concord_index_free(other);

  OK(concord_index_write(index, append, &memory));
  OK(concord_index_from_bytes(memory.bytes, memory.size, &options, &other));
  expect_digests_equal(index, other);
  concord_index_free(other);
  free(memory.bytes);

  memory.bytes = NULL;
  memory.size = 0;
  memory.answer = 1;
  REFUSED(CONCORD_ERROR_CANCELLED, "sink", concord_index_write(index, append, &memory));
  free(memory.bytes);
  concord_index_free(index);
}

TEST(files_of_other_libraries) {
  concord_index *index = index_of_data(0);
  concord_index *other = NULL;
  OK(concord_hnswlib_save(index, path_of("h.bin")));
  OK(concord_hnswlib_load(path_of("h.bin"), DIMENSION, CONCORD_METRIC_L2SQ, CONCORD_ADOPT_GRAPH,
                          NULL, &other));
  CHECK(concord_index_size(other) == ROWS);
  concord_index_free(other);
  OK(concord_faiss_save(index, path_of("f.index")));
  OK(concord_faiss_load(path_of("f.index"), CONCORD_ADOPT_VECTORS, NULL, &other));
  CHECK(concord_index_size(other) == ROWS);
  concord_index_free(other);
  concord_index_free(index);
}

TEST(opened_index_survives) {
  const concord_index_params params = params_of();
  const concord_matrix rows = matrix_of(data(), ROWS);
  const uint64_t labels[2] = {1, 2};
  concord_index *index = NULL;
  concord_index *second = NULL;
  REFUSED(CONCORD_ERROR_IO, "",
          concord_index_open(path_of("o.concord"), NULL, CONCORD_DURABILITY_SYSTEM, NULL, &index));
  OK(concord_index_open(path_of("o.concord"), &params, CONCORD_DURABILITY_SYSTEM, NULL, &index));
  OK(concord_index_add(index, &rows, NULL, NULL, NULL, NULL));
  OK(concord_index_remove(index, labels, 2, NULL));
  REFUSED(CONCORD_ERROR_IO, "",
          concord_index_open(path_of("o.concord"), NULL, CONCORD_DURABILITY_SYSTEM, NULL, &second));
  CHECK(second == NULL);
  concord_index_free(index);
  OK(concord_index_open(path_of("o.concord"), NULL, CONCORD_DURABILITY_SYNCED, NULL, &index));
  CHECK(concord_index_size(index) == ROWS - 2);
  OK(concord_index_compact(index));
  concord_index_free(index);
  OK(concord_index_load(path_of("o.concord"), NULL, &index));
  CHECK(concord_index_size(index) == ROWS - 2);
  concord_index_free(index);
}

TEST(shards) {
  concord_index *index = index_of_data(3);
  concord_index *other = NULL;
  const concord_index *shard = NULL;
  const concord_index_params params = params_of();
  concord_shard_params of;
  const uint64_t labels[2] = {1, 2};
  size_t count = 0, sum = 0;
  uint32_t s;
  int found = 0;
  CHECK(concord_index_shards(index) == 3 && concord_index_size(index) == ROWS);
  CHECK(concord_index_resume_at(index) == ROWS);
  of.struct_size = sizeof of;
  OK(concord_index_get_shard_params(index, &of));
  CHECK(of.shards == 3 && of.block == 1);
  for (s = 0; s < 3; ++s) {
    OK(concord_index_shard(index, s, &shard));
    sum += concord_index_size(shard);
    OK(concord_index_contains(shard, s, &found));
    CHECK(found == 1 && concord_index_shards(shard) == 0);
  }
  CHECK(sum == ROWS);
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "shard", concord_index_shard(index, 3, &shard));
  OK(concord_index_save(index, path_of("folder")));
  OK(concord_sharded_load(path_of("folder"), NULL, &other));
  expect_digests_equal(index, other);
  concord_index_free(other);
  OK(concord_sharded_map(path_of("folder"), CONCORD_MAP_CHECK_ON_FIRST_USE, NULL, &other));
  expect_digests_equal(index, other);
  concord_index_free(other);
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "", concord_index_save(index, path_of("folder")));

  OK(concord_index_remove(index, labels, 2, &count));
  CHECK(count == 2 && concord_index_size(index) == ROWS - 2);
  concord_index_free(index);

  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "both",
          concord_sharded_open(path_of("opened"), &params, NULL, CONCORD_DURABILITY_SYSTEM, NULL,
                               &index));
  concord_shard_params_init(&of, sizeof of);
  of.shards = 2;
  OK(concord_sharded_open(path_of("opened"), &params, &of, CONCORD_DURABILITY_SYSTEM, NULL,
                          &index));
  concord_index_free(index);
  OK(concord_sharded_open(path_of("opened"), NULL, NULL, CONCORD_DURABILITY_SYSTEM, NULL, &index));
  CHECK(concord_index_shards(index) == 2);
  concord_index_free(index);
}

struct log {
  int messages;
  int32_t level;
};

static void keep_log(void *context, int32_t level, const char *message, size_t length) {
  struct log *log = context;
  CHECK(strlen(message) == length && length > 0);
  ++log->messages;
  log->level = level;
}

static void copy_with_garbage(const char *from, const char *to) {
  char bytes[1 << 16];
  size_t count;
  FILE *file = fopen(from, "rb");
  CHECK(file != NULL);
  count = fread(bytes, 1, sizeof bytes - 5, file);
  fclose(file);
  CHECK(count > 0 && count < sizeof bytes - 5);
  memcpy(bytes + count, "crash", 5);
  file = fopen(to, "wb");
  CHECK(file != NULL && fwrite(bytes, 1, count + 5, file) == count + 5);
  fclose(file);
}

/* What opening cuts off a journal, as a crash left it, is told to the log. */
TEST(log_is_told) {
  const concord_index_params params = params_of();
  const concord_matrix rows = matrix_of(data(), 10);
  struct log log = {0, -1};
  concord_runtime_options options;
  concord_index *index = NULL;
  char journal[4096];
  OK(concord_index_open(path_of("j.concord"), &params, CONCORD_DURABILITY_SYSTEM, NULL, &index));
  OK(concord_index_add(index, &rows, NULL, NULL, NULL, NULL));
  snprintf(journal, sizeof journal, "%s", path_of("j.concord.journal"));
  copy_with_garbage(journal, path_of("k.concord.journal"));
  concord_index_free(index);
  concord_runtime_options_init(&options, sizeof options);
  options.log = keep_log;
  options.log_context = &log;
  OK(concord_index_open(path_of("k.concord"), NULL, CONCORD_DURABILITY_SYSTEM, &options, &index));
  CHECK(concord_index_size(index) == 10);
  CHECK(log.messages == 2 && log.level == CONCORD_LOG_WARNING); /* recovered, and cut off */
  concord_index_free(index);
}

TEST(runtime_and_threads) {
  concord_index *index = index_of_data(0);
  concord_index *sharded = index_of_data(2);
  concord_runtime_options options;
  concord_stats *stats = NULL;
  const char *devices[1] = {"cpu"};
  concord_runtime_options_init(&options, sizeof options);
  CHECK(options.certificates == 1 && options.threads == 0 && options.device == NULL);
  options.threads = 3;
  options.device = "cpu";
  OK(concord_index_set_runtime(index, &options));
  OK(concord_index_stats(index, &stats));
  CHECK(stats->threads == 3);
  concord_stats_free(stats);
  options.devices = devices;
  options.device_count = 1;
  OK(concord_index_set_runtime(sharded, &options));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "devices", concord_index_set_runtime(index, &options));
  CHECK(concord_limit_threads(2) == 0);
  CHECK(concord_limit_threads(0) == 2);
  concord_index_free(index);
  concord_index_free(sharded);
}
