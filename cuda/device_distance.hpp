// Canonical distances by groups of a team.
//
// The definition (ARCHITECTURE.md, canonical arithmetic): 32 accumulators start at +0, element e
// goes to accumulator e mod 32 by one fused multiply-add; then ((a0+a1)+(a2+a3)) for each quad of
// accumulators, then quads j and j+4, then j and j+2, then the last two. A group of 8 threads holds
// one quad a thread and loads 16 bytes of each vector for every 32 elements; a group of one thread
// goes through the 8 quads in turn. Elements beyond the dimension are zero and change nothing.
//
// Several distances are computed at once (kRows × kColumns of a tile): each loaded piece is used
// kColumns or kRows times, and all loads of kStage × 32 elements are issued before the first use.
#pragma once

#include <cmath>
#include <concord/params.hpp>
#include <cstdint>
#include <type_traits>

#include "cuda/team.hpp"

namespace concord::cuda {

/// Arithmetic with one rounding, whatever the compiler's contraction flags.
struct Canonical {
  static CONCORD_TEAM_INLINE float fma(float x, float y, float z) {
#if defined(__CUDA_ARCH__)
    return __fmaf_rn(x, y, z);
#else
    return std::fma(x, y, z);
#endif
  }
  static CONCORD_TEAM_INLINE float add(float x, float y) {
#if defined(__CUDA_ARCH__)
    return __fadd_rn(x, y);
#else
    return x + y;
#endif
  }
  static CONCORD_TEAM_INLINE float subtract(float x, float y) {
#if defined(__CUDA_ARCH__)
    return __fsub_rn(x, y);
#else
    return x - y;
#endif
  }
};

/// Calls f with the kL2 of the metric's distances as a std::bool_constant; returns what f returns.
template <class F>
decltype(auto) with_metric(Metric metric, F&& f) {
  return metric == Metric::l2sq ? f(std::true_type{}) : f(std::false_type{});
}

/// Squared differences for l2sq, products for inner_product and cosine.
template <bool kL2>
CONCORD_TEAM_INLINE float accumulate(float x, float y, float sum) {
  if constexpr (kL2) {
    const float t = Canonical::subtract(x, y);
    return Canonical::fma(t, t, sum);
  } else {
    return Canonical::fma(x, y, sum);
  }
}

template <bool kL2>
CONCORD_TEAM_INLINE float finish_distance(float total) {
  return kL2 ? total : Canonical::subtract(1.0f, total);
}

/// Reads pieces of vectors in shared memory, each when it is used.
struct FromShared {
  static constexpr bool kEarly = false;
  template <class Team>
  static CONCORD_TEAM_INLINE Float4 load(Team&, const float* p) {
    return *reinterpret_cast<const Float4*>(p);
  }
};
/// Reads pieces of vectors in global memory, all of a stage before the first is used.
struct FromGlobal {
  static constexpr bool kEarly = true;
  template <class Team>
  static CONCORD_TEAM_INLINE Float4 load(Team& team, const float* p) {
    return team.load4(p);
  }
};

template <class Source, class Team>
CONCORD_TEAM_INLINE Float4 load_piece(Team& team, const float* vector, std::uint32_t piece,
                                      std::uint32_t pieces) {
  return piece < pieces ? Source::load(team, vector + 4 * piece) : Float4{0, 0, 0, 0};
}

/// Sums of the quads that one lane holds, for kRows × kColumns pairs.
template <class Team, std::uint32_t kPairs>
struct QuadSums {
  static constexpr std::uint32_t kQuads = 8 / Team::kGroupSize;
  float quad[kQuads][kPairs];
};

/// One quad of accumulators of each pair, over all elements: lane's share of the tile.
template <bool kL2, std::uint32_t kStage, class RowSource, class Team, std::uint32_t kRows,
          std::uint32_t kColumns>
CONCORD_TEAM_INLINE void accumulate_quad(Team& team, std::uint32_t quads, std::uint32_t quad,
                                         const float* const (&rows)[kRows],
                                         const float* const (&columns)[kColumns],
                                         float (&sums)[kRows * kColumns]) {
  float a[kRows * kColumns][4] = {};
  CONCORD_UNROLL_NOT
  for (std::uint32_t first = 0; first < quads; first += 8 * kStage) {
    Float4 x[kStage][kRows], y[kStage][kColumns];
    CONCORD_UNROLL
    for (std::uint32_t s = 0; s < kStage; ++s) {
      const std::uint32_t piece = first + 8 * s + quad;
      CONCORD_UNROLL
      for (std::uint32_t c = 0; c < kColumns; ++c) {
        y[s][c] = load_piece<FromGlobal>(team, columns[c], piece, quads);
      }
      if constexpr (RowSource::kEarly) {
        CONCORD_UNROLL
        for (std::uint32_t r = 0; r < kRows; ++r) {
          x[s][r] = load_piece<RowSource>(team, rows[r], piece, quads);
        }
      }
    }
    CONCORD_UNROLL
    for (std::uint32_t s = 0; s < kStage; ++s) {
      if (s != 0 && first + 8 * s >= quads) break;
      CONCORD_UNROLL
      for (std::uint32_t r = 0; r < kRows; ++r) {
        const Float4 u = RowSource::kEarly
                             ? x[s][r]
                             : load_piece<RowSource>(team, rows[r], first + 8 * s + quad, quads);
        CONCORD_UNROLL
        for (std::uint32_t c = 0; c < kColumns; ++c) {
          const Float4& v = y[s][c];
          float(&sum)[4] = a[r * kColumns + c];
          sum[0] = accumulate<kL2>(u.x, v.x, sum[0]);
          sum[1] = accumulate<kL2>(u.y, v.y, sum[1]);
          sum[2] = accumulate<kL2>(u.z, v.z, sum[2]);
          sum[3] = accumulate<kL2>(u.w, v.w, sum[3]);
        }
      }
    }
  }
  CONCORD_UNROLL
  for (std::uint32_t p = 0; p < kRows * kColumns; ++p) {
    sums[p] = Canonical::add(Canonical::add(a[p][0], a[p][1]), Canonical::add(a[p][2], a[p][3]));
  }
}

template <bool kL2, std::uint32_t kStage, class RowSource, class Team, std::uint32_t kRows,
          std::uint32_t kColumns>
CONCORD_TEAM_INLINE void accumulate_tile(Team& team, std::uint32_t quads,
                                         const float* const (&rows)[kRows],
                                         const float* const (&columns)[kColumns],
                                         QuadSums<Team, kRows * kColumns>& sums) {
  constexpr std::uint32_t kQuads = QuadSums<Team, kRows * kColumns>::kQuads;
  CONCORD_UNROLL
  for (std::uint32_t q = 0; q < kQuads; ++q) {
    accumulate_quad<kL2, kStage, RowSource>(team, quads, team.group_lane() * kQuads + q, rows,
                                            columns, sums.quad[q]);
  }
}

/// Canonical sum of the 8 quads, if one lane holds them all.
template <std::uint32_t kPairs>
CONCORD_TEAM_INLINE float sum_of_quads(const float (&quad)[8][kPairs], std::uint32_t pair) {
  float r[4];
  for (std::uint32_t j = 0; j < 4; ++j) r[j] = Canonical::add(quad[j][pair], quad[j + 4][pair]);
  return Canonical::add(Canonical::add(r[0], r[2]), Canonical::add(r[1], r[3]));
}

/// Distances of all pairs, in every lane of the group. Not by cub::WarpReduce, which adds lanes 1,
/// 2 and 4 apart, in this order: other bits than the canonical 4, 2, 1.
template <bool kL2, class Team, std::uint32_t kPairs>
CONCORD_TEAM_INLINE void reduce_to_all(Team& team, const QuadSums<Team, kPairs>& sums,
                                       float (&distances)[kPairs]) {
  CONCORD_UNROLL
  for (std::uint32_t p = 0; p < kPairs; ++p) {
    if constexpr (Team::kGroupSize == 1) {
      distances[p] = sum_of_quads(sums.quad, p);
    } else {
      float sum = sums.quad[0][p];
      CONCORD_UNROLL
      for (std::uint32_t mask = 4; mask != 0; mask /= 2) {
        sum = Canonical::add(sum, team.shuffle_xor(sum, mask));
      }
      distances[p] = sum;
    }
    distances[p] = finish_distance<kL2>(distances[p]);
  }
}

/// Distances of kPairs / kGroupSize consecutive pairs in each lane, from pair first_pair(team).
/// Each step halves the pairs a lane is responsible for, so 14 shuffles reduce 16 pairs, not 48.
template <class Team, std::uint32_t kPairs>
struct Scattered {
  static_assert(kPairs % Team::kGroupSize == 0);
  static constexpr std::uint32_t kPerLane = kPairs / Team::kGroupSize;
  float distance[kPerLane];

