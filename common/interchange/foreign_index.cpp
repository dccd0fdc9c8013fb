#include "common/interchange/foreign_index.hpp"

#include <algorithm>

namespace concord::interchange {

using core::kNoNode;
using core::NodeId;

ForeignIndex ForeignIndex::without(const std::vector<bool>& is_left_out) const {
  std::vector<NodeId> new_id(size(), kNoNode);
  NodeId kept = 0;
  for (NodeId node = 0; node < size(); ++node) {
    if (!is_left_out[node]) new_id[node] = kept++;
  }
  ForeignIndex result;
  result.params = params;
  std::vector<NodeId> list;
  for (NodeId node = 0; node < size(); ++node) {
    if (is_left_out[node]) continue;
    const auto row =
        vectors.begin() + static_cast<std::ptrdiff_t>(std::size_t{node} * params.dimension);
    result.vectors.insert(result.vectors.end(), row, row + params.dimension);
    result.labels.push_back(labels[node]);
    result.first_upper.push_back(result.first_upper.back() + level(node));
    for (std::size_t layer = 0; layer <= level(node); ++layer) {
      list.clear();
      for (const NodeId id : links(node, layer)) {
        if (!is_left_out[id]) list.push_back(new_id[id]);
      }
      (layer == 0 ? result.base : result.upper).push(list);
    }
  }
  return result;
}

}  // namespace concord::interchange
