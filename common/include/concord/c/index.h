// An index in the C interface: making, opening and saving one, changing it, and asking it about
// itself. Searches are in <concord/c/search.h>. The rules of handles, errors and threads are in
// <concord/concord.h>.
//
// Every function that may take memory may return CONCORD_ERROR_OUT_OF_MEMORY. Every function that
// reads a mapped index may return CONCORD_ERROR_CORRUPT_FILE. Comments name the other errors. Paths
// are bytes as the system has them.
#pragma once

#include <concord/c/params.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A set of vectors with labels, and the HNSW graph over them, or the graphs of its shards.
typedef struct concord_index concord_index;

// --- making, opening, saving ---

/// An empty index. INVALID_PARAMETER for a value outside its range, UNSUPPORTED for a device or an
/// instruction set that this machine lacks. O(1).
CONCORD_C_API concord_status concord_index_create(const concord_index_params* params,
                                                  const concord_runtime_options* options,
                                                  concord_index** index);
/// An empty index of several independent graphs, which are built in parallel and merged at search.
/// As concord_index_create. O(shards).
CONCORD_C_API concord_status concord_sharded_create(const concord_index_params* params,
                                                    const concord_shard_params* shards,
                                                    const concord_runtime_options* options,
                                                    concord_index** index);
/// Ends the index. It waits for calls that are inside; none may begin any more, nor may a callback
/// of the index call it. Cursors of it must be freed before; filters and groups need not be. NULL
/// does nothing.
CONCORD_C_API void concord_index_free(concord_index* index);

/// Reads a file that concord_index_save wrote, and checks all of it. IO, CORRUPT_FILE. O(bytes).
CONCORD_C_API concord_status concord_index_load(const char* path,
                                                const concord_runtime_options* options,
                                                concord_index** index);
/// The same for a folder of a sharded index.
CONCORD_C_API concord_status concord_sharded_load(const char* folder,
                                                  const concord_runtime_options* options,
                                                  concord_index** index);
/// When a mapped file is checked: each part before its first use, or all at once.
enum { CONCORD_MAP_CHECK_ON_FIRST_USE = 0, CONCORD_MAP_CHECK_ON_OPEN = 1 };
/// Opens the file without reading it; its pages are shared between processes. The index can only be
/// read: changes return UNSUPPORTED. `check` is CONCORD_MAP_CHECK_*. IO, CORRUPT_FILE.
CONCORD_C_API concord_status concord_index_map(const char* path, int32_t check,
                                               const concord_runtime_options* options,
                                               concord_index** index);
CONCORD_C_API concord_status concord_sharded_map(const char* folder, int32_t check,
                                                 const concord_runtime_options* options,
                                                 concord_index** index);
/// Writes the index to a temporary file, syncs it and renames it to `path`: a crash leaves the old
/// file or the new one, whole. A sharded index is written to a folder without one. Equal indexes
/// give equal files. IO; INVALID_PARAMETER for a path of an opened index, or a folder with an
/// index.
CONCORD_C_API concord_status concord_index_save(const concord_index* index, const char* path);
/// Hands the bytes of such a file to `sink`, which must not use the index. A change of it there
/// would wait for ever, and so would concord_index_save, _write, _digest, _audit, _stats, _memory,
/// _explain and _tune. CANCELLED if it ends the call; UNSUPPORTED for a sharded index.
CONCORD_C_API concord_status concord_index_write(const concord_index* index, concord_byte_sink sink,
                                                 void* context);
/// Reads the bytes of such a file. CORRUPT_FILE.
CONCORD_C_API concord_status concord_index_from_bytes(const void* bytes, size_t count,
                                                      const concord_runtime_options* options,
                                                      concord_index** index);

/// What the vectors of an addition survive once it has returned: a power cut, or the end of the
/// process alone.
enum { CONCORD_DURABILITY_SYNCED = 0, CONCORD_DURABILITY_SYSTEM = 1 };
/// An index whose changes go to a journal beside `path` before they are made, so that they survive
/// a crash. It is empty if there are no files. `params` must be those of the files; NULL takes
/// theirs. `durability` is CONCORD_DURABILITY_*. IO, also if it is open already or, with NULL,
/// there are no files; CORRUPT_FILE; INVALID_PARAMETER if the parameters differ. O(bytes).
CONCORD_C_API concord_status concord_index_open(const char* path,
                                                const concord_index_params* params,
                                                int32_t durability,
                                                const concord_runtime_options* options,
                                                concord_index** index);
/// The same in a folder. `params` and `shards` are both given or both NULL. Without a manifest it
/// takes over files that were built elsewhere. DUPLICATE_LABEL if a label is in two of them.
CONCORD_C_API concord_status concord_sharded_open(
    const char* folder, const concord_index_params* params, const concord_shard_params* shards,
    int32_t durability, const concord_runtime_options* options, concord_index** index);
/// Writes the file of an opened index and begins an empty journal. A crash leaves the whole index.
/// IO; INVALID_PARAMETER if _open did not make the index.
CONCORD_C_API concord_status concord_index_compact(concord_index* index);

/// What a loaded file of another library gives: links of its layer 0, or vectors and labels alone.
enum { CONCORD_ADOPT_GRAPH = 0, CONCORD_ADOPT_VECTORS = 1 };
/// Reads and writes files of hnswlib and of FAISS (IndexHNSWFlat, IndexHNSWSQ, in an IDMap or not).
/// hnswlib's files do not tell dimension and metric (CONCORD_METRIC_*). `adopt` is CONCORD_ADOPT_*.
/// IO, CORRUPT_FILE, DIMENSION_MISMATCH; UNSUPPORTED for what the other library has and Concord has
/// not, or the reverse, and for a sharded index.
CONCORD_C_API concord_status concord_hnswlib_load(const char* path, uint32_t dimension,
                                                  int32_t metric, int32_t adopt,
                                                  const concord_runtime_options* options,
                                                  concord_index** index);
