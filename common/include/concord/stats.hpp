// What an index reports about itself: time and counts of its work, memory by part, and the findings
// of an audit. All structs are plain values.
//
// A list is the neighbor list of a node in a layer. max_degree is 2·M in layer 0 and M in the
// layers above.
// Units: seconds of wall time unless stated otherwise, and bytes. Counts of distances and hops may
// differ between runs on a device, whose visited table forgets; results do not.
#pragma once

#include <array>
#include <concord/durability.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace concord {

/// Time and count of one phase of construction.
struct PhaseStats {
  double seconds = 0;       ///< summed over the threads of a parallel phase
  std::uint64_t count = 0;  ///< how many of what BuildStats names for the phase
};

/// Construction since the Index object was made; a loaded index starts at zero. The phases descent,
/// beam_search, tail and selection count the CPU's proposals; kernels count in DeviceStats.
struct BuildStats {
  PhaseStats ingest;                ///< vectors validated and copied
  PhaseStats descent;               ///< greedy descents
  PhaseStats beam_search;           ///< beam searches, one per layer of a vector
  PhaseStats tail;                  ///< distances to vectors newer than the sealed graph
  PhaseStats selection;             ///< selections of neighbors, one per layer of a vector
  PhaseStats commit;                ///< vectors committed (sequential)
  PhaseStats score;                 ///< lists above max_degree that were scored for a seal
  PhaseStats seal;                  ///< links cut or moved at seals (sequential)
  PhaseStats repair;                ///< removed vectors unlinked at seals, their neighbors linked
  double propose_wall_seconds = 0;  ///< wall time that the adding thread spent on proposals
  double score_wall_seconds = 0;    ///< wall time that it spent on scores of lists
  std::uint64_t distances = 0;      ///< distances computed, or estimated from codes
  std::uint64_t hops = 0;           ///< lists expanded
  std::uint64_t refused_links = 0;  ///< proposed links that a full list refused
  std::uint64_t reanchored = 0;     ///< links of children moved to another anchor at a seal
};

/// All searches of the Index object, exact ones included.
struct SearchStats {
  std::uint64_t queries = 0;    ///< queries answered
  std::uint64_t distances = 0;  ///< distances computed, or estimated from codes
  std::uint64_t hops = 0;       ///< lists expanded
  std::uint64_t rescored = 0;   ///< distances of what walks by codes had found
};

/// What a CUDA device did since it was opened. The numbers are zero if none was used.
struct DeviceStats {
  std::string name;                ///< the device's name, or "cpu"
  std::string reason;              ///< why this device was taken, not taken or given up
  double kernel_seconds = 0;       ///< device time of kernels, by events
  double copy_in_seconds = 0;      ///< device time of copies from host to device
  double copy_out_seconds = 0;     ///< device time of copies from device to host
  double overlap_seconds = 0;      ///< device time of proposals while the adding thread worked
  std::uint64_t bytes_in = 0;      ///< copied from host to device
  std::uint64_t bytes_out = 0;     ///< copied from device to host
  std::uint64_t memory_bytes = 0;  ///< device memory held now
  std::uint64_t checked = 0;       ///< proposals, and scores of lists, that the CPU found right
  double check_seconds = 0;        ///< time of the thread that checks
};

/// Everything that Index::stats() returns, as of one moment between two commits.
struct Stats {
  std::uint64_t size = 0;        ///< vectors
  std::uint64_t insertions = 0;  ///< vectors ever inserted, replacements included
  std::uint64_t removals = 0;    ///< vectors ever removed or replaced
  std::uint64_t tombstones = 0;  ///< of them, those that the graph still walks through
  std::uint64_t copies = 0;      ///< of the vectors, those that are equal to an earlier one
  std::uint32_t max_level = 0;   ///< the highest level of a vector
  std::string isa;               ///< instruction set of the CPU's distances, as in CONCORD_ISA
  unsigned threads = 0;          ///< threads that the index may use, the calling one included
  BuildStats build;
  SearchStats search;
  DeviceStats device;
  JournalStats journal;
  /// [level] → number of nodes of that level, tombstones included
  std::vector<std::uint64_t> level_histogram;
  std::vector<std::uint64_t> degree_histogram;  ///< [degree] → number of lists of layer 0
};

/// Bytes in use by part. For a mapped index, vectors, links, upper and labels are bytes of the
/// file, of which only the pages in use are in memory.
struct MemoryUse {
  std::uint64_t vectors = 0;  ///< vectors, padding included
  std::uint64_t links = 0;    ///< neighbor lists of layer 0
  std::uint64_t upper = 0;    ///< neighbor lists of the layers above
  std::uint64_t labels = 0;   ///< labels and their hash table
  std::uint64_t nodes = 0;    ///< levels, places of upper lists, tombstones, numbers, copies
  std::uint64_t epoch = 0;    ///< of the open epoch: overflow blocks, sealed copies, codes
  std::uint64_t scratch = 0;  ///< scratch of searches, kept for the next ones
  [[nodiscard]] std::uint64_t total() const noexcept {
    return vectors + links + upper + labels + nodes + epoch + scratch;
  }
};

/// Findings of Index::audit(). Each count but nodes and edges is a number of faults.
struct AuditReport {
  bool ok = true;                        ///< true if and only if every number of faults is zero
  std::uint64_t nodes = 0;               ///< nodes of the graph, tombstones and copies included
  std::uint64_t edges = 0;               ///< undirected edges of all layers
  std::uint64_t unreachable = 0;         ///< (layer, node) pairs not reached from the entry point
  std::uint64_t asymmetric_edges = 0;    ///< links without their reverse
  std::uint64_t broken_anchors = 0;      ///< lists without an earlier neighbor, or miscounting them
  std::uint64_t over_degree = 0;         ///< lists longer than the epoch's state allows
  std::uint64_t invalid_links = 0;       ///< ids out of range, below the layer, of itself or twice
  std::uint64_t entry_point_errors = 0;  ///< 1 unless it is the earliest node of the highest level
  std::uint64_t level_errors = 0;        ///< levels that their numbers do not give
  std::uint64_t copy_errors = 0;         ///< copies that are not equal to their first, or not found
  std::vector<std::string> messages;     ///< the first 20 findings; each names node and layer
};

}  // namespace concord
