/* Where each field of each public struct is, for ever: programs have been compiled with it. A
 * struct grows by a field at its end, and its size with it. None ends with padding, where a later
 * field would not change the size. */
#include <concord/concord.h>

#define AT(type, field, offset) \
  _Static_assert(offsetof(type, field) == (offset), #type "." #field " has moved")
#define SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " has another size")

AT(concord_matrix, data, 0);
AT(concord_matrix, rows, 8);
AT(concord_matrix, cols, 16);
AT(concord_matrix, stride, 24);
AT(concord_matrix, element, 32);
AT(concord_matrix, zero, 36);
SIZE(concord_matrix, 40);

AT(concord_index_params, struct_size, 0);
AT(concord_index_params, dimension, 8);
AT(concord_index_params, metric, 12);
AT(concord_index_params, M, 16);
AT(concord_index_params, ef_construction, 20);
AT(concord_index_params, seed, 24);
AT(concord_index_params, epoch_limit, 32);
AT(concord_index_params, codes, 36);
AT(concord_index_params, storage, 40);
AT(concord_index_params, zero, 44);
SIZE(concord_index_params, 48);

AT(concord_shard_params, struct_size, 0);
AT(concord_shard_params, shards, 8);
AT(concord_shard_params, block, 12);
SIZE(concord_shard_params, 16);

AT(concord_runtime_options, struct_size, 0);
AT(concord_runtime_options, threads, 8);
AT(concord_runtime_options, certificates, 12);
AT(concord_runtime_options, device, 16);
AT(concord_runtime_options, device_memory_budget, 24);
AT(concord_runtime_options, log, 32);
AT(concord_runtime_options, log_context, 40);
AT(concord_runtime_options, devices, 48);
AT(concord_runtime_options, device_count, 56);
AT(concord_runtime_options, checked_share, 64);
SIZE(concord_runtime_options, 72);

AT(concord_search_params, struct_size, 0);
AT(concord_search_params, k, 8);
AT(concord_search_params, ef, 12);
AT(concord_search_params, slack, 16);
AT(concord_search_params, rescore, 20);
AT(concord_search_params, use_codes, 24);
AT(concord_search_params, group_hits, 28);
AT(concord_search_params, filter, 32);
AT(concord_search_params, filters, 40);
AT(concord_search_params, filter_count, 48);
AT(concord_search_params, groups, 56);
SIZE(concord_search_params, 64);

AT(concord_range_params, struct_size, 0);
AT(concord_range_params, ef, 8);
AT(concord_range_params, slack, 12);
AT(concord_range_params, limit, 16);
AT(concord_range_params, filter, 24);
AT(concord_range_params, filters, 32);
AT(concord_range_params, filter_count, 40);
SIZE(concord_range_params, 48);

AT(concord_tune_params, struct_size, 0);
AT(concord_tune_params, recall, 8);
AT(concord_tune_params, k, 16);
AT(concord_tune_params, sample, 20);
AT(concord_tune_params, progress, 24);
AT(concord_tune_params, progress_context, 32);
SIZE(concord_tune_params, 40);

AT(concord_exact_params, struct_size, 0);
AT(concord_exact_params, k, 8);
AT(concord_exact_params, metric, 12);
AT(concord_exact_params, threads, 16);
AT(concord_exact_params, zero, 20);
AT(concord_exact_params, progress, 24);
AT(concord_exact_params, progress_context, 32);
SIZE(concord_exact_params, 40);

AT(concord_hits, labels, 0);
AT(concord_hits, distances, 8);
AT(concord_hits, counts, 16);
AT(concord_hits, queries, 24);
AT(concord_hits, k, 32);
SIZE(concord_hits, 40);

AT(concord_range_result, struct_size, 0);
AT(concord_range_result, queries, 8);
AT(concord_range_result, lims, 16);
AT(concord_range_result, labels, 24);
AT(concord_range_result, distances, 32);
SIZE(concord_range_result, 40);

AT(concord_phase, seconds, 0);
AT(concord_phase, count, 8);
SIZE(concord_phase, 16);

AT(concord_stats, struct_size, 0);
AT(concord_stats, size, 8);
AT(concord_stats, insertions, 16);
AT(concord_stats, removals, 24);
AT(concord_stats, tombstones, 32);
AT(concord_stats, copies, 40);
AT(concord_stats, max_level, 48);
AT(concord_stats, threads, 52);
AT(concord_stats, isa, 56);
AT(concord_stats, ingest, 64);
AT(concord_stats, descent, 80);
AT(concord_stats, beam_search, 96);
AT(concord_stats, tail, 112);
AT(concord_stats, selection, 128);
AT(concord_stats, commit, 144);
AT(concord_stats, score, 160);
AT(concord_stats, seal, 176);
AT(concord_stats, repair, 192);
AT(concord_stats, propose_wall_seconds, 208);
AT(concord_stats, score_wall_seconds, 216);
AT(concord_stats, build_distances, 224);
AT(concord_stats, build_hops, 232);
AT(concord_stats, refused_links, 240);
AT(concord_stats, reanchored, 248);
AT(concord_stats, queries, 256);
AT(concord_stats, distances, 264);
AT(concord_stats, hops, 272);
AT(concord_stats, rescored, 280);
AT(concord_stats, device, 288);
AT(concord_stats, device_reason, 296);
AT(concord_stats, kernel_seconds, 304);
AT(concord_stats, copy_in_seconds, 312);
AT(concord_stats, copy_out_seconds, 320);
AT(concord_stats, overlap_seconds, 328);
AT(concord_stats, bytes_in, 336);
AT(concord_stats, bytes_out, 344);
AT(concord_stats, device_memory, 352);
AT(concord_stats, journal_bytes, 360);
AT(concord_stats, journal_recovered, 368);
AT(concord_stats, journal_cut_bytes, 376);
AT(concord_stats, journal_dropped, 384);
AT(concord_stats, journal_recovery_seconds, 392);
AT(concord_stats, journal_write_seconds, 400);
AT(concord_stats, journal_sync_seconds, 408);
AT(concord_stats, journal_wait_seconds, 416);
AT(concord_stats, level_histogram, 424);
AT(concord_stats, levels, 432);
AT(concord_stats, degree_histogram, 440);
AT(concord_stats, degrees, 448);
AT(concord_stats, device_checked, 456);
AT(concord_stats, check_seconds, 464);
SIZE(concord_stats, 472);

AT(concord_memory, struct_size, 0);
AT(concord_memory, vectors, 8);
AT(concord_memory, links, 16);
AT(concord_memory, upper, 24);
AT(concord_memory, labels, 32);
AT(concord_memory, nodes, 40);
AT(concord_memory, epoch, 48);
AT(concord_memory, scratch, 56);
SIZE(concord_memory, 64);

AT(concord_audit, struct_size, 0);
AT(concord_audit, ok, 8);
AT(concord_audit, nodes, 16);
AT(concord_audit, edges, 24);
AT(concord_audit, unreachable, 32);
AT(concord_audit, asymmetric_edges, 40);
AT(concord_audit, broken_anchors, 48);
AT(concord_audit, over_degree, 56);
AT(concord_audit, invalid_links, 64);
AT(concord_audit, entry_point_errors, 72);
AT(concord_audit, level_errors, 80);
AT(concord_audit, copy_errors, 88);
AT(concord_audit, messages, 96);
AT(concord_audit, message_count, 104);
SIZE(concord_audit, 112);

AT(concord_preset, struct_size, 0);
AT(concord_preset, recall, 8);
AT(concord_preset, k, 16);
AT(concord_preset, ef, 20);
AT(concord_preset, slack, 24);
AT(concord_preset, zero, 28);
AT(concord_preset, measured, 32);
AT(concord_preset, at_least, 40);
AT(concord_preset, distances, 48);
AT(concord_preset, queries, 56);
AT(concord_preset, size, 64);
AT(concord_preset, insertions, 72);
AT(concord_preset, removals, 80);
SIZE(concord_preset, 88);

AT(concord_presets, struct_size, 0);
AT(concord_presets, count, 8);
AT(concord_presets, items, 16);
SIZE(concord_presets, 24);

AT(concord_explanation, struct_size, 0);
AT(concord_explanation, label, 8);
AT(concord_explanation, k, 16);
AT(concord_explanation, reason, 20);
AT(concord_explanation, rank, 24);
AT(concord_explanation, level, 32);
AT(concord_explanation, ef, 36);
AT(concord_explanation, distance, 40);
AT(concord_explanation, slack, 44);
AT(concord_explanation, hop, 48);
AT(concord_explanation, parent, 56);
AT(concord_explanation, text, 64);
SIZE(concord_explanation, 72);
