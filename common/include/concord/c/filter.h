// Filters and groups of the C interface: which vectors a search may find, and which belong
// together. The rules of handles, errors and threads are in <concord/concord.h>, their meaning in
// <concord/filter.hpp> and <concord/groups.hpp>.
//
// Both are made of an index once, as of that moment, and serve any number of searches of that index
// and of no other. Of a sharded index they are for the whole. They do not need the index to live
// on. Making one runs beside an addition and never waits for it. Vectors that are added later match
// no filter and belong to no group.
#pragma once

#include <concord/c/index.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The vectors whose byte is not 0. `mask` ([size of the index]) is in the order of
/// concord_index_labels. INVALID_PARAMETER for another `count`. O(size).
CONCORD_C_API concord_status concord_filter_of_mask(const concord_index* index, const uint8_t* mask,
                                                    size_t count, concord_filter** filter);
/// The same with a bit for each vector, the lowest of each byte first. The first is bit number
/// `offset` of `byte_count` bytes, and `count` must be the size of the index. O(size).
CONCORD_C_API concord_status concord_filter_of_bits(const concord_index* index, const uint8_t* bits,
                                                    size_t byte_count, size_t count, size_t offset,
                                                    concord_filter** filter);
/// The vectors of these labels, in any order. Labels without a vector are counted in
/// concord_filter_unknown. O(count) expected.
CONCORD_C_API concord_status concord_filter_of_labels(const concord_index* index,
                                                      const uint64_t* labels, size_t count,
                                                      concord_filter** filter);
/// Vectors number [first, last) in the order of concord_index_labels. O(size).
CONCORD_C_API concord_status concord_filter_of_range(const concord_index* index, size_t first,
                                                     size_t last, concord_filter** filter);
/// The vectors for whose label `predicate` returns 1. It is called once for each vector, in order,
/// here and never later, and may use the index. CANCELLED if it ends the call. O(size).
CONCORD_C_API concord_status concord_filter_of_predicate(const concord_index* index,
                                                         concord_predicate predicate, void* context,
                                                         concord_filter** filter);
/// What matches both, either, or not this one. INVALID_PARAMETER for filters of different indexes.
/// O(matches), O(size) for _not.
CONCORD_C_API concord_status concord_filter_and(const concord_filter* a, const concord_filter* b,
                                                concord_filter** filter);
CONCORD_C_API concord_status concord_filter_or(const concord_filter* a, const concord_filter* b,
                                               concord_filter** filter);
CONCORD_C_API concord_status concord_filter_not(const concord_filter* a, concord_filter** filter);
/// Vectors that matched when the filter was made; vectors of the index then; bytes of memory;
/// labels given to _of_labels that had no vector. 0 for NULL. O(shards).
CONCORD_C_API size_t concord_filter_matches(const concord_filter* filter);
CONCORD_C_API size_t concord_filter_size(const concord_filter* filter);
CONCORD_C_API size_t concord_filter_bytes(const concord_filter* filter);
CONCORD_C_API size_t concord_filter_unknown(const concord_filter* filter);
/// Searches with the filter must have ended. NULL does nothing.
CONCORD_C_API void concord_filter_free(concord_filter* filter);

/// Vectors with equal keys are a group. `keys` ([size of the index]) is in the order of
/// concord_index_labels. INVALID_PARAMETER for another `count`. O(size) expected.
CONCORD_C_API concord_status concord_groups_of_keys(const concord_index* index,
                                                    const uint64_t* keys, size_t count,
                                                    concord_groups** groups);
/// Vectors that had a group when it was made; groups; bytes of memory. 0 for NULL. O(1).
CONCORD_C_API size_t concord_groups_size(const concord_groups* groups);
CONCORD_C_API size_t concord_groups_count(const concord_groups* groups);
CONCORD_C_API size_t concord_groups_bytes(const concord_groups* groups);
/// Searches with the groups must have ended. NULL does nothing.
CONCORD_C_API void concord_groups_free(concord_groups* groups);

#ifdef __cplusplus
}
#endif
