#include "common/proposer.hpp"

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

std::span<const NodeId> ProposalBatch::neighbors(NodeId node, std::uint32_t layer) const noexcept {
  const NodeId* first = ids.data() + std::size_t{first_list[node - begin] + layer} * M;
  return {first, std::find(first, first + M, kNoNode)};
}

}  // namespace concord::core
