// Parameters of the C interface. Those of an index define its graph; all others only decide how
// work is done, or what a search asks for. See <concord/concord.h> for the rules of structs, and
// <concord/params.hpp> for the sources.
#pragma once

#include <concord/c/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct concord_filter concord_filter;  // concord/c/filter.h
typedef struct concord_groups concord_groups;

/// How near two vectors are. Smaller is nearer.
enum {
  CONCORD_METRIC_L2SQ = 0,           ///< squared Euclidean distance
  CONCORD_METRIC_INNER_PRODUCT = 1,  ///< 1 − x·y; may be negative, and is not a metric
  CONCORD_METRIC_COSINE = 2          ///< 1 − cos(x, y); vectors are normalised when they enter
};
/// How vectors are kept.
enum {
  CONCORD_STORAGE_AUTOMATIC = 0,  ///< bytes where all elements are 8-bit numbers, else floats
  CONCORD_STORAGE_F32 = 1,        ///< floats
  CONCORD_STORAGE_F16 = 2,        ///< rounded once to binary16
  CONCORD_STORAGE_BF16 = 3        ///< rounded once to bfloat16
};
/// Whether walks estimate distances from a code of each vector.
enum {
  CONCORD_CODES_NONE = 0,
  CONCORD_CODES_SQ8 = 1,  ///< 8 bits for each element
  CONCORD_CODES_SQ4 = 2   ///< 4 bits for each element
};

/// These parameters, the vectors and their order define the graph to the last byte.
typedef struct concord_index_params {
  size_t struct_size;
  uint32_t dimension;        ///< 1 … 65,536; no default
  int32_t metric;            ///< CONCORD_METRIC_*; default L2SQ
  uint32_t M;                ///< 2 … 64: links of a new vector in each layer; default 16
  uint32_t ef_construction;  ///< 1 … 1,024: candidates of an insertion; default 200
  uint64_t seed;             ///< of the hash that gives levels; default 42
  uint32_t epoch_limit;      ///< 1 … 65,536: most vectors of an epoch; default 1,024
  int32_t codes;             ///< CONCORD_CODES_*; default NONE
  int32_t storage;           ///< CONCORD_STORAGE_*; default AUTOMATIC
  int32_t zero;              ///< must be 0
} concord_index_params;
/// Writes `struct_size` bytes: the defaults. Pass sizeof(concord_index_params). So do all _init
/// functions. Any thread. O(1).
CONCORD_C_API void concord_index_params_init(concord_index_params* params, size_t struct_size);

/// How vectors are dealt to the shards of a sharded index. Part of its definition.
typedef struct concord_shard_params {
  size_t struct_size;
  uint32_t shards;  ///< 1 … 1,024; default 1
  uint32_t block;   ///< 1 … 1,048,576 vectors that stay together; default 1
} concord_shard_params;
CONCORD_C_API void concord_shard_params_init(concord_shard_params* params, size_t struct_size);

/// How work is done. Never changes a result.
typedef struct concord_runtime_options {
  size_t struct_size;
  uint32_t threads;  ///< 0 … 1,024, the calling one included; 0 (default): one per hardware thread
  int32_t certificates;  ///< 1 (default) or 0: additions reject far vectors by codes, for certain
  const char* device;    ///< NULL (default) or "auto", "cpu", "cuda", "cuda:K"
  uint64_t device_memory_budget;  ///< bytes; 0 (default): free memory less 256 MiB
  concord_log log;                ///< NULL (default): no messages. It is called until the index is
                                  ///< freed or its options are replaced
  void* log_context;
  /// Of a sharded index: shard s is on devices[s mod device_count]. Default: all on `device`.
  /// INVALID_PARAMETER for an array without a number, and the reverse.
  const char* const* devices;
  size_t device_count;
  double checked_share;  ///< 0 … 1: of a device's proposals, computed on the CPU as well and
                         ///< compared; default 0.001
} concord_runtime_options;
CONCORD_C_API void concord_runtime_options_init(concord_runtime_options* options,
                                                size_t struct_size);

/// How a batch of queries is searched, and which vectors it may find.
typedef struct concord_search_params {
  size_t struct_size;
  uint32_t k;         ///< 0 … 65,536 neighbors asked for; default 10
  uint32_t ef;        ///< 1 … 65,536 candidates kept, raised to k; default 64
  float slack;        ///< 0 … infinity: ends searches early; default infinity
  uint32_t rescore;   ///< 0 … 65,536 exact distances of a search by codes; 0 (default): automatic
  int32_t use_codes;  ///< 1 (default) or 0: whether the walk uses the codes of an index with them
  uint32_t group_hits;           ///< 1 … 65,536 vectors of a group at most; default 1
  const concord_filter* filter;  ///< for all queries; NULL (default): all vectors may be found
  /// One filter or NULL for each query, in the place of `filter`; default NULL. INVALID_PARAMETER
  /// unless there are as many as queries.
  const concord_filter* const* filters;
  size_t filter_count;           ///< the number of queries, or 0 (default) without `filters`
  const concord_groups* groups;  ///< NULL (default), or the k nearest groups are found
} concord_search_params;
CONCORD_C_API void concord_search_params_init(concord_search_params* params, size_t struct_size);

/// How all vectors within a radius are searched.
typedef struct concord_range_params {
  size_t struct_size;
  uint32_t ef;    ///< 1 … 65,536 nearest candidates from which the search spreads; default 64
  float slack;    ///< 0 … infinity: how far beyond the radius it spreads; default 0.1
  int64_t limit;  ///< 0 … 65,536: so many of the nearest at most; −1 (default): all
  const concord_filter* filter;          ///< as in concord_search_params
  const concord_filter* const* filters;  ///< as in concord_search_params
  size_t filter_count;                   ///< as in concord_search_params
} concord_range_params;
CONCORD_C_API void concord_range_params_init(concord_range_params* params, size_t struct_size);

/// What concord_index_tune is to reach.
typedef struct concord_tune_params {
  size_t struct_size;
  double recall;    ///< above 0, below 1: the mean recall@k; default 0.99
  uint32_t k;       ///< 1 … 65,536; default 10
  uint32_t sample;  ///< at least 1: vectors taken as queries if none are given; default 4,000
  concord_progress progress;  ///< NULL (default), or told of queries; ends the call if not 0
  void* progress_context;
} concord_tune_params;
CONCORD_C_API void concord_tune_params_init(concord_tune_params* params, size_t struct_size);

/// How concord_exact_knn works.
typedef struct concord_exact_params {
  size_t struct_size;
  uint32_t k;                 ///< 0 … 65,536; default 10
  int32_t metric;             ///< CONCORD_METRIC_*; default L2SQ
  uint32_t threads;           ///< 0 … 1,024; 0 (default): one per hardware thread
  int32_t zero;               ///< must be 0
  concord_progress progress;  ///< NULL (default), or told of queries; if not 0, the rest is padding
  void* progress_context;
} concord_exact_params;
CONCORD_C_API void concord_exact_params_init(concord_exact_params* params, size_t struct_size);

#ifdef __cplusplus
}
#endif
