// What the device algorithms read and write: trivially copyable views, passed to kernels by value.
//
// The same views describe device memory (kernels_*.cu) and host memory
// (tests/support/host_kernels.cpp). A view owns nothing. Compiles without CUDA headers.
//
// While an epoch is open, a live list may hold more ids than its width. Its last place then holds
// kContinued | p, and the list goes on in piece p of the continuations. A piece is as wide as the
// list and may itself be continued.
//
// Alignment: vectors and queries are rows of `stride` floats. The stride is a multiple of 4, rows
// are 16-byte aligned, floats beyond the dimension are zero. Lists are packed: ids first, then
// kNoNode up to the list's width.
#pragma once

#include <concord/params.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "common/base/key.hpp"
#include "common/graph/overfull_list.hpp"
#include "common/search/reach.hpp"

namespace concord::cuda {

using core::Key;
using core::kNoNode;
using core::kWorstKey;
using core::NodeId;

/// The link tables of a graph: of layer 0, of the layers above.
inline constexpr unsigned kTables = 2;

/// In the place of a level: a copy (common/graph/copies.hpp), which no layer has.
inline constexpr std::uint8_t kCopyLevel = 0xFF;

/// Marks the last place of a list that goes on elsewhere; ids are below it.
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

/// Vectors, levels and links of one version of the graph: sealed, or live.
struct MirrorView {
  const float* vectors = nullptr;  ///< [n × stride]
  std::uint32_t stride = 0;        ///< floats
  std::uint32_t dimension = 0;
  const NodeId* links = nullptr;                ///< layer 0: [n × 2M]
  const NodeId* upper_links = nullptr;          ///< layers above: [upper × M]
  const std::uint32_t* upper_offset = nullptr;  ///< [n]: list of layer 1 in upper_links
  const std::uint8_t* levels = nullptr;         ///< [n], or kCopyLevel
  const NodeId* gone = nullptr;                 ///< [n], core::Tombstones::gone; null: none died
  const NodeId* more_links = nullptr;           ///< continuations of layer 0: [pieces × 2M]
  const NodeId* more_upper_links = nullptr;     ///< of the layers above: [pieces × M]
  bool has_continued = false;                   ///< some list is continued
  std::uint32_t M = 0;
  Metric metric = Metric::l2sq;
  NodeId n = 0;

  CONCORD_HD const float* vector(NodeId node) const {
    return vectors + static_cast<std::size_t>(node) * stride;
  }
  CONCORD_HD std::uint32_t list_width(std::uint32_t layer) const { return layer == 0 ? 2 * M : M; }
  /// REQUIRES layer ≤ levels[node].
  CONCORD_HD const NodeId* links_of(NodeId node, std::uint32_t layer) const {
    if (layer == 0) return links + static_cast<std::size_t>(node) * (2 * M);
    return upper_links + static_cast<std::size_t>(upper_offset[node] + (layer - 1)) * M;
  }
  /// The piece after `list`, null at its end.
  CONCORD_HD const NodeId* continuation(const NodeId* list, std::uint32_t layer) const {
    if (!has_continued) return nullptr;
    const NodeId last = list[list_width(layer) - 1];
    if (last < kContinued || last == kNoNode) return nullptr;
    const std::size_t piece = last & ~kContinued;
    return layer == 0 ? more_links + piece * (2 * M) : more_upper_links + piece * M;
  }
  CONCORD_HD bool is_copy(NodeId node) const { return levels[node] == kCopyLevel; }
  /// 16-byte pieces of a vector.
  CONCORD_HD std::uint32_t quads() const { return (dimension + 3) / 4; }
};

/// Proposals for nodes [begin, end), which read the graph of [0, sealed_end) and the vectors and
/// levels of [0, end).
struct ProposeTask {
  NodeId begin = 0;
  NodeId end = 0;
  NodeId sealed_end = 0;
  EntryView entry;  ///< of the sealed graph; ignored if sealed_end is 0
  std::uint32_t ef_construction = 0;
  const std::uint32_t* first_list = nullptr;  ///< [end − begin + 1], as in core::ProposalBatch
  NodeId* ids = nullptr;                      ///< list l is at ids + l × M
  float* tail_distances = nullptr;            ///< scratch [(end − begin) × tail_stride(…)]
  Counters* counters = nullptr;               ///< may be null
  std::uint32_t threads = 0;  ///< of a node: 64, 128; 0 = the launch policy's choice
  std::uint32_t others = 0;   ///< tombstones that a search may meet, at most; 0: asks about no id
};

/// core::OverfullLists in, core::ListScores out.
struct ScoreTask {
  const core::OverfullList* lists = nullptr;
  std::uint32_t count = 0;
  const NodeId* ids = nullptr;
  std::uint32_t words = 1;              ///< REQUIRES 64 × words ≥ count of every list
  std::uint8_t* ranking = nullptr;      ///< [ids]
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
  std::uint32_t others = 0;   ///< as in ProposeTask
};

/// The ids that a filter lets a search return.
struct FilterView {
  const std::uint32_t* bits = nullptr;  ///< of ids before `end`; null if every search scans
  const NodeId* ids = nullptr;          ///< [count], ascending
  NodeId end = 0;                       ///< ids from here on do not match
  NodeId count = 0;
  NodeId living = 0;              ///< of the ids; those that died match no more
  const NodeId* seeds = nullptr;  ///< [kSeeds], some kNoNode; null: by rank, as where none died

