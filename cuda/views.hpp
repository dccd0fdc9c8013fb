// What the device algorithms read and write: trivially copyable views, passed to kernels by value.
//
// The same views describe device memory (kernels_*.cu) and host memory (host_kernels.cpp). A view
// owns nothing. Compiles without CUDA headers.
//
// A live row may hold more ids than its width while an epoch is open: then its last place holds
// kContinued | p, and it goes on in piece p of the continuations, which is as wide as the row and
// may itself be continued.
//
// Alignment: vectors and queries stand in rows of `stride` floats, stride a multiple of 4, rows
// 16-byte aligned, floats beyond the dimension zero. Rows of ids are packed: ids first, then
// kNoNode up to the row's width.
#pragma once

#include <concord/params.hpp>
#include <cstddef>
#include <cstdint>

#include "common/key.hpp"
#include "common/reach.hpp"

namespace concord::cuda {

using core::Key;
using core::kNoNode;
using core::kWorstKey;
using core::NodeId;

/// Marks the last place of a row that goes on elsewhere; ids are below it.
inline constexpr std::uint32_t kContinued = 0x80000000u;

/// Work done, added up over queries. May differ between runs: the visited table forgets.
struct Counters {
  unsigned long long distances = 0;
  unsigned long long hops = 0;
};

struct EntryView {
  NodeId node = kNoNode;
  std::uint32_t level = 0;
};

/// Vectors and the sealed graph.
struct MirrorView {
  const float* vectors = nullptr;  ///< [n × stride]
  std::uint32_t stride = 0;        ///< floats
  std::uint32_t dimension = 0;
  const NodeId* rows = nullptr;                 ///< layer 0: [n × 2M]
  const NodeId* upper_rows = nullptr;           ///< layers above: [upper × M]
  const std::uint32_t* upper_offset = nullptr;  ///< [n]: row of layer 1 in upper_rows
  const std::uint8_t* levels = nullptr;         ///< [n]
  const NodeId* more_rows = nullptr;            ///< continuations of layer 0: [pieces × 2M]
  const NodeId* more_upper_rows = nullptr;      ///< of the layers above: [pieces × M]
  bool has_continued = false;                   ///< some row is continued
  std::uint32_t M = 0;
  Metric metric = Metric::l2sq;
  NodeId n = 0;