  static CONCORD_TEAM_INLINE std::uint32_t first_pair(Team& team) {
    return team.group_lane() * kPerLane;
  }
};

/// One step: lanes that differ in bit kMask split kCount pairs between them.
template <std::uint32_t kMask, std::uint32_t kCount, class Team>
CONCORD_TEAM_INLINE void halve(Team& team, float* values) {
  const bool upper = (team.group_lane() & kMask) != 0;
  CONCORD_UNROLL
  for (std::uint32_t p = 0; p < kCount / 2; ++p) {
    const float mine = upper ? values[p + kCount / 2] : values[p];
    const float theirs = upper ? values[p] : values[p + kCount / 2];
    values[p] = Canonical::add(mine, team.shuffle_xor(theirs, kMask));
  }
}

template <bool kL2, class Team, std::uint32_t kPairs>
CONCORD_TEAM_INLINE Scattered<Team, kPairs> reduce_scattered(Team& team,
                                                             QuadSums<Team, kPairs>& sums) {
  Scattered<Team, kPairs> result;
  if constexpr (Team::kGroupSize == 1) {
    for (std::uint32_t p = 0; p < kPairs; ++p) {
      result.distance[p] = finish_distance<kL2>(sum_of_quads(sums.quad, p));
    }
  } else {
    halve<4, kPairs>(team, sums.quad[0]);
    halve<2, kPairs / 2>(team, sums.quad[0]);
    halve<1, kPairs / 4>(team, sums.quad[0]);
    CONCORD_UNROLL
    for (std::uint32_t p = 0; p < Scattered<Team, kPairs>::kPerLane; ++p) {
      result.distance[p] = finish_distance<kL2>(sums.quad[0][p]);
    }
  }
  return result;
}

/// The stage of distances whose row is in global memory as well, which takes more registers a step.
inline constexpr std::uint32_t kPairStage = 2;

/// Distances of one row to kColumns vectors, in every lane of the group.
template <bool kL2, std::uint32_t kStage, class RowSource, class Team, std::uint32_t kColumns>
CONCORD_TEAM_INLINE void row_distances(Team& team, std::uint32_t quads, const float* row,
                                       const float* const (&columns)[kColumns],
                                       float (&distances)[kColumns]) {
  const float* const rows[1] = {row};
  QuadSums<Team, kColumns> sums;
  accumulate_tile<kL2, kStage, RowSource>(team, quads, rows, columns, sums);
  reduce_to_all<kL2>(team, sums, distances);
}

}  // namespace concord::cuda
