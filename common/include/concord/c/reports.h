// What an index tells about itself and its answers in the C interface: statistics, memory, audit,
// presets, explanations. The rules of handles, errors and threads are in <concord/concord.h>, the
// meaning of the figures in <concord/stats.hpp>.
//
// The library allocates reports, and the caller gives them to their _free function, which takes
// NULL as well. It sets their struct_size: a program reads the fields in so many bytes.
#pragma once

#include <concord/c/index.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Seconds, summed over threads, and how many of what the phase does. Never grows.
typedef struct concord_phase {
  double seconds;
  uint64_t count;
} concord_phase;

/// Figures of the graph, and of all work of this index object.
typedef struct concord_stats {
  size_t struct_size;   ///< set by the library
  uint64_t size;        ///< vectors
  uint64_t insertions;  ///< ever, replacements included
  uint64_t removals;    ///< ever, replacements included
  uint64_t tombstones;  ///< of them, those that the graph still walks through
  uint64_t copies;      ///< vectors that are equal to an earlier one
  uint32_t max_level;
  uint32_t threads;             ///< that the index may use, the calling one included
  const char* isa;              ///< instruction set of the CPU's distances
  concord_phase ingest;         ///< vectors validated and copied
  concord_phase descent;        ///< greedy descents
  concord_phase beam_search;    ///< beam searches of insertions
  concord_phase tail;           ///< distances to vectors newer than the sealed graph
  concord_phase selection;      ///< selections of neighbors
  concord_phase commit;         ///< vectors committed
  concord_phase score;          ///< lists scored for a seal
  concord_phase seal;           ///< links cut or moved at seals
  concord_phase repair;         ///< removed vectors unlinked
  double propose_wall_seconds;  ///< wall time that the adding thread spent on proposals
  double score_wall_seconds;    ///< wall time that it spent on scores of lists
  uint64_t build_distances;     ///< distances of insertions
  uint64_t build_hops;          ///< lists expanded by insertions
  uint64_t refused_links;       ///< proposed links that a full list refused
  uint64_t reanchored;          ///< links of children moved to another anchor
  uint64_t queries;             ///< queries answered
  uint64_t distances;           ///< distances of searches
  uint64_t hops;                ///< lists expanded by searches
  uint64_t rescored;            ///< distances of what walks by codes had found
  const char* device;           ///< the device's name, or "cpu"
  const char* device_reason;    ///< why this device was taken, not taken or given up
  double kernel_seconds;        ///< device time of kernels
  double copy_in_seconds;       ///< device time of copies to the device
  double copy_out_seconds;      ///< device time of copies from the device
  double overlap_seconds;       ///< device time while the adding thread worked
  uint64_t bytes_in;            ///< copied to the device
  uint64_t bytes_out;           ///< copied from the device
  uint64_t device_memory;       ///< bytes held now
  uint64_t journal_bytes;       ///< length of the journal of an opened index
  uint64_t journal_recovered;   ///< vectors that opening took from it
  uint64_t journal_cut_bytes;   ///< length of what opening cut off, as a crash leaves it
  uint64_t journal_dropped;     ///< vectors in whole records that were cut off
  double journal_recovery_seconds;
  double journal_write_seconds;
  double journal_sync_seconds;
  double journal_wait_seconds;
  const uint64_t* level_histogram;  ///< [levels]: nodes of each level
  size_t levels;
  const uint64_t* degree_histogram;  ///< [degrees]: lists of layer 0 of each length
  size_t degrees;
  uint64_t device_checked;  ///< proposals, and scores of lists, that the CPU found right
  double check_seconds;     ///< time of the thread that checks
} concord_stats;
/// Of one moment between two commits. O(size).
CONCORD_C_API concord_status concord_index_stats(const concord_index* index, concord_stats** stats);
CONCORD_C_API void concord_stats_free(concord_stats* stats);

/// Bytes in use by part.
typedef struct concord_memory {
  size_t struct_size;
  uint64_t vectors;  ///< vectors, padding included
  uint64_t links;    ///< neighbor lists of layer 0
  uint64_t upper;    ///< neighbor lists of the layers above
  uint64_t labels;   ///< labels and their hash table
  uint64_t nodes;    ///< levels, tombstones, numbers, copies
  uint64_t epoch;    ///< of the open epoch
  uint64_t scratch;  ///< of searches, kept for the next ones
} concord_memory;
/// Fills a struct whose struct_size the caller has set. O(shards).
CONCORD_C_API concord_status concord_index_memory(const concord_index* index,
                                                  concord_memory* memory);

