/* What consumer/main.cpp does, in C: builds and searches a small index, and prints its digest. */

#include <concord/concord.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 500, DIMENSION = 6, QUERIES = 10, K = 10 };

int main(void) {
  static float data[ROWS * DIMENSION];
  uint64_t labels[QUERIES * K];
  float distances[QUERIES * K];
  float vector[DIMENSION];
  char digest[CONCORD_DIGEST_SIZE];
  uint32_t state = 1;
  size_t i;
  concord_index_params params;
  concord_index* index = NULL;
  concord_matrix rows = {data, ROWS, DIMENSION, 0, CONCORD_ELEMENT_F32, 0};
  const concord_hits hits = {labels, distances, NULL, QUERIES, K};
  for (i = 0; i < ROWS * DIMENSION; ++i) {
    state = state * 1664525u + 1013904223u;
    data[i] = (float)(state >> 16) / 65536.0f;
  }
  concord_index_params_init(&params, sizeof params);
  params.dimension = DIMENSION;
  if (concord_index_create(&params, NULL, &index) != CONCORD_OK) return 1;
  if (concord_index_add(index, &rows, NULL, NULL, NULL, NULL) != CONCORD_OK) return 2;
  rows.rows = QUERIES;
  if (concord_index_search(index, &rows, NULL, &hits) != CONCORD_OK) return 3;
  for (i = 0; i < QUERIES; ++i) {
    if (labels[i * K] != i) return 4;
  }
  if (concord_index_vector(index, ROWS, vector, DIMENSION) != CONCORD_ERROR_UNKNOWN_LABEL) return 5;
  if (strstr(concord_last_error(), "500") == NULL) return 6;
  if (concord_index_digest(index, digest) != CONCORD_OK) return 7;
  concord_index_free(index);
  puts(digest);
  return 0;
}
