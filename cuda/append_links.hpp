// An epoch's links appended to the lists of the version before, from the proposals that are on the
// device: what each thread does.
//
// A list gains ids in the order of their nodes, because that is the order of commits. gather_gains
// writes (list, id) of every proposed link in that order. A stable sort by list brings together
// what a list gains, and append_gains appends it. Both run in any order of their threads.
//
// The sort is CUB's on a device. Nothing counts or adds up the lengths of runs: the thread at the
// beginning of a run walks to its end, which most often is the next place.
// Tables are named by constants, because a place in an array of a kernel's parameters that only the
// thread knows would put the array on its stack.
// Thread-safety: a call writes its own places alone. Compiles without CUDA headers.
#pragma once

#include "cuda/views.hpp"

namespace concord::cuda {

/// Writes that list `list` of a table gains `id`, or none does if there is no `target`.
CONCORD_HD inline void write_gain(const Gains& gains, std::size_t j, NodeId target,
                                  std::uint32_t list, NodeId id) {
  gains.list[j] = target == kNoNode ? gains.none : list;
  gains.id[j] = id;
}

/// Of place `place` < M in each list of node links.begin + index.
CONCORD_HD inline void gather_gains(const SortGainsTask& task, std::uint32_t index,
                                    std::uint32_t place) {
  const CommittedLinks& links = task.links;
  const std::uint32_t first = links.first_list[index];
  const std::uint32_t lists = links.first_list[index + 1] - first;
  const NodeId* ids = links.ids + std::size_t{first} * links.M + place;
  const NodeId node = links.begin + index;
  write_gain(task.found[0], std::size_t{index} * links.M + place, *ids, *ids, node);
  // Nodes before this one have first − index lists above layer 0.
  std::size_t j = std::size_t{first - index} * links.M + place;
  for (std::uint32_t layer = 1; layer < lists; ++layer, j += links.M) {
    ids += links.M;
    const std::uint32_t list = *ids == kNoNode ? 0 : task.upper_offset[*ids] + (layer - 1);
    write_gain(task.found[1], j, *ids, list, node);
  }
}

/// The id of the committed link number `wanted` of a list of proposals, kNoNode behind the last.
CONCORD_HD inline NodeId committed_link(const NodeId* ids, std::uint32_t M, std::uint32_t wanted) {
  for (std::uint32_t place = 0; place < M; ++place) {
    if (ids[place] == kNoNode) continue;
    if (wanted == 0) return ids[place];
    --wanted;
  }
  return kNoNode;
}

/// Writes place `place` < 2M of each list of node links.begin + index: its own links, then kNoNode.
CONCORD_HD inline void write_own_links(const AppendTask& task, std::uint32_t index,
                                       std::uint32_t place) {
  const CommittedLinks& links = task.links;
  const std::uint32_t first = links.first_list[index];
  const std::uint32_t lists = links.first_list[index + 1] - first;
  const NodeId node = links.begin + index;
  const NodeId* ids = links.ids + std::size_t{first} * links.M;
  task.tables[0][std::size_t{node} * (2 * links.M) + place] = committed_link(ids, links.M, place);
  if (place >= links.M) return;
  for (std::uint32_t layer = 1; layer < lists; ++layer) {
    ids += links.M;
    const std::size_t list = task.upper_offset[node] + (layer - 1);
    task.tables[1][list * links.M + place] = committed_link(ids, links.M, place);
  }
}

/// If a run of one list begins at `position` of a table's sorted gains, appends it to the list. Ids
/// that find no place are left out: a seal has shortened such a list, and its new content comes
/// after.
CONCORD_HD inline void append_gains(const Gains& gains, NodeId* table, std::uint32_t width,
                                    std::uint32_t position) {
  const std::uint32_t list = gains.list[position];
  if (list == gains.none || (position > 0 && gains.list[position - 1] == list)) return;
  NodeId* const ids = table + std::size_t{list} * width;
  std::uint32_t place = 0;
  while (place < width && ids[place] != kNoNode) ++place;
  for (; place < width && position < gains.count && gains.list[position] == list; ++position) {
    ids[place++] = gains.id[position];
  }
}

}  // namespace concord::cuda
