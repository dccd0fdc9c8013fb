// How a filtered search of one query is answered: which of three ways, and how far each goes.
//
// Definition (ARCHITECTURE.md, "A filtered search"). Of n vectors that the search sees, m match. If
// all match, the search is the one without a filter. If few do, the matches are scanned. Otherwise
// a beam search walks the derived graph: its nodes are the matches, and two of them are neighbors
// where the graph leads from one to the other through a few nodes that do not match. A walk that
// would cost more than the scan is given up for the scan.
//
// All is decided by integers that follow from graph, filter, query and parameters, never from what
// a visited table has forgotten. The constants are part of the answers.
// Source: the bridging of rows is that of ACORN-1 (Patel et al., arXiv 2403.04871) without its
// limit of two hops. Thread-safety: pure functions.
#pragma once

#include <cstdint>

#include "common/base/key.hpp"

namespace concord::core {

class FilterRule {
 public:
  /// Matches at which a walk begins, beside the end of the descent.
  static constexpr std::uint32_t kSeeds = 64;
  /// Most lists of other nodes that one expansion reads.
  static constexpr std::uint32_t kMostBridges = 512;
  /// Matches that an expansion is to bring: twice M, and at least so many.
  static constexpr std::uint64_t kWanted = 16;
  /// No walk is taken to be narrower, because its descent and seeds cost as much.
  static constexpr std::uint64_t kLeastWidth = 16;

  /// `width` is the number of hops to be expected of the search (Reach::hops), `stride` that of the
  /// stored vectors in elements.
  CONCORD_HD FilterRule(NodeId n, NodeId matches, std::uint32_t M, std::size_t stride,
                        std::size_t width) noexcept
      : n_(n), matches_(matches), M_(M), stride_(stride), width_(larger(width, kLeastWidth)) {}

  /// Whether all that the search sees may be results.
  [[nodiscard]] bool takes_all() const noexcept { return matches_ == n_; }
  /// Whether the matches are scanned at once: 2^13 elements a hop are cheaper than any walk.
  [[nodiscard]] bool scans() const noexcept { return scans(matches_, stride_, width_); }
  /// Whether so many matches are scanned by every search. Such a set needs no bits.
  [[nodiscard]] static bool always_scans(std::uint64_t matches, std::size_t stride) noexcept {
    return scans(matches, stride, kLeastWidth);
  }

  /// The rank of a seed among `count` matches, i < kSeeds: evenly over all.
  [[nodiscard]] CONCORD_HD static std::size_t seed_rank(std::uint32_t i,
                                                        std::uint64_t count) noexcept {
    return static_cast<std::size_t>((2 * std::uint64_t{i} + 1) * count /
                                    (2 * std::uint64_t{kSeeds}));
  }

  /// How many lists of other nodes the expansion of a node reads, of whose `degree` neighbors
  /// `found` match: none where these are enough, else as many as are expected to bring what is
  /// missing.
  [[nodiscard]] CONCORD_HD std::uint32_t bridges(std::uint32_t found,
                                                 std::uint32_t degree) const noexcept {
    if (found >= M_) return 0;
    const std::uint64_t wanted = larger(2 * M_, kWanted);
    const std::uint64_t by_list = std::uint64_t{found} * n_;
    const std::uint64_t by_share = std::uint64_t{matches_} * degree;
    const std::uint64_t share = larger(larger(by_list, by_share), 1);
    const std::uint64_t lists = ((wanted - found) * n_ + share - 1) / share;
    return lists < kMostBridges ? static_cast<std::uint32_t>(lists) : kMostBridges;
  }

  /// Whether so much work, each expansion counted as 1 + bridges(), is as much as a scan. Work is
  /// counted in lists and not in distances, because a distance may be computed twice where a table
  /// has forgotten the first.
  [[nodiscard]] CONCORD_HD bool costs_a_scan(std::uint64_t work) const noexcept {
    return work > matches_;
  }
  /// Whether a walk of so many hops is long enough to tell its rate, and not yet as long as
  /// expected.
  [[nodiscard]] CONCORD_HD bool is_early(std::uint64_t hops) const noexcept {
    return hops >= 8 && hops < width_;
  }
  /// Whether a walk ends that has done `work` in `hops` expansions: it costs a scan, or at this
  /// rate it will.
  [[nodiscard]] CONCORD_HD bool gives_up(std::uint64_t work, std::uint64_t hops) const noexcept {
    if (costs_a_scan(work)) return true;
    if (!is_early(hops)) return false;
    return 512 * work * width_ > hops * matches_ * stride_;
  }

 private:
  // By value: device code has no address of a constant.
  [[nodiscard]] CONCORD_HD static constexpr std::uint64_t larger(std::uint64_t a,
                                                                 std::uint64_t b) noexcept {
    return a < b ? b : a;
  }
  [[nodiscard]] static bool scans(std::uint64_t matches, std::uint64_t stride,
                                  std::uint64_t width) noexcept {
    return matches * stride <= (std::uint64_t{1} << 13) * width;
  }

  std::uint64_t n_;
  std::uint64_t matches_;
  std::uint64_t M_;
  std::uint64_t stride_;
  std::uint64_t width_;
};

}  // namespace concord::core
