/* Runs the test that the first argument names; the second is a folder for its files. tests.inc
 * lists all tests. */
#include "check.h"

#define TEST_OF_LIST(name) void test_##name(void);
#include "tests.inc"
#undef TEST_OF_LIST

static const struct {
  const char *name;
  void (*run)(void);
} tests[] = {
#define TEST_OF_LIST(name) {#name, test_##name},
#include "tests.inc"
};

static const char *folder;

const float *data(void) {
  static float rows[ROWS * DIMENSION];
  static int is_made = 0;
  uint32_t state = 1;
  size_t i;
  if (is_made) return rows;
  for (i = 0; i < ROWS * DIMENSION; ++i) {
    state = state * 1664525u + 1013904223u;
    rows[i] = (float)(state >> 16) / 65536.0f;
  }
  is_made = 1;
  return rows;
}

concord_matrix matrix_of(const float *rows, size_t count) {
  concord_matrix matrix = {0};
  matrix.data = rows;
  matrix.rows = count;
  matrix.cols = DIMENSION;
  return matrix;
}

concord_index_params params_of(void) {
  concord_index_params params;
  concord_index_params_init(&params, sizeof params);
  params.dimension = DIMENSION;
  params.M = 8;
  params.ef_construction = 40;
  return params;
}

concord_index *index_of_data(uint32_t shards) {
  const concord_index_params params = params_of();
  const concord_matrix rows = matrix_of(data(), ROWS);
  concord_index *index = NULL;
  if (shards == 0) {
    OK(concord_index_create(&params, NULL, &index));
  } else {
    concord_shard_params of;
    concord_shard_params_init(&of, sizeof of);
    of.shards = shards;
    OK(concord_sharded_create(&params, &of, NULL, &index));
  }
  OK(concord_index_add(index, &rows, NULL, NULL, NULL, NULL));
  return index;
}

const char *path_of(const char *name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

int main(int argc, char **argv) {
  size_t t;
  if (argc != 3) return 2;
  folder = argv[2];
  for (t = 0; t < sizeof tests / sizeof tests[0]; ++t) {
    if (strcmp(tests[t].name, argv[1]) == 0) {
      tests[t].run();
      return 0;
    }
  }
  fprintf(stderr, "no test %s\n", argv[1]);
  return 2;
}
