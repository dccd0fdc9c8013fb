// Data and a sealed graph for the tests of the device algorithms, in host memory.
//
// The graph need not be one that construction would make: lists hold near and random earlier nodes,
// of any degree from none to full, and the algorithms must cope with all of them. No GoogleTest
// here, because the conformance program on the bare GPU machine uses this file.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "cuda/launch_policy.hpp"
#include "cuda/team.hpp"
#include "cuda/views.hpp"

namespace concord::cuda::testing {

enum class Data { random, clustered, constant, duplicates, huge, grid };

inline const char* to_string(Data data) {
  constexpr const char* kNames[] = {"random",     "clustered", "constant",
                                    "duplicates", "huge",      "grid"};
  return kNames[static_cast<int>(data)];
}

struct WorldSpec {
  std::uint32_t dimension = 32;
  Metric metric = Metric::l2sq;
  Data data = Data::random;
  std::uint32_t M = 8;
  NodeId sealed = 300;  ///< nodes with links
  NodeId tail = 60;     ///< nodes after them
  std::uint32_t queries = 16;
  std::uint64_t seed = 1;

  [[nodiscard]] std::string name() const {
    const char* const metrics[] = {"l2sq", "inner_product", "cosine"};
    return std::string("d").append(std::to_string(dimension)) + "_" +
           metrics[static_cast<int>(metric)] + "_" + to_string(data) + "_M" + std::to_string(M) +
           "_n" + std::to_string(sealed) + "_" + std::to_string(tail);
  }
};

/// Rows of floats, 16-byte aligned and zero-padded.
struct Matrix {
  std::uint32_t stride = 0;
  std::vector<Float4> pieces;

  Matrix() = default;
  Matrix(std::size_t rows, std::uint32_t dimension)
      : stride((dimension + 3) / 4 * 4), pieces(rows * (stride / 4), Float4{0, 0, 0, 0}) {}
  [[nodiscard]] float* row(std::size_t j) {
    return reinterpret_cast<float*>(pieces.data()) + j * stride;
  }
  [[nodiscard]] const float* row(std::size_t j) const {
    return reinterpret_cast<const float*>(pieces.data()) + j * stride;
  }
};

/// The canonical distance, written from its definition.
inline float reference_distance(Metric metric, const float* x, const float* y, std::uint32_t d) {
  float a[32] = {};
  for (std::uint32_t e = 0; e < d; ++e) {
    if (metric == Metric::l2sq) {
      const float t = x[e] - y[e];
      a[e % 32] = std::fma(t, t, a[e % 32]);
    } else {
      a[e % 32] = std::fma(x[e], y[e], a[e % 32]);
    }
  }
  float q[8];
  for (int j = 0; j < 8; ++j) q[j] = (a[4 * j] + a[4 * j + 1]) + (a[4 * j + 2] + a[4 * j + 3]);
  float r[4];
  for (int j = 0; j < 4; ++j) r[j] = q[j] + q[j + 4];
  const float s0 = r[0] + r[2], s1 = r[1] + r[3];
  const float total = s0 + s1;
  return metric == Metric::l2sq ? total : 1.0f - total;
}

class World {
 public:
  explicit World(const WorldSpec& world)
      : spec(world),
        random_(world.seed),
        n(world.sealed + world.tail),
        vectors(n, world.dimension),
        queries(world.queries, world.dimension),
        levels(n),
        upper_offset(n),
        links(std::size_t{n} * 2 * world.M, kNoNode) {
    fill(vectors, n);
    fill(queries, spec.queries);
    draw_levels();
    for (NodeId node = 0; node < spec.sealed; ++node) link(node);
  }

  [[nodiscard]] MirrorView view() const {
    MirrorView v;
    v.vectors = vectors.row(0);
    v.stride = vectors.stride;
    v.dimension = spec.dimension;
    v.links = links.data();
    v.upper_links = upper_links.data();
    v.upper_offset = upper_offset.data();
    v.levels = levels.data();
    v.gone = gone.empty() ? nullptr : gone.data();
    v.M = spec.M;
    v.metric = spec.metric;
    v.n = n;
    return v;
  }
  /// So many in a hundred nodes die at random: some for all views, others for those that have a
  /// later node in their place.
  void kill(std::uint32_t percent) {
    std::mt19937_64 random(spec.seed + percent);
    gone.assign(n, kNoNode);
    others = 0;
    for (NodeId node = 0; node < n; ++node) {
      if (random() % 100 >= percent) continue;
      const bool is_replaced = node + 1 < n && random() % 2 == 0;
      gone[node] = is_replaced ? node + 1 + static_cast<NodeId>(random() % (n - node - 1)) : 0;
      ++others;
    }
  }
  [[nodiscard]] bool lives(NodeId node, NodeId view_size) const {
    return gone.empty() || gone[node] >= view_size;
  }
  [[nodiscard]] NodeId living() const { return n - others; }
  [[nodiscard]] std::string name() const {
    return spec.name() + (others == 0 ? "" : "_dead" + std::to_string(others));
  }
  [[nodiscard]] float distance(NodeId a, NodeId b) const {
    return reference_distance(spec.metric, vectors.row(a), vectors.row(b), spec.dimension);
  }
  [[nodiscard]] EntryView entry() const {
    EntryView best;
    for (NodeId node = 0; node < spec.sealed; ++node) {
      if (best.node == kNoNode || levels[node] > best.level) best = {node, levels[node]};
    }
    return best;
  }

  WorldSpec spec;

 private:
  std::mt19937_64 random_;

 public:
  NodeId n;
  Matrix vectors;
  Matrix queries;
  std::vector<std::uint8_t> levels;
  std::vector<std::uint32_t> upper_offset;
  std::vector<NodeId> links;
  std::vector<NodeId> upper_links;
  std::vector<NodeId> gone;  ///< empty where none has died
  std::uint32_t others = 0;  ///< nodes that have died

