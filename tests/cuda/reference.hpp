// Naive versions of the device algorithms, from their definitions: sorted vectors and sets.
#pragma once

#include <set>

#include "common/search/accept.hpp"
#include "tests/cuda/world.hpp"

namespace concord::cuda::testing {

using core::make_key;

class Reference {
 public:
  explicit Reference(const World& world) : world_(world) {}

  [[nodiscard]] Key key(const float* query, NodeId node) const {
    return make_key(reference_distance(world_.spec.metric, query, world_.vectors.row(node),
                                       world_.spec.dimension),
                    node);
  }

  [[nodiscard]] std::vector<NodeId> links_of(NodeId node, std::uint32_t layer) const {
    const MirrorView view = world_.view();
    std::vector<NodeId> ids;
    for (std::uint32_t j = 0; j < view.list_width(layer); ++j) {
      if (view.links_of(node, layer)[j] != kNoNode) ids.push_back(view.links_of(node, layer)[j]);
    }
    return ids;
  }

  [[nodiscard]] Key greedy(const float* query, std::uint32_t layer, Key current) const {
    for (;;) {
      Key best = current;
      for (NodeId id : links_of(core::key_id(current), layer))
        best = std::min(best, key(query, id));
      if (best == current) return current;
      current = best;
    }
  }

  /// The definition of common/search/accept.hpp.
  template <class Accept = core::AllIds>
  [[nodiscard]] std::vector<Key> beam(const float* query, std::uint32_t layer, Key start,
                                      std::size_t ef, std::size_t k = 0,
                                      float factor = core::kUnlimitedReach,
                                      const Accept& accept = {}) const {
    std::set<Key> list;
    std::set<Key> open;  // not expanded, accepted or not
    std::set<NodeId> visited;
    const auto see = [&](Key seen) {
      if (!visited.insert(core::key_id(seen)).second) return;
      open.insert(seen);
      if (accept(core::key_id(seen))) list.insert(seen);
      if (list.size() > ef) open.erase(list.extract(std::prev(list.end())).value());
    };
    see(start);
    while (!open.empty()) {
      const Key next = *open.begin();
      if (list.size() == ef && next > *list.rbegin()) break;
      if (factor != core::kUnlimitedReach && list.size() >= k &&
          core::key_distance(next) >
              core::reach(
                  core::key_distance(*std::next(list.begin(), static_cast<std::ptrdiff_t>(k) - 1)),
                  factor)) {
        break;
      }
      open.erase(next);
      for (NodeId id : links_of(core::key_id(next), layer)) see(key(query, id));
    }
    return {list.begin(), list.end()};
  }

  [[nodiscard]] std::vector<NodeId> select(const float* node, const std::vector<Key>& list,
                                           std::uint32_t limit) const {
    std::vector<NodeId> kept;
    for (Key candidate : list) {
      if (kept.size() == limit) break;
      const NodeId id = core::key_id(candidate);
      const float to_node = core::key_distance(key(node, id));
      if (std::none_of(kept.begin(), kept.end(),
                       [&](NodeId s) { return world_.distance(s, id) < to_node; })) {
        kept.push_back(id);
      }
    }
    kept.resize(limit, kNoNode);
    return kept;
  }

  /// The ids of a whole task, list after list.
  [[nodiscard]] std::vector<NodeId> propose(const ProposeTask& task) const {
    std::vector<NodeId> ids;
    for (NodeId node = task.begin; node < task.end; ++node) {
      const auto lists = propose_node(task, node);
      for (const auto& list : lists) ids.insert(ids.end(), list.begin(), list.end());
    }
    return ids;
  }

  [[nodiscard]] std::vector<Key> search(const float* query, EntryView entry, std::uint32_t k,
                                        std::uint32_t ef, float factor) const {
    std::vector<Key> list = candidates(query, entry, k, ef, factor,
                                       [&](NodeId id) { return world_.lives(id, world_.n); });
    if (list.size() > k) list.resize(k);
    return list;
  }
  template <class Accept>
  [[nodiscard]] std::vector<Key> candidates(const float* query, EntryView entry, std::uint32_t k,
                                            std::uint32_t ef, float factor,
                                            const Accept& accept) const {
    if (entry.node == kNoNode) return {};
    Key current = key(query, entry.node);
    for (std::uint32_t layer = entry.level; layer > 0; --layer) {
      current = greedy(query, layer, current);
    }
    return beam(query, 0, current, ef, k, factor, accept);
  }

  [[nodiscard]] std::vector<Key> exact(const float* query, std::uint32_t k) const {
    std::vector<Key> keys;
    for (NodeId node = 0; node < world_.n; ++node) {
      if (world_.lives(node, world_.n)) keys.push_back(key(query, node));
    }
    std::sort(keys.begin(), keys.end());
    keys.resize(k, kWorstKey);
    return keys;
  }

  /// Fills `ranking` and `dominators` of a task's size.
  void score(const ScoreTask& task, std::vector<std::uint8_t>& ranking,
             std::vector<std::uint64_t>& dominators) const {
    for (std::uint32_t i = 0; i < task.count; ++i) {
      const core::OverfullList& list = task.lists[i];
      std::vector<std::pair<Key, std::uint32_t>> sorted;
      for (std::uint32_t j = 0; j < list.count; ++j) {
        const NodeId id = task.ids[list.first + j];
        sorted.emplace_back(make_key(world_.distance(list.node, id), id), j);
      }
      std::sort(sorted.begin(), sorted.end());
      for (std::uint32_t b = 0; b < list.count; ++b) {
        ranking[list.first + b] = static_cast<std::uint8_t>(sorted[b].second);
        std::uint64_t* const set = &dominators[std::size_t{list.first + b} * task.words];
        std::fill_n(set, task.words, 0);
        for (std::uint32_t a = 0; a < b; ++a) {
          if (world_.distance(core::key_id(sorted[a].first), core::key_id(sorted[b].first)) <
              core::key_distance(sorted[b].first)) {
            set[a / 64] |= std::uint64_t{1} << (a % 64);
          }
        }
      }
    }
  }

 private:
  [[nodiscard]] std::vector<std::vector<NodeId>> propose_node(const ProposeTask& task,
                                                              NodeId node) const {
    const float* const x = world_.vectors.row(node);
    const std::uint32_t level = world_.levels[node];
    const auto lives = [&](NodeId id) { return world_.lives(id, node + 1); };
    std::vector<std::vector<NodeId>> lists(level + 1);
    Key current = kWorstKey;
    if (task.sealed_end != 0) {
      current = key(x, task.entry.node);
      for (std::uint32_t layer = task.entry.level; layer > level; --layer) {
        current = greedy(x, layer, current);
      }
    }
    for (std::uint32_t layer = level + 1; layer-- > 0;) {
      std::vector<Key> list;
      if (task.sealed_end != 0 && layer <= task.entry.level) {
        list = beam(x, layer, current, task.ef_construction, 0, core::kUnlimitedReach, lives);
        if (!list.empty()) current = list.front();
      }
      for (NodeId t = task.sealed_end; t < node; ++t) {
        if (world_.levels[t] >= layer && lives(t)) list.push_back(key(x, t));
      }
      std::sort(list.begin(), list.end());
      if (list.size() > task.ef_construction) list.resize(task.ef_construction);
      lists[layer] = select(x, list, world_.spec.M);
    }
    return lists;
  }

  const World& world_;
};

}  // namespace concord::cuda::testing
