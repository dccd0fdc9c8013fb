// How kernels are launched: threads, shared memory and its layout, sizes of tables and tiles.
//
// Pure functions of the task's sizes, without CUDA headers, so that the unit tests and HostTeam use
// the very sizes the device uses. Nothing here can change a result, only the time it takes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/key.hpp"
#include "common/graph/overfull_list.hpp"
#include "common/search/filter_rule.hpp"

namespace concord::cuda {

inline constexpr std::uint32_t kMaxList = 4096;        ///< longest candidate list of a device
inline constexpr std::uint32_t kMaxListWidth = 128;    ///< 2M at M = 64
inline constexpr std::uint32_t kMaxOthers = 1u << 20;  ///< so that no size of a layout wraps
inline constexpr std::uint32_t kMaxKept = 64;          ///< largest M
using core::kMaxListCapacity;
inline constexpr std::uint32_t kBatchCapacity = 128;   ///< keys merged into a list at once
inline constexpr std::uint32_t kSelectionWindow = 64;  ///< candidates of the heuristic at a time
inline constexpr std::uint32_t kWarpsPerSearchBlock = 4;
inline constexpr std::uint32_t kMinTableLog2 = 10;  ///< tags fit three to a set from here on
inline constexpr std::uint32_t kMaxTableLog2 = 12;
inline constexpr std::uint32_t kTileRows = 4;  ///< of a group's tile of distances
inline constexpr std::uint32_t kTileColumns = 4;
inline constexpr std::uint32_t kVectorsPerBlock = 128;  ///< of a block of the distance kernel
inline constexpr std::size_t kExactScratchMin = 4096;   ///< floats

CONCORD_HD constexpr std::size_t align16(std::size_t bytes) { return (bytes + 15) / 16 * 16; }
constexpr std::uint32_t ceil_log2(std::uint32_t x) {
  std::uint32_t log = 0;
  while ((std::uint64_t{1} << log) < x) ++log;
  return log;
}

/// Device memory that a stable sort of so many pairs of 32 bits takes for a while at most: CUB's
/// copies and counts, rounded up as a pool does.
constexpr std::size_t sort_temporaries(std::size_t pairs) {
  return std::size_t{1} << ceil_log2(static_cast<std::uint32_t>(9 * pairs + (16 << 10)));
}

/// The same of what CUB takes to write the ids of set bits, of so many bits.
constexpr std::size_t select_temporaries(std::size_t bits) {
  return std::size_t{1} << ceil_log2(static_cast<std::uint32_t>(bits / 128 + (16 << 10)));
}

/// Shared memory of one beam search: two copies of the list, the visited table, the batch of new
/// keys, the neighbor selection's sets and the query. Offsets in bytes, each 16-byte aligned.
struct BeamLayout {
  std::uint32_t list_capacity = 0;
  std::uint32_t table_log2 = 0;  ///< 2^table_log2 sets of 8 bytes
  std::uint32_t query_floats = 0;
  std::uint32_t spare_list = 0;
  std::uint32_t batch_keys = 0;
  std::uint32_t batch_positions = 0;
  std::uint32_t batch_states = 0;
  std::uint32_t kept = 0;
  std::uint32_t alive = 0;
  std::uint32_t query = 0;
  std::uint32_t table = 0;
  std::uint32_t bytes = 0;
};

/// The table holds about three ids a set; a search of list length ef scores about ef × width / 2
/// nodes, so with ef × width / 4 sets it forgets little.
constexpr std::uint32_t table_log2(std::uint32_t list_capacity, std::uint32_t list_width) {
  const std::uint32_t log = ceil_log2(list_capacity * list_width / 4);
  if (log < kMinTableLog2) return kMinTableLog2;
  return log > kMaxTableLog2 ? kMaxTableLog2 : log;
}

constexpr BeamLayout beam_layout(std::uint32_t list_capacity, std::uint32_t list_width,
                                 std::uint32_t dimension) {
  BeamLayout layout;
  layout.list_capacity = list_capacity;
  layout.table_log2 = table_log2(list_capacity, list_width);
  layout.query_floats = (dimension + 3) / 4 * 4;
  std::size_t at = 0;
  const auto place = [&at](std::size_t bytes) {
    const std::size_t here = at;
    at = align16(at + bytes);
    return static_cast<std::uint32_t>(here);
  };
  place(std::size_t{list_capacity} * sizeof(core::Key));
  layout.spare_list = place(std::size_t{list_capacity} * sizeof(core::Key));
  layout.batch_keys = place(kBatchCapacity * sizeof(core::Key));
  layout.batch_positions = place(kBatchCapacity * sizeof(std::uint32_t));
  layout.batch_states = place(4 * sizeof(std::uint32_t));
  layout.kept = place(kMaxKept * sizeof(core::NodeId));
  layout.alive = place(3 * (kSelectionWindow / 32) * sizeof(std::uint32_t));
  layout.query = place(std::size_t{layout.query_floats} * sizeof(float));
  layout.table = place((std::size_t{1} << layout.table_log2) * sizeof(std::uint64_t));
  layout.bytes = static_cast<std::uint32_t>(at);
  return layout;
}

/// Shared memory of a merge of distances into the k nearest so far.
constexpr BeamLayout merge_layout(std::uint32_t k) {
  BeamLayout layout;
  layout.list_capacity = k;
  const std::size_t list = align16(std::size_t{k} * sizeof(core::Key));
  layout.spare_list = static_cast<std::uint32_t>(list);
  layout.batch_keys = static_cast<std::uint32_t>(2 * list);
  layout.batch_positions =
      layout.batch_keys + kBatchCapacity * static_cast<std::uint32_t>(sizeof(core::Key));
  layout.batch_states =
      layout.batch_positions + kBatchCapacity * static_cast<std::uint32_t>(sizeof(std::uint32_t));
  layout.bytes = layout.batch_states + 16;
  return layout;
}

/// What a search that may meet so many tombstones needs behind its layout: a list of them.
CONCORD_HD constexpr std::uint32_t others_bytes(std::uint32_t others) {
  return others == 0 ? 0 : merge_layout(others).bytes;
}

/// One block serves one node.
constexpr BeamLayout propose_layout(std::uint32_t ef_construction, std::uint32_t M,
                                    std::uint32_t dimension) {
  return beam_layout(ef_construction, 2 * M, dimension);
}

/// Matches that a filtered walk collects before it scores them: all that a batch of keys holds, and
/// what each thread may add meanwhile.
inline constexpr std::uint32_t kMostMet = 2 * kBatchCapacity;
/// Shared memory of a filtered walk: a beam search's, and behind it what its expansions need. Both
/// kinds of nodes are in one visited table.
struct WalkLayout : BeamLayout {
  std::uint32_t bridges = 0;
  std::uint32_t met = 0;
  std::uint32_t counts = 0;  ///< of the lists of kWarpsPerSearchBlock warps, and of `met`
};
constexpr WalkLayout walk_layout(std::uint32_t ef, std::uint32_t M, std::uint32_t dimension) {
  WalkLayout layout{beam_layout(ef, 2 * M, dimension)};
  layout.bridges = layout.bytes;
  layout.met = layout.bridges + core::FilterRule::kMostBridges * 4;
  layout.counts = layout.met + kMostMet * 4;
  layout.bytes = layout.counts + 2 * kWarpsPerSearchBlock * 4 + 16;
  return layout;
}

/// Few nodes leave room for large blocks, whose hops are shorter; many are better resident at once.
constexpr std::uint32_t propose_threads(std::uint32_t wanted, std::uint32_t nodes) {
  constexpr std::uint32_t kFew = 768;
  if (wanted == 64 || wanted == 128) return wanted;
  return nodes <= kFew ? 128 : 64;
}

/// Floats between the tail distances of two nodes: all tails of [begin, end), whole 16 bytes.
constexpr std::uint32_t tail_stride(core::NodeId sealed_end, core::NodeId end) {
  return (end - sealed_end + 3) / 4 * 4;
}
constexpr std::size_t propose_scratch_floats(core::NodeId begin, core::NodeId end,
                                             core::NodeId sealed_end) {
  return std::size_t{end - begin} * tail_stride(sealed_end, end);
}

/// A warp a query if there are enough queries to fill a device and the memory of four fits a block;
/// otherwise a block a query.
constexpr std::uint32_t search_threads(std::uint32_t wanted, std::uint32_t queries,
                                       std::uint32_t bytes_of_team) {
  constexpr std::size_t kMostForWarps = 96 * 1024;  // of a block; every supported device has it
  if (std::size_t{bytes_of_team} * kWarpsPerSearchBlock > kMostForWarps) return 128;
  if (wanted == 32 || wanted == 128) return wanted;
  return queries >= 2048 ? 32 : 128;
}
constexpr std::uint32_t search_teams_per_block(std::uint32_t threads) {
  return threads == 32 ? kWarpsPerSearchBlock : 1;
}
constexpr std::size_t search_shared_bytes(std::uint32_t bytes_of_team, std::uint32_t threads) {
  return std::size_t{bytes_of_team} * search_teams_per_block(threads);
}

/// Shared memory in which a team sorts `most` keys: CUB asks for one place more.
CONCORD_HD constexpr std::size_t sort_bytes(std::uint32_t most) {
  return align16((std::size_t{most} + 1) * sizeof(core::Key));
}

/// Shared memory of the list scoring kernel: keys, which a team sorts in place, dominator bits.
struct ScoreLayout {
  std::uint32_t bits = 0;
  std::uint32_t bytes = 0;
};
constexpr ScoreLayout score_layout(std::uint32_t words) {
  ScoreLayout layout;
  layout.bits = static_cast<std::uint32_t>(sort_bytes(kMaxListCapacity));
  layout.bytes =
      layout.bits + words * kMaxListCapacity * static_cast<std::uint32_t>(sizeof(std::uint64_t));
  return layout;
}
inline constexpr std::uint32_t kScoreThreads = 128;
inline constexpr std::uint32_t kDistanceThreads = 128;
inline constexpr std::uint32_t kTakeThreads = 256;
inline constexpr std::uint32_t kTakenRows = 32;  ///< of a block

inline constexpr std::uint32_t kMergeThreads = 128;
inline constexpr std::uint32_t kScanThreads = 128;

/// Shared memory of a scan of the matches of a filter: that of such a merge, and the query.
constexpr BeamLayout scan_layout(std::uint32_t k, std::uint32_t dimension) {
  BeamLayout layout = merge_layout(k);
  layout.query = layout.bytes;
  layout.bytes += (dimension + 3) / 4 * 4 * static_cast<std::uint32_t>(sizeof(float));
  return layout;
}

/// How exact search splits its work: distances of `queries` × `vectors` fit the scratch.
struct ExactTile {
  std::uint32_t queries = 0;
  std::uint32_t vectors = 0;
};
constexpr ExactTile exact_tile(std::uint32_t queries, std::uint32_t n, std::size_t scratch_floats) {
  constexpr std::uint32_t kMostQueries = 2048;
  ExactTile tile;
  tile.queries = queries < kMostQueries ? queries : kMostQueries;
  while (tile.queries > 1 && scratch_floats / tile.queries < 4096) tile.queries /= 2;
  const std::size_t room = scratch_floats / (tile.queries == 0 ? 1 : tile.queries) / 4 * 4;
  const std::size_t all = (std::size_t{n} + 3) / 4 * 4;
  tile.vectors = static_cast<std::uint32_t>(room < all ? room : all);
  return tile;
}

/// Whether a device with so much shared memory a block (opt-in limit) can run a task, where a
/// search may meet `others` tombstones. If it cannot, the CPU does it.
constexpr bool can_propose(std::uint32_t ef_construction, std::uint32_t M, std::uint32_t dimension,
                           std::size_t shared_limit, std::uint32_t others = 0) {
  return ef_construction <= kMaxList && M <= kMaxKept && others <= kMaxOthers &&
         propose_layout(ef_construction, M, dimension).bytes + others_bytes(others) <= shared_limit;
}
constexpr bool can_search(std::uint32_t ef, std::uint32_t M, std::uint32_t dimension,
                          std::size_t shared_limit, std::uint32_t others = 0) {
  return ef >= 1 && ef <= kMaxList && M <= kMaxKept && others <= kMaxOthers &&
         beam_layout(ef, 2 * M, dimension).bytes + others_bytes(others) <= shared_limit;
}
/// A scan of k ≤ ef needs less than a walk.
constexpr bool can_filter(std::uint32_t ef, std::uint32_t M, std::uint32_t dimension,
                          std::size_t shared_limit) {
  return ef >= 1 && ef <= kMaxList && M <= kMaxKept &&
         walk_layout(ef, M, dimension).bytes <= shared_limit;
}
constexpr bool can_exact(std::uint32_t k, std::size_t shared_limit) {
  return k <= kMaxList && merge_layout(k).bytes <= shared_limit;
}
constexpr bool can_scan_matches(std::uint32_t k, std::uint32_t dimension,
                                std::size_t shared_limit) {
  return k <= kMaxList && scan_layout(k, dimension).bytes <= shared_limit;
}

}  // namespace concord::cuda