 private:
  /// In [-1, 1), the same everywhere.
  float uniform() { return static_cast<float>(random_() >> 40) * 0x1p-23f - 1.0f; }

  void fill(Matrix& matrix, std::size_t count) {
    const std::uint32_t d = spec.dimension;
    std::vector<float> center(d), other(d);
    for (std::size_t j = 0; j < count; ++j) {
      float* const x = matrix.row(j);
      if (j % 32 == 0)
        std::generate(center.begin(), center.end(), [this] { return 4 * uniform(); });
      for (std::uint32_t e = 0; e < d; ++e) {
        switch (spec.data) {
          case Data::random:
            x[e] = uniform();
            break;
          case Data::clustered:
            x[e] = center[e] + 0.01f * uniform();
            break;
          case Data::constant:
            x[e] = 0.5f;
            break;
          case Data::duplicates:
            x[e] = center[e];
            break;
          case Data::huge:
            x[e] = uniform() * 1e15f;
            break;
          case Data::grid:
            x[e] = static_cast<float>(random_() % 3);
            break;
        }
      }
      if (spec.metric == Metric::cosine) normalise(x);
    }
  }
  void normalise(float* x) const {
    double norm = 0;
    for (std::uint32_t e = 0; e < spec.dimension; ++e) norm += double{x[e]} * double{x[e]};
    const double scale = norm > 0 ? 1 / std::sqrt(norm) : 0;
    for (std::uint32_t e = 0; e < spec.dimension; ++e) x[e] = static_cast<float>(x[e] * scale);
  }

  void draw_levels() {
    std::uint32_t upper = 0;
    for (NodeId node = 0; node < n; ++node) {
      while (levels[node] < 5 && random_() % 4 == 0) ++levels[node];
      upper_offset[node] = upper;
      upper += levels[node];
    }
    upper_links.assign(std::size_t{upper} * spec.M + 1, kNoNode);
  }

  /// Gives a node links in each of its layers: the nearest of a few random nodes.
  void link(NodeId node) {
    for (std::uint32_t layer = 0; layer <= levels[node]; ++layer) {
      const std::uint32_t width = layer == 0 ? 2 * spec.M : spec.M;
      NodeId* const list = layer == 0
                               ? &links[std::size_t{node} * width]
                               : &upper_links[std::size_t{upper_offset[node] + layer - 1} * spec.M];
      std::vector<std::pair<float, NodeId>> some;
      for (std::uint32_t tries = 0; tries < 3 * width; ++tries) {
        const auto other = static_cast<NodeId>(random_() % spec.sealed);
        if (other != node && levels[other] >= layer &&
            std::none_of(some.begin(), some.end(), [&](auto& s) { return s.second == other; })) {
          some.emplace_back(distance(node, other), other);
        }
      }
      std::stable_sort(some.begin(), some.end(),
                       [](auto& a, auto& b) { return a.first < b.first; });
      std::size_t degree = std::min<std::size_t>(some.size(), width);
      if (random_() % 8 == 0) degree = random_() % (degree + 1);
      for (std::size_t j = 0; j < degree; ++j) list[j] = some[j].second;
      std::shuffle(list, list + degree, random_);
    }
  }
};

/// A proposal task over all of the world's tail, with its buffers, in host memory.
struct ProposeBuffers {
  std::vector<std::uint32_t> first_list;
  std::vector<NodeId> ids;
  std::vector<Float4> tail;
  ProposeTask task;

  ProposeBuffers(const World& world, NodeId sealed_end, NodeId begin, NodeId end,
                 std::uint32_t ef) {
    first_list.push_back(0);
    for (NodeId node = begin; node < end; ++node) {
      first_list.push_back(first_list.back() + world.levels[node] + 1);
    }
    ids.assign(std::size_t{first_list.back()} * world.spec.M, 0xABCDu);
    tail.resize(propose_scratch_floats(begin, end, sealed_end) / 4 + 1);
    task.begin = begin;
    task.end = end;
    task.sealed_end = sealed_end;
    task.entry = world.entry();
    task.ef_construction = ef;
    task.first_list = first_list.data();
    task.ids = ids.data();
    task.tail_distances = reinterpret_cast<float*>(tail.data());
    task.others = world.others;
  }
};

/// A batch of lists to score, some of them as long as a list can be.
struct ScoreBuffers {
  std::vector<core::OverfullList> lists;
  std::vector<NodeId> ids;
  std::vector<std::uint8_t> ranking;
  std::vector<std::uint64_t> dominators;
  ScoreTask task;

  ScoreBuffers(const World& world, const std::vector<std::uint32_t>& counts) {
    std::mt19937_64 random(world.spec.seed + 7);
    std::uint32_t most = 1;
    for (std::uint32_t count : counts) {
      std::vector<NodeId> all(world.n);
      for (NodeId j = 0; j < world.n; ++j) all[j] = j;
      std::shuffle(all.begin(), all.end(), random);
      count = std::min(count, world.n - 1);
      most = std::max(most, count);
      lists.push_back({all.back(), 0, static_cast<std::uint32_t>(ids.size()), count});
      ids.insert(ids.end(), all.begin(), all.begin() + count);
    }
    task.words = (most + 63) / 64;
    ranking.assign(ids.size() + 1, 0xEE);
    dominators.assign(ids.size() * task.words + 1, 0xEEEEEEEEEEEEEEEEull);
    task.lists = lists.data();
    task.count = static_cast<std::uint32_t>(lists.size());
    task.ids = ids.data();
    task.ranking = ranking.data();
    task.dominators = dominators.data();
  }
};

}  // namespace concord::cuda::testing
