// A replica in the C interface: an index that follows the files of one which another process has
// open and changes. What it has, and when, is what concord/replica.hpp says of concord::Replica.
// The rules of handles, errors and threads are in <concord/concord.h>.
#pragma once

#include <concord/c/index.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Reads the files that concord_index_open keeps, and locks nothing. All functions but _free may be
/// called from any thread; concord_replica_catch_up, _lag and _promote take turns. Searches of its
/// index never wait for them.
typedef struct concord_replica concord_replica;

/// Reads the files of the index at `path`, and catches up. IO, with ENOENT if no writer has begun a
/// journal there; CORRUPT_FILE; INVALID_PARAMETER, UNSUPPORTED for the options. O(bytes of both
/// files).
CONCORD_C_API concord_status concord_replica_open(const char* path,
                                                  const concord_runtime_options* options,
                                                  concord_replica** replica);
/// Ends the replica. Its indexes, which the caller still has, may be read further. NULL does
/// nothing.
CONCORD_C_API void concord_replica_free(concord_replica* replica);

/// Does all that the writer has recorded and cannot lose; `operations` receives how many insertions
/// and removals that was, and may be NULL. Does not wait for the writer. DIVERGED if the files have
/// another history: then every later call is refused, and a new replica reads them from the
/// beginning. CORRUPT_FILE, IO. About a twentieth of an insertion for each.
CONCORD_C_API concord_status concord_replica_catch_up(concord_replica* replica,
                                                      uint64_t* operations);
/// A handle of the replica's index, which can be read and not changed (UNSUPPORTED). The caller
/// frees it; it may outlive the replica. It follows, until the replica has to read the index file
/// anew: then it stays as it was, and this function gives another one. DIVERGED. O(1).
CONCORD_C_API concord_status concord_replica_index(const concord_replica* replica,
                                                   concord_index** index);
/// How far the replica is behind what the writer cannot lose: operations, and bytes of the journal.
/// Either may be NULL. As concord_replica_catch_up. Reads the heads of the records that it lacks.
CONCORD_C_API concord_status concord_replica_lag(const concord_replica* replica,
                                                 uint64_t* operations, uint64_t* bytes);
/// Opens the index in the place of a writer that has ended, as concord_index_open does. `index`
/// takes changes, and the caller frees it; the lock is given back when the replica is freed as
/// well. The replica follows no more (UNSUPPORTED). `durability` is CONCORD_DURABILITY_*. IO if an
/// index is open for the path; DIVERGED if the files lack what the replica has. O(bytes of both
/// files).
CONCORD_C_API concord_status concord_replica_promote(concord_replica* replica, int32_t durability,
                                                     concord_index** index);

#ifdef __cplusplus
}
#endif
