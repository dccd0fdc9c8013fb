// hnswlib (https://github.com/nmslib/hnswlib, Apache-2.0), used as its own examples use it. Concord
// is compared with it.
//
// hnswlib chooses its SIMD code by the compiler's -march, so it is compiled three times
// (hnswlib_peer_variant.cpp) and the best that this machine runs is used. Its users get the same
// from -O3 -march=native.
#pragma once

#include <concord/params.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "bench/tool/matrix.hpp"

namespace concord::bench {

/// The state of its graph, judged by those rules of concord::AuditReport that apply to it.
struct PeerAudit {
  /// (layer, node) pairs not reached from the entry point along links of the layer and, for layers
  /// below the top, from every node reached in the layer above: the lenient count.
  std::uint64_t unreachable = 0;
  std::uint64_t unreachable_layer0 = 0;  ///< vectors that no search can return
  std::uint64_t asymmetric_edges = 0;
  std::uint64_t directed_edges = 0;
};

/// One index. Not thread-safe; uses threads of its own as asked.
class HnswlibPeer {
 public:
  HnswlibPeer() = default;
  virtual ~HnswlibPeer();
  HnswlibPeer(const HnswlibPeer&) = delete;
  HnswlibPeer& operator=(const HnswlibPeer&) = delete;

  /// Replaces the index by one of `vectors`; label = row. For cosine each vector is normalised on
  /// its way in, as hnswlib's Python binding does.
  virtual void build(MatrixView<const float> vectors, unsigned threads) = 0;
  /// labels [queries × k], nearest first, ~0 beyond counts[q].
  virtual void search(MatrixView<const float> queries, std::uint32_t k, std::uint32_t ef,
                      unsigned threads, std::span<std::uint64_t> labels,
                      std::span<std::uint32_t> counts) = 0;
  /// Distances that one such search takes, counted in an unmeasured pass of its own.
  virtual std::uint64_t count_search_distances(MatrixView<const float> queries, std::uint32_t k,
                                               std::uint32_t ef) = 0;
  virtual PeerAudit audit() = 0;
  /// Vectors, links, labels, locks and hash table; the overhead of malloc is not counted.
  virtual std::uint64_t memory_bytes() = 0;
  /// Instruction set it was compiled for.
  virtual std::string isa() = 0;
};

bool hnswlib_supported() noexcept;
/// Throws InputError in builds without hnswlib.
std::unique_ptr<HnswlibPeer> make_hnswlib_peer(const IndexParams& params);

}  // namespace concord::bench