  CONCORD_HD const float* vector(NodeId node) const {
    return vectors + static_cast<std::size_t>(node) * stride;
  }
  CONCORD_HD std::uint32_t row_width(std::uint32_t layer) const { return layer == 0 ? 2 * M : M; }
  /// REQUIRES layer ≤ levels[node].
  CONCORD_HD const NodeId* row(NodeId node, std::uint32_t layer) const {
    if (layer == 0) return rows + static_cast<std::size_t>(node) * (2 * M);
    return upper_rows + static_cast<std::size_t>(upper_offset[node] + (layer - 1)) * M;
  }
  /// The piece after `row`, null where it ends.
  CONCORD_HD const NodeId* continuation(const NodeId* row, std::uint32_t layer) const {
    if (!has_continued) return nullptr;
    const NodeId last = row[row_width(layer) - 1];
    if (last < kContinued || last == kNoNode) return nullptr;
    const std::size_t piece = last & ~kContinued;
    return layer == 0 ? more_rows + piece * (2 * M) : more_upper_rows + piece * M;
  }
  /// 16-byte pieces of a vector.
  CONCORD_HD std::uint32_t quads() const { return (dimension + 3) / 4; }
};

/// Proposals for nodes [begin, end), which read the graph of [0, sealed_end) and the vectors and
/// levels of [0, end).
struct ProposeTask {
  NodeId begin = 0;
  NodeId end = 0;
  NodeId sealed_end = 0;
  EntryView entry;  ///< of the sealed graph; ignored where sealed_end is 0
  std::uint32_t ef_construction = 0;
  const std::uint32_t* first_list = nullptr;  ///< [end − begin + 1], as in core::ProposalBatch
  NodeId* ids = nullptr;                      ///< list l stands at ids + l × M
  float* tail_distances = nullptr;            ///< scratch [(end − begin) × tail_stride(…)]
  Counters* counters = nullptr;               ///< may be null
  std::uint32_t threads = 0;  ///< of a node: 64, 128; 0 = the launch policy's choice
};

/// Layout of core::PruneBatch::Row.
struct PruneRow {
  NodeId node;
  std::uint32_t layer;
  std::uint32_t first;
  std::uint32_t count;  ///< at most kMaxScoredRow
};

/// core::PruneBatch in, core::PruneScores out.
struct PruneTask {
  const PruneRow* rows = nullptr;
  std::uint32_t row_count = 0;
  const NodeId* ids = nullptr;
  std::uint32_t words = 1;              ///< REQUIRES 64 × words ≥ count of every row
  std::uint8_t* order = nullptr;        ///< [ids]
  std::uint64_t* dominators = nullptr;  ///< [ids × words]
  Counters* counters = nullptr;         ///< may be null
};

/// Beam search for each query.
struct SearchTask {
  const float* queries = nullptr;
  std::uint32_t query_stride = 0;  ///< floats
  std::uint32_t count = 0;
  std::uint32_t k = 0;  ///< REQUIRES k ≤ ef
  std::uint32_t ef = 0;
  float reach_factor = core::kUnlimitedReach;  ///< of the slack
  EntryView entry;                             ///< node kNoNode: the graph is empty
  Key* out = nullptr;                          ///< [count × k], nearest first, then kWorstKey
  std::uint32_t* counts = nullptr;             ///< [count]: keys found
  Counters* counters = nullptr;                ///< may be null
  std::uint32_t threads = 0;  ///< of a query: 32 or 128; 0 = the launch policy's choice
};

/// The k nearest of all n vectors for each query.
struct ExactTask {
  const float* queries = nullptr;
  std::uint32_t query_stride = 0;  ///< floats
  std::uint32_t count = 0;
  std::uint32_t k = 0;
  Key* out = nullptr;              ///< [count × k], nearest first, then kWorstKey
  float* scratch = nullptr;        ///< distances of one tile
  std::size_t scratch_floats = 0;  ///< at least kExactScratchMin
};

/// Distances of queries to vectors [first, first + count).
struct DistanceTask {
  const float* queries = nullptr;
  std::uint32_t query_stride = 0;  ///< floats
  std::uint32_t query_count = 0;
  NodeId first = 0;
  std::uint32_t count = 0;
  float* out = nullptr;  ///< [query_count × out_stride]
  std::uint32_t out_stride = 0;
  /// Where not kNoNode, query j is node causal_begin + j and only distances to nodes before it are
  /// wanted; the others may or may not be written.
  NodeId causal_begin = kNoNode;
};

/// Overwrites rows of one row table: row_index[j] becomes ids[j × width …].
struct ScatterTask {
  const std::uint32_t* row_index = nullptr;  ///< [count], distinct
  const NodeId* ids = nullptr;               ///< [count × width], packed and padded
  std::uint32_t count = 0;
  std::uint32_t width = 0;
  NodeId* rows = nullptr;
};

/// Copies rows of floats from the caller's device memory into padded rows (take_rows.hpp).
struct TakeTask {
  const float* from = nullptr;
  std::size_t from_stride = 0;  ///< floats
  std::uint32_t dimension = 0;
  std::uint32_t count = 0;  ///< rows
  float* to = nullptr;      ///< [count × stride]
  std::uint32_t stride = 0;
  bool normalise = false;
  double most_squared_norm = 0;      ///< rows beyond it, or with a NaN, become zeros
  std::uint32_t* refused = nullptr;  ///< becomes 1 where there is such a row; null: there is none
};

}  // namespace concord::cuda