CONCORD_C_API concord_status concord_hnswlib_save(const concord_index* index, const char* path);
CONCORD_C_API concord_status concord_faiss_load(const char* path, int32_t adopt,
                                                const concord_runtime_options* options,
                                                concord_index** index);
CONCORD_C_API concord_status concord_faiss_save(const concord_index* index, const char* path);

// --- changing ---
//
// All of them return DIMENSION_MISMATCH, INVALID_VECTOR, INVALID_PARAMETER, DUPLICATE_LABEL,
// UNKNOWN_LABEL, CAPACITY or UNSUPPORTED with nothing changed. OUT_OF_MEMORY and, for an opened
// index, IO may leave a prefix of the call. `count` receives how many vectors were added, replaced
// or removed; it may be NULL. `progress` may be NULL. If it ends the call, the status is
// CONCORD_OK, what was committed stays, and `count` is smaller.

/// Inserts vectors ([n × dimension]) in order. Each can be found as soon as it is committed.
/// `labels` ([n]) must be new; NULL gives numbers in the order of insertion ever. Every element
/// must be finite. O(ef_construction · M) distances for each vector.
CONCORD_C_API concord_status concord_index_add(concord_index* index, const concord_matrix* vectors,
                                               const uint64_t* labels, concord_progress progress,
                                               void* context, size_t* count);
/// The same for `rows` vectors in pieces, all of which `source` gives before the first is inserted.
CONCORD_C_API concord_status concord_index_add_from(concord_index* index, concord_row_source source,
                                                    void* source_context, size_t rows,
                                                    const uint64_t* labels,
                                                    concord_progress progress, void* context,
                                                    size_t* count);
/// Replaces the vectors of these labels ([n]): at every moment a search finds exactly one of the
/// two.
CONCORD_C_API concord_status concord_index_update(concord_index* index,
                                                  const concord_matrix* vectors,
                                                  const uint64_t* labels, concord_progress progress,
                                                  void* context, size_t* count);
/// The same, but a label without a vector is added.
CONCORD_C_API concord_status concord_index_upsert(concord_index* index,
                                                  const concord_matrix* vectors,
                                                  const uint64_t* labels, concord_progress progress,
                                                  void* context, size_t* count);
/// Removes the vectors of `label_count` labels. No search that begins afterwards finds them. Costs
/// a part of an insertion each.
CONCORD_C_API concord_status concord_index_remove(concord_index* index, const uint64_t* labels,
                                                  size_t label_count, size_t* count);
/// Unlinks removed vectors now, and gives their memory back. It counts as an operation: with and
/// without it, the same sequence may end in graphs that differ.
CONCORD_C_API concord_status concord_index_flush(concord_index* index);
/// Replaces threads, device and log. INVALID_PARAMETER, UNSUPPORTED; nothing changes then.
CONCORD_C_API concord_status concord_index_set_runtime(concord_index* index,
                                                       const concord_runtime_options* options);

// --- asking the index about itself ---

/// Vectors: those committed less those removed; 0 for NULL. O(1).
CONCORD_C_API size_t concord_index_size(const concord_index* index);
/// Shards of a sharded index; 0 for another one and NULL. O(1).
CONCORD_C_API uint32_t concord_index_shards(const concord_index* index);
/// Fills a struct whose struct_size the caller has set. O(1).
CONCORD_C_API concord_status concord_index_get_params(const concord_index* index,
                                                      concord_index_params* params);
/// The same for a sharded index; UNSUPPORTED for another one. O(1).
CONCORD_C_API concord_status concord_index_get_shard_params(const concord_index* index,
                                                            concord_shard_params* params);
/// Shard `number` of a sharded index, for reading. It belongs to the index, lives as long and is
/// not freed. INVALID_PARAMETER; UNSUPPORTED for an index without shards. O(1).
CONCORD_C_API concord_status concord_index_shard(const concord_index* index, uint32_t number,
                                                 const concord_index** shard);
/// The position from which an interrupted build of a sharded index is resumed; the size once a
/// vector was removed or replaced, and of another index. 0 for NULL. O(shards).
CONCORD_C_API uint64_t concord_index_resume_at(const concord_index* index);
/// Whether there is a vector with this label: 1 or 0. O(shards) expected.
CONCORD_C_API concord_status concord_index_contains(const concord_index* index, uint64_t label,
                                                    int* found);
/// The stored vector of a label to `vector` ([dimension]), normalised for cosine. UNKNOWN_LABEL;
/// DIMENSION_MISMATCH unless `dimension` is the index's. O(dimension).
CONCORD_C_API concord_status concord_index_vector(const concord_index* index, uint64_t label,
                                                  float* vector, size_t dimension);
/// All labels in order of insertion, or by position in a sharded index. `count` receives how many
/// there are. BUFFER_TOO_SMALL if that is more than `capacity`; then no label is written. O(size).
CONCORD_C_API concord_status concord_index_labels(const concord_index* index, uint64_t* labels,
                                                  size_t capacity, size_t* count);
/// 32 hexadecimal digits and a NUL: the same for equal indexes, whatever computed them. Waits for a
/// moment between two commits. O(bytes of the index).
#define CONCORD_DIGEST_SIZE 33
CONCORD_C_API concord_status concord_index_digest(const concord_index* index,
                                                  char digest[CONCORD_DIGEST_SIZE]);

#ifdef __cplusplus
}
#endif
