#include "common/build/proposer.hpp"

#include <algorithm>

namespace concord::core {

void ProposalBatch::reset(NodeId new_begin, NodeId new_end, const Graph& graph) {
  begin = new_begin;
  end = new_end;
  M = graph.params().M;
  first_list.resize(end - begin + 1);
  first_list[0] = 0;
  for (NodeId node = begin; node < end; ++node) {
    first_list[node - begin + 1] = first_list[node - begin] + graph.level(node) + 1;
  }
  ids.resize(lists() * M);
}

void LinkChanges::reset(std::size_t count) {
  places.clear();
  ids.clear();
  places.reserve(count);
  ids.reserve(count);
}

void LinkChanges::replace(std::uint32_t first, std::size_t count, NodeId id) noexcept {
  if (count == 0) refuse(first);
  ids[ids.size() - std::max<std::size_t>(count, 1)] = id;
}

std::span<const NodeId> ProposalBatch::neighbors(std::size_t number) const noexcept {
  const NodeId* const first = ids.data() + number * M;
  return {first, std::find(first, first + M, kNoNode)};
}

}  // namespace concord::core
