// What an index can tell of itself: phases of a build, memory by part, the audit's findings.
#pragma once

#include <array>
#include <concord/durability.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace concord {

/// Time and number of one phase of construction.
struct PhaseStats {
  double seconds = 0;       ///< summed over threads for the parallel phases
  std::uint64_t count = 0;  ///< what is counted stands beside each phase in BuildStats
};

/// Accumulated over the life of the Index object (a loaded index starts at zero).
struct BuildStats {
  PhaseStats ingest;                ///< vectors validated and copied
  PhaseStats descent;               ///< proposals: greedy descent
  PhaseStats beam_search;           ///< layers searched
  PhaseStats tail;                  ///< exact distances to the tail
  PhaseStats selection;             ///< layers whose neighbors were selected
  PhaseStats commit;                ///< vectors committed (sequential)
  PhaseStats prune;                 ///< rows over M_max scored for pruning
  PhaseStats seal;                  ///< edges cut at seals (sequential)
  double propose_wall_seconds = 0;  ///< wall time waiting for proposals
  double score_wall_seconds = 0;    ///< wall time waiting for row scores
  std::uint64_t distances = 0;      ///< distance evaluations of construction
  std::uint64_t hops = 0;           ///< rows expanded by construction
  std::uint64_t refused_links = 0;  ///< proposed links that met a full row
  std::uint64_t reanchored = 0;     ///< protected edges moved to another anchor at a seal
};

/// Accumulated over all searches of the Index object.
struct SearchStats {
  std::uint64_t queries = 0;
  std::uint64_t distances = 0;
  std::uint64_t hops = 0;
};

/// What a CUDA device did; all zero where none was used.
struct DeviceStats {
  std::string name;            ///< "cpu" or the device's name
  std::string reason;          ///< why this device was taken, or why it was given up
  double kernel_seconds = 0;   ///< device time of kernels, by events
  double copy_in_seconds = 0;  ///< device time of host-to-device copies
  double copy_out_seconds = 0;
  double overlap_seconds = 0;  ///< device work that ran while the committer worked
  std::uint64_t bytes_in = 0;  ///< over PCIe, host to device
  std::uint64_t bytes_out = 0;
  std::uint64_t memory_bytes = 0;  ///< device memory held
};

struct Stats {
  std::uint64_t size = 0;
  std::uint32_t max_level = 0;
  std::string isa;  ///< scalar, avx2 or avx512
  unsigned threads = 0;
  BuildStats build;
  SearchStats search;
  DeviceStats device;
  JournalStats journal;
  std::vector<std::uint64_t> level_histogram;   ///< [level] → vectors of that level
  std::vector<std::uint64_t> degree_histogram;  ///< [degree] → layer-0 rows of that degree
};

/// Resident bytes by part.
struct MemoryUse {
  std::uint64_t vectors = 0;
  std::uint64_t rows = 0;     ///< layer 0
  std::uint64_t upper = 0;    ///< layers above
  std::uint64_t labels = 0;   ///< labels and their hash table
  std::uint64_t nodes = 0;    ///< levels, insertion order, offsets
  std::uint64_t epoch = 0;    ///< spilled neighbors and sealed copies of the open epoch
  std::uint64_t scratch = 0;  ///< pooled search scratch
  [[nodiscard]] std::uint64_t total() const noexcept {
    return vectors + rows + upper + labels + nodes + epoch + scratch;
  }
};

/// Findings of Index::audit(). `ok` iff every count below is zero.
struct AuditReport {
  bool ok = true;
  std::uint64_t nodes = 0;
  std::uint64_t edges = 0;               ///< undirected, all layers
  std::uint64_t unreachable = 0;         ///< (layer, node) pairs not reached from the entry point
  std::uint64_t asymmetric_edges = 0;    ///< directed edges without their reverse
  std::uint64_t broken_anchors = 0;      ///< nodes without an earlier neighbor, or a wrong counter
  std::uint64_t over_degree = 0;         ///< rows above what the epoch's state allows
  std::uint64_t invalid_links = 0;       ///< ids out of range, below the layer, self or twice
  std::uint64_t entry_point_errors = 0;  ///< entry point is not the earliest node of highest level
  std::uint64_t level_errors = 0;        ///< level differs from f(seed, order)
  std::vector<std::string> messages;     ///< the first findings, naming node and layer
};

}  // namespace concord
