/* What the tests of the C interface share: a check that names its line and the library's message,
 * and small data. */
#ifndef CONCORD_TESTS_CAPI_CHECK_H
#define CONCORD_TESTS_CAPI_CHECK_H

#include <concord/concord.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* CMakeLists.txt finds the tests by these lines, and makes a ctest test of each. */
#define TEST(name)        \
  void test_##name(void); \
  void test_##name(void)

#define CHECK(condition)                                                                       \
  do {                                                                                         \
    if (!(condition)) {                                                                        \
      fprintf(stderr, "%s:%d: not so: %s\n  last error: %s\n", __FILE__, __LINE__, #condition, \
              concord_last_error());                                                           \
      _Exit(1); /* some tests check in a handler of exit */                                    \
    }                                                                                          \
  } while (0)

/* The call ends well. */
#define OK(call) CHECK((call) == CONCORD_OK)
/* The call is refused with this status, and the message has these words. */
#define REFUSED(status, words, call)              \
  do {                                            \
    CHECK((call) == (status));                    \
    CHECK(strstr(concord_last_error(), (words))); \
  } while (0)

enum { DIMENSION = 8, ROWS = 300 };

/* ROWS vectors of DIMENSION floats, the same in every run. */
const float *data(void);
concord_matrix matrix_of(const float *rows, size_t count);
/* An index of data(), labelled 0, 1, ...; with shards > 0 a sharded one. */
concord_index *index_of_data(uint32_t shards);
concord_index_params params_of(void);
/* A path in a folder of this test, which is empty when the test begins. */
const char *path_of(const char *name);

#endif