  static constexpr std::uint32_t kBits = 32;  ///< of a word
  CONCORD_HD static constexpr std::size_t words(NodeId end) {
    return (std::size_t{end} + kBits - 1) / kBits;
  }
  /// REQUIRES bits.
  CONCORD_HD bool operator()(NodeId id) const {
    return id < end && (bits[id / kBits] >> (id % kBits) & 1) != 0;
  }
};

/// Stands in SearchTask::counts for a query that has no answer yet.
inline constexpr std::uint32_t kUnanswered = ~std::uint32_t{0};

/// A search of each query among the ids that its filter lets match: a walk, which leaves a query
/// that must be scanned unanswered, or a scan of those unanswered.
struct FilteredTask {
  SearchTask search;
  std::uint32_t width = 0;  ///< of core::FilterRule
  NodeId living = 0;        ///< nodes that a search without a filter could return
  const FilterView* filters = nullptr;
  const std::uint32_t* filter_of = nullptr;  ///< [search.count]: number of a query's filter

  CONCORD_HD const FilterView& filter(std::uint32_t query) const {
    return filters[filter_of[query]];
  }
};

/// Sets the bits of ids, and writes the ids of bits in order.
struct MarkTask {
  const NodeId* ids = nullptr;  ///< [count], distinct
  std::uint32_t count = 0;
  std::uint32_t* bits = nullptr;  ///< zeros before
};
struct SelectTask {
  const std::uint32_t* bits = nullptr;
  NodeId end = 0;
  NodeId* ids = nullptr;           ///< as many as bits are set
  std::uint32_t* count = nullptr;  ///< becomes their number
};

/// Writes what a search has found to the caller's device memory, as labels and distances.
struct ResultTask {
  const Key* keys = nullptr;             ///< [count × k]
  const std::uint32_t* found = nullptr;  ///< [count]: keys of each query
  std::uint32_t count = 0;
  std::uint32_t k = 0;
  const std::uint64_t* label_of = nullptr;  ///< [n]
  std::uint64_t* labels = nullptr;          ///< rows of k; kNoLabel behind the last found
  std::size_t labels_stride = 0;
  float* distances = nullptr;  ///< rows of k; infinity behind the last found
  std::size_t distances_stride = 0;
  std::uint32_t* counts = nullptr;  ///< [count]
};

/// The k nearest of all nodes that live for each query.
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
  /// If not kNoNode, query j is node causal_begin + j, and only distances to nodes before it are
  /// wanted. The others may or may not be written.
  NodeId causal_begin = kNoNode;
};

/// Overwrites lists of one link table: list_index[j] becomes ids[j × width …].
struct ScatterTask {
  const std::uint32_t* list_index = nullptr;  ///< [count], distinct
  const NodeId* ids = nullptr;                ///< [count × width], packed and padded
  std::uint32_t count = 0;
  std::uint32_t width = 0;
  NodeId* links = nullptr;
};

/// The links of nodes [begin, begin + nodes) as they were committed, in the places of their
/// proposals. A place that holds kNoNode made no link; others of its list may come after it.
struct CommittedLinks {
  NodeId begin = 0;
  std::uint32_t nodes = 0;
  std::uint32_t lists = 0;  ///< first_list[nodes]
  std::uint32_t M = 0;
  const std::uint32_t* first_list = nullptr;  ///< [nodes + 1], as in core::ProposalBatch
  NodeId* ids = nullptr;                      ///< [lists × M]

  /// Places in lists of a table.
  CONCORD_HD std::uint32_t places(unsigned table) const {
    return (table == 0 ? nodes : lists - nodes) * M;
  }
};

/// Ids that lists of one table gain: id[j] at the end of list[j].
struct Gains {
  std::uint32_t* list = nullptr;  ///< [count]; `none`: no list gains this id
  NodeId* id = nullptr;           ///< [count]
  std::uint32_t count = 0;
  std::uint32_t none = 0;  ///< above every list
};

/// Finds what the lists of each table gain by links, and sorts it by list. Ids of one list stay in
/// the order of the nodes.
struct SortGainsTask {
  CommittedLinks links;
  const std::uint32_t* upper_offset = nullptr;  ///< as in MirrorView
  Gains found[kTables];
  Gains sorted[kTables];
};

/// Writes the lists of the links' nodes, and then appends what all lists gain, as far as they have
/// places. REQUIRES that no list of another node holds one of the nodes.
struct AppendTask {
  CommittedLinks links;
  const std::uint32_t* upper_offset = nullptr;
  Gains sorted[kTables];
  NodeId* tables[kTables] = {};  ///< lists, packed and padded
  CONCORD_HD std::uint32_t width(unsigned table) const {
    return table == 0 ? 2 * links.M : links.M;
  }
};

/// Finds the largest magnitude of rows of floats in device memory.
struct LargestTask {
  const float* from = nullptr;
  std::size_t from_stride = 0;  ///< floats
  std::uint32_t dimension = 0;
  std::uint32_t count = 0;       ///< rows. REQUIRES count × dimension < 2^32
  std::uint32_t* out = nullptr;  ///< becomes magnitude_bits() of the largest
};

/// Ordered as the magnitudes are. Those of a NaN are above those of infinity.
CONCORD_HD inline std::uint32_t magnitude_bits(float value) {
  std::uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits & 0x7FFFFFFFu;
}

/// Copies rows of floats from the caller's device memory into padded rows (take_rows.hpp).
struct TakeTask {
  const float* from = nullptr;
  std::size_t from_stride = 0;  ///< floats
  std::uint32_t dimension = 0;
  std::uint32_t count = 0;  ///< rows
  float* to = nullptr;      ///< [count × stride]
  std::uint32_t stride = 0;
  bool normalise = false;
  double most_squared_norm = 0;            ///< rows beyond it, or with a NaN, become zeros
  std::uint32_t* refused = nullptr;        ///< becomes 1 at such a row; null: all rows are valid
  const std::uint32_t* largest = nullptr;  ///< what LargestTask found in the rows, or null
};

}  // namespace concord::cuda
