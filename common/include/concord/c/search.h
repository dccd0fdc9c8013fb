// Searches of the C interface: of the nearest vectors, exact ones, all within a radius, page by
// page. The rules of handles, errors and threads are in <concord/concord.h>.
//
// Searches run beside a change and never wait for it. Every search returns DIMENSION_MISMATCH,
// INVALID_VECTOR or INVALID_PARAMETER for what it refuses, among it a filter of another index, and
// OUT_OF_MEMORY. What output arrays hold after an error is not specified. A result is the same to
// the last bit for every batch size, number of threads and device.
#pragma once

#include <concord/c/filter.h>
#include <concord/c/index.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Where a search leaves its results: arrays of the caller. Row q has the counts[q] nearest of
/// query q, nearest first; equal distances are in order of insertion. Padding follows:
/// CONCORD_NO_LABEL and infinity.
typedef struct concord_hits {
  uint64_t* labels;  ///< [queries × k]
  float* distances;  ///< [queries × k], as the metric defines them
  uint32_t* counts;  ///< [queries], each at most k; may be NULL
  size_t queries;    ///< must be the number of queries
  size_t k;          ///< must be the k asked for; with groups k · group_hits
} concord_hits;

/// The (approximately) k nearest vectors of each row of `queries` ([q × dimension]): min(k, size)
/// of them, or min(k, matches) with a filter. With groups, the nearest groups. A beam search of
/// O(ef · M) distances for each query.
CONCORD_C_API concord_status concord_index_search(const concord_index* index,
                                                  const concord_matrix* queries,
                                                  const concord_search_params* params,
                                                  const concord_hits* hits);
/// The exact k nearest, with the filters or groups of `params`, whose other fields are not used.
/// O(q · size · dimension), or with filters O(q · matches · dimension).
CONCORD_C_API concord_status concord_index_exact_search(const concord_index* index,
                                                        const concord_matrix* queries,
                                                        const concord_search_params* params,
                                                        const concord_hits* hits);
/// The exact k nearest rows of `vectors` ([n × dimension]), which are in no index. Labels are
/// numbers of rows. CAPACITY as well. Any thread. O(q · n · dimension).
CONCORD_C_API concord_status concord_exact_knn(const concord_matrix* vectors,
                                               const concord_matrix* queries,
                                               const concord_exact_params* params,
                                               const concord_hits* hits);

/// All that is within a radius. Those of query q are in places [lims[q], lims[q + 1]), nearest
/// first. The library allocates it.
typedef struct concord_range_result {
  size_t struct_size;  ///< set by the library
  size_t queries;
  const size_t* lims;      ///< [queries + 1]: from 0, never falling
  const uint64_t* labels;  ///< [lims[queries]]
  const float* distances;  ///< [lims[queries]]
} concord_range_result;
/// The vectors at a distance of at most `radius` from each row of `queries`, (approximately) all of
/// them. The radius is in the metric's units: squared for L2SQ; 0 … infinity. UNSUPPORTED for
/// INNER_PRODUCT. A search, and O(M · reached) distances for each query, at most O(size).
CONCORD_C_API concord_status concord_index_range_search(const concord_index* index,
                                                        const concord_matrix* queries, float radius,
                                                        const concord_range_params* params,
                                                        concord_range_result** result);
CONCORD_C_API void concord_range_result_free(concord_range_result* result);

/// A search of one query that goes on, page by page. It borrows the index.
typedef struct concord_cursor concord_cursor;
/// `query` is [1 × dimension]. Uses ef, slack and filter of `params`. O(1) until the first page.
CONCORD_C_API concord_status concord_cursor_create(const concord_index* index,
                                                   const concord_matrix* query,
                                                   const concord_search_params* params,
                                                   concord_cursor** cursor);
/// The `k` (0 … 65,536) nearest vectors that no page before has given, to `labels` and `distances`
/// ([k]), padded. `count` receives how many; fewer than k mean that nothing is left. After an error
/// a later call goes on with the same page. Runs on the calling thread.
CONCORD_C_API concord_status concord_cursor_next(concord_cursor* cursor, uint32_t k,
                                                 uint64_t* labels, float* distances, size_t* count);
/// Vectors given so far; 0 for NULL. O(1).
CONCORD_C_API size_t concord_cursor_given(const concord_cursor* cursor);
CONCORD_C_API void concord_cursor_free(concord_cursor* cursor);

#ifdef __cplusplus
}
#endif
