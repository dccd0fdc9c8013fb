// Links of an epoch and the lists that they are appended to, in host memory, for the tests of what
// a device makes of them. No GoogleTest here, as in world.hpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "cuda/views.hpp"

namespace concord::cuda::testing {

struct EpochSpec {
  std::uint32_t M = 16;
  NodeId before = 3000;       ///< nodes that have lists
  std::uint32_t nodes = 700;  ///< of the epoch
  std::uint32_t hubs = 0;     ///< if not 0: links go to so many nodes and to the epoch's own
  std::uint64_t seed = 1;

  [[nodiscard]] std::string name() const {
    return "epoch of " + std::to_string(nodes) + " after " + std::to_string(before) + ", M " +
           std::to_string(M) + (hubs == 0 ? "" : ", hubs");
  }
};

/// Levels and lists need not be such as construction makes: any degree, any place without a link.
struct EpochBuffers {
  explicit EpochBuffers(const EpochSpec& epoch) : spec(epoch), random(epoch.seed) {
    draw_levels();
    for (unsigned t = 0; t < kTables; ++t) draw_lists(t);
    draw_links();
    for (unsigned t = 0; t < kTables; ++t) {
      for (auto* words : {&found[t], &sorted[t]}) words->assign(2 * view().places(t) + 1, 0xABAB);
    }
  }

  [[nodiscard]] NodeId end() const { return spec.before + spec.nodes; }
  [[nodiscard]] std::uint32_t width(unsigned t) const { return t == 0 ? 2 * spec.M : spec.M; }
  [[nodiscard]] std::uint32_t lists(unsigned t) const { return t == 0 ? end() : upper_lists; }
  [[nodiscard]] CommittedLinks view() {
    CommittedLinks links;
    links.begin = spec.before;
    links.nodes = spec.nodes;
    links.lists = first_list.back();
    links.M = spec.M;
    links.first_list = first_list.data();
    links.ids = ids.data();
    return links;
  }
  /// In `words`, lists first.
  [[nodiscard]] Gains gains(unsigned t, std::uint32_t* words) {
    const std::uint32_t count = view().places(t);
    return {words, words + count, count, lists(t)};
  }
  [[nodiscard]] SortGainsTask sort_task() {
    SortGainsTask task;
    task.links = view();
    task.upper_offset = upper_offset.data();
    for (unsigned t = 0; t < kTables; ++t) {
      task.found[t] = gains(t, found[t].data());
      task.sorted[t] = gains(t, sorted[t].data());
    }
    return task;
  }
  [[nodiscard]] AppendTask append_task() {
    AppendTask task;
    task.links = view();
    task.upper_offset = upper_offset.data();
    for (unsigned t = 0; t < kTables; ++t) {
      task.sorted[t] = gains(t, sorted[t].data());
      task.tables[t] = tables[t].data();
    }
    return task;
  }
  /// What the lists become, by the definition: one link after the other, as it is committed.
  [[nodiscard]] std::vector<NodeId> expected(unsigned t) const {
    std::vector<NodeId> lists_of_table = tables[t];
    const auto append = [&](std::uint32_t list, NodeId id) {
      NodeId* const first = &lists_of_table[std::size_t{list} * width(t)];
      NodeId* const place = std::find(first, first + width(t), kNoNode);
      if (place != first + width(t)) *place = id;
    };
    for (std::uint32_t index = 0; index < spec.nodes; ++index) {
      const std::uint32_t first = first_list[index];
      for (std::uint32_t number = first; number < first_list[index + 1]; ++number) {
        const std::uint32_t layer = number - first;
        if ((layer == 0) != (t == 0)) continue;
        const auto list_of = [&](NodeId id) { return t == 0 ? id : upper_offset[id] + layer - 1; };
        const NodeId node = spec.before + index;
        std::fill_n(&lists_of_table[std::size_t{list_of(node)} * width(t)], width(t), kNoNode);
        for (std::uint32_t place = 0; place < spec.M; ++place) {
          const NodeId target = ids[std::size_t{number} * spec.M + place];
          if (target == kNoNode) continue;
          append(list_of(node), target);
          append(list_of(target), node);
        }
      }
    }
    return lists_of_table;
  }

  EpochSpec spec;
  std::mt19937_64 random;
  std::vector<std::uint32_t> levels, upper_offset, first_list;
  std::uint32_t upper_lists = 0;
  std::vector<NodeId> ids;
  std::vector<NodeId> tables[kTables];
  std::vector<std::uint32_t> found[kTables], sorted[kTables];  ///< lists, then ids

 private:
  void draw_levels() {
    first_list.push_back(0);
    for (NodeId node = 0; node < end(); ++node) {
      std::uint32_t level = 0;
      while (level < 4 && random() % spec.M == 0) ++level;
      levels.push_back(level);
      upper_offset.push_back(upper_lists);
      upper_lists += level;
      if (node >= spec.before) first_list.push_back(first_list.back() + level + 1);
    }
  }
  /// Lists of the epoch's nodes hold rubbish.
  void draw_lists(unsigned t) {
    tables[t].assign(std::size_t{lists(t)} * width(t), kNoNode);
    for (std::uint32_t list = 0; list < lists(t); ++list) {
      const std::uint32_t degree = static_cast<std::uint32_t>(random() % (width(t) + 1));
      NodeId* const first = &tables[t][std::size_t{list} * width(t)];
      std::generate_n(first, degree, [&] { return static_cast<NodeId>(random() % spec.before); });
    }
  }
  /// Each link goes to an earlier node of the layer, none twice from one list.
  void draw_links() {
    ids.assign(std::size_t{first_list.back()} * spec.M, kNoNode);
    for (std::uint32_t index = 0; index < spec.nodes; ++index) {
      const NodeId node = spec.before + index;
      for (std::uint32_t layer = 0; layer <= levels[node]; ++layer) {
        NodeId* const list = &ids[std::size_t{first_list[index] + layer} * spec.M];
        for (std::uint32_t place = 0; place < spec.M; ++place) {
          const NodeId target = draw_target(node);
          if (levels[target] < layer || random() % 5 == 0) continue;
          if (std::find(list, list + place, target) == list + place) list[place] = target;
        }
      }
    }
  }
  NodeId draw_target(NodeId node) {
    if (spec.hubs == 0) return static_cast<NodeId>(random() % node);
    if (random() % 8 != 0) return static_cast<NodeId>(random() % spec.hubs);
    return node - 1 - static_cast<NodeId>(random() % std::min(node, 3u));
  }
};

/// Epochs of every kind, in which lists gain nothing, a few ids, or more than they have places for.
inline std::vector<EpochSpec> epoch_specs() {
  return {{16, 3000, 700, 0, 1}, {2, 500, 1500, 0, 2},    {64, 200, 300, 0, 3},
          {3, 40, 9, 0, 4},      {16, 3000, 900, 5, 5},   {2, 1000, 700, 40, 6},
          {8, 1, 1, 0, 7},       {5, 100000, 20000, 0, 8}};
}

}  // namespace concord::cuda::testing