/// Findings of an audit. Each count but nodes and edges is a number of faults.
typedef struct concord_audit {
  size_t struct_size;           ///< set by the library
  int32_t ok;                   ///< 1 if and only if there is no fault
  uint64_t nodes;               ///< nodes of the graph, tombstones and copies included
  uint64_t edges;               ///< undirected edges of all layers
  uint64_t unreachable;         ///< (layer, node) pairs not reached from the entry point
  uint64_t asymmetric_edges;    ///< links without their reverse
  uint64_t broken_anchors;      ///< lists without an earlier neighbor, or miscounting them
  uint64_t over_degree;         ///< lists longer than allowed
  uint64_t invalid_links;       ///< ids out of range, of itself or twice
  uint64_t entry_point_errors;  ///< 1 unless it is the earliest node of the highest level
  uint64_t level_errors;        ///< levels that their numbers do not give
  uint64_t copy_errors;         ///< copies that are not equal to their first
  const char* const* messages;  ///< [message_count]: the first 20 findings
  size_t message_count;
} concord_audit;
/// Checks the graph's invariants. A damaged graph is reported and is no error of the call.
/// O(Σ degree²) over all lists, and O(size) memory.
CONCORD_C_API concord_status concord_index_audit(const concord_index* index, concord_audit** audit);
CONCORD_C_API void concord_audit_free(concord_audit* audit);

/// The cheapest search that was found to reach a recall.
typedef struct concord_preset {
  size_t struct_size;
  double recall;        ///< the goal, and with k the preset's name
  uint32_t k;           ///< as the search must have it
  uint32_t ef;          ///< of the search
  float slack;          ///< of the search; infinity where ef alone decides
  int32_t zero;         ///< 0
  double measured;      ///< mean recall of the sample
  double at_least;      ///< lower bound of the mean recall, with a confidence of 95 %
  double distances;     ///< computed for a query, on average
  uint64_t queries;     ///< of the sample; 0 where ef covers the whole index
  uint64_t size;        ///< vectors of the index at the time of tuning
  uint64_t insertions;  ///< ever, by then
  uint64_t removals;    ///< ever, by then
} concord_preset;
/// Finds and remembers the cheapest ef and slack that reach a recall. `queries` ([q × dimension])
/// or, if NULL, vectors of the index are the sample. Fills `preset`, whose struct_size the caller
/// has set; it may be NULL. INVALID_PARAMETER if the sample is too small, UNSUPPORTED if no ef up
/// to 16,384 reaches the goal or the index is sharded, CANCELLED, and as a search. O(q · size).
CONCORD_C_API concord_status concord_index_tune(concord_index* index, const concord_matrix* queries,
                                                const concord_tune_params* params,
                                                concord_preset* preset);
/// How to search for k neighbors with this recall: fills `params`, whose struct_size the caller has
/// set. UNKNOWN_PRESET without one that fits; UNSUPPORTED for a sharded index. O(presets).
CONCORD_C_API concord_status concord_index_preset(const concord_index* index, double recall,
                                                  uint32_t k, concord_search_params* params);
/// Takes a preset over from an index with the same history. INVALID_PARAMETER for a value outside
/// its range; UNSUPPORTED for a sharded index. O(presets).
CONCORD_C_API concord_status concord_index_remember(concord_index* index,
                                                    const concord_preset* preset);
/// Presets in order of k and goal.
typedef struct concord_presets {
  size_t struct_size;  ///< set by the library
  size_t count;
  const concord_preset* const* items;  ///< [count]
} concord_presets;
/// All presets; UNSUPPORTED for a sharded index. O(presets).
CONCORD_C_API concord_status concord_index_presets(const concord_index* index,
                                                   concord_presets** presets);
CONCORD_C_API void concord_presets_free(concord_presets* presets);

/// Why a vector is or is not among the results of a query.
enum {
  CONCORD_REASON_RETURNED = 0,  ///< every search with this k returns it
  CONCORD_REASON_FARTHER = 1,   ///< k or more vectors are nearer
  CONCORD_REASON_DESCENT = 2,   ///< a larger ef finds it; a better start of the walk would
  CONCORD_REASON_LINKS = 3,     ///< a larger ef finds it; links lead there by farther vectors alone
  CONCORD_REASON_FILTER = 4,    ///< the filter does not let it match
  CONCORD_REASON_REMOVED = 5    ///< it was removed or replaced
};
typedef struct concord_explanation {
  size_t struct_size;  ///< set by the library
  uint64_t label;
  uint32_t k;
  int32_t reason;   ///< CONCORD_REASON_*
  uint64_t rank;    ///< one more than the vectors that come before it
  uint32_t level;   ///< the highest layer that it is in
  uint32_t ef;      ///< the least that returns it; 0 if none does, and for farther, filter, removed
  float distance;   ///< to the query
  float slack;      ///< the least that returns it with an ef of 65,536; infinity if none does
  uint64_t hop;     ///< the hop at which the walk meets it, or 0
  uint64_t parent;  ///< the vector in whose list it does, or CONCORD_NO_LABEL
  const char* text;  ///< the same as a few sentences
} concord_explanation;
/// Explains the vector of a label for `query` ([1 × dimension]); `filter` may be NULL.
/// UNKNOWN_LABEL, and as a search. O(size · dimension), and some 30 searches.
CONCORD_C_API concord_status concord_index_explain(const concord_index* index,
                                                   const concord_matrix* query, uint64_t label,
                                                   uint32_t k, const concord_filter* filter,
                                                   concord_explanation** explanation);
CONCORD_C_API void concord_explanation_free(concord_explanation* explanation);

#ifdef __cplusplus
}
#endif
