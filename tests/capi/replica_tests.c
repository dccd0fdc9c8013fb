/* A replica follows the files of an index, and takes its place. */
#include "check.h"

/* The digest of a text that the next call overwrites. */
static const char *digest_of(const concord_index *index) {
  static char digests[2][CONCORD_DIGEST_SIZE];
  static int which = 0;
  which = 1 - which;
  OK(concord_index_digest(index, digests[which]));
  return digests[which];
}

static concord_index *opened(const char *name) {
  const concord_index_params params = params_of();
  concord_index *index = NULL;
  OK(concord_index_open(path_of(name), &params, CONCORD_DURABILITY_SYNCED, NULL, &index));
  return index;
}

static void add(concord_index *index, size_t first, size_t count) {
  const concord_matrix rows = matrix_of(data() + first * DIMENSION, count);
  OK(concord_index_add(index, &rows, NULL, NULL, NULL, NULL));
}

TEST(a_replica_follows_what_the_writer_does) {
  const uint64_t labels[2] = {5, 6};
  concord_index *writer = NULL;
  concord_index *read = NULL;
  concord_index *again = NULL;
  concord_replica *replica = NULL;
  uint64_t operations = 77, bytes = 77;
  REFUSED(CONCORD_ERROR_IO, "", concord_replica_open(path_of("r.concord"), NULL, &replica));
  CHECK(replica == NULL);
  writer = opened("r.concord");
  add(writer, 0, 100);
  OK(concord_replica_open(path_of("r.concord"), NULL, &replica));
  OK(concord_replica_index(replica, &read));
  CHECK(concord_index_size(read) == 100 && strcmp(digest_of(read), digest_of(writer)) == 0);
  OK(concord_replica_lag(replica, &operations, &bytes));
  CHECK(operations == 0 && bytes == 0);

  add(writer, 100, 50);
  OK(concord_index_remove(writer, labels, 2, NULL));
  OK(concord_replica_lag(replica, &operations, NULL));
  CHECK(operations == 52);
  OK(concord_replica_lag(replica, NULL, &bytes));
  CHECK(bytes > 50 * DIMENSION);
  OK(concord_replica_catch_up(replica, &operations));
  CHECK(operations == 52);
  OK(concord_replica_catch_up(replica, NULL));
  CHECK(concord_index_size(read) == 148 && strcmp(digest_of(read), digest_of(writer)) == 0);

  /* It can be read alone, and outlives the replica. */
  REFUSED(CONCORD_ERROR_UNSUPPORTED, "replica", concord_index_remove(read, labels, 1, NULL));
  REFUSED(CONCORD_ERROR_UNSUPPORTED, "replica", concord_index_flush(read));
  OK(concord_replica_index(replica, &again));
  concord_replica_free(replica);
  concord_index_free(again);
  CHECK(strcmp(digest_of(read), digest_of(writer)) == 0);
  concord_index_free(read);
  concord_index_free(writer);
}

TEST(a_replica_takes_the_place_of_its_writer) {
  concord_index *writer = opened("p.concord");
  concord_index *index = NULL;
  concord_index *other = NULL;
  concord_replica *replica = NULL;
  add(writer, 0, 120);
  OK(concord_replica_open(path_of("p.concord"), NULL, &replica));
  REFUSED(CONCORD_ERROR_IO, "",
          concord_replica_promote(replica, CONCORD_DURABILITY_SYNCED, &index));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "durability",
          concord_replica_promote(replica, 9, &index));
  CHECK(index == NULL);
  concord_index_free(writer);
  OK(concord_replica_promote(replica, CONCORD_DURABILITY_SYSTEM, &index));
  add(index, 120, 30);
  CHECK(concord_index_size(index) == 150);
  REFUSED(CONCORD_ERROR_UNSUPPORTED, "", concord_replica_catch_up(replica, NULL));
  OK(concord_index_compact(index));
  concord_replica_free(replica);
  CHECK(concord_index_size(index) == 150);
  /* Both are gone: so is the lock. */
  concord_index_free(index);
  OK(concord_index_open(path_of("p.concord"), NULL, CONCORD_DURABILITY_SYSTEM, NULL, &other));
  CHECK(concord_index_size(other) == 150);
  concord_index_free(other);
}

TEST(another_history_is_refused_for_good) {
  concord_index *writer = opened("d.concord");
  concord_index *index = NULL;
  concord_replica *replica = NULL;
  uint64_t operations = 77;
  int i;
  add(writer, 0, 60);
  OK(concord_replica_open(path_of("d.concord"), NULL, &replica));
  concord_index_free(writer);
  CHECK(remove(path_of("d.concord.journal")) == 0);
  remove(path_of("d.concord"));
  writer = opened("d.concord");
  add(writer, 100, 80);
  for (i = 0; i < 2; ++i) {
    REFUSED(CONCORD_ERROR_DIVERGED, "", concord_replica_catch_up(replica, &operations));
    REFUSED(CONCORD_ERROR_DIVERGED, "", concord_replica_index(replica, &index));
    REFUSED(CONCORD_ERROR_DIVERGED, "", concord_replica_lag(replica, &operations, NULL));
  }
  CHECK(operations == 77 && index == NULL);
  CHECK(strcmp(concord_status_name(CONCORD_ERROR_DIVERGED), "diverged") == 0);
  concord_replica_free(replica);
  concord_index_free(writer);
}

TEST(a_replica_refuses_null) {
  concord_replica *replica = NULL;
  concord_index *index = NULL;
  concord_index *writer = opened("n.concord");
  const int32_t synced = CONCORD_DURABILITY_SYNCED;
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "path", concord_replica_open(NULL, NULL, &replica));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "replica",
          concord_replica_open(path_of("n.concord"), NULL, NULL));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "replica", concord_replica_catch_up(NULL, NULL));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "replica", concord_replica_index(NULL, &index));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "replica", concord_replica_lag(NULL, NULL, NULL));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "replica",
          concord_replica_promote(NULL, synced, &index));
  OK(concord_replica_open(path_of("n.concord"), NULL, &replica));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "index", concord_replica_index(replica, NULL));
  REFUSED(CONCORD_ERROR_INVALID_PARAMETER, "index", concord_replica_promote(replica, synced, NULL));
  concord_replica_free(replica);
  concord_replica_free(NULL);
  concord_index_free(writer);
}
