#include "cuda/mirror_tombstones.hpp"

#include <algorithm>

namespace concord::cuda {
namespace {

constexpr std::size_t kMarksAtOnce = 8192;

}  // namespace

MirrorTombstones::MirrorTombstones(Device& device, MirrorStreams& streams, const core::Graph& graph,
                                   DeviceStats& stats)
    : device_(device),
      streams_(streams),
      graph_(graph),
      stats_(stats),
      d_gone_(device),
      nodes_(device),
      values_(device),
      d_nodes_(device),
      d_values_(device),
      written_(device) {}

std::size_t MirrorTombstones::missing() const noexcept {
  return d_nodes_.missing(kMarksAtOnce) + d_values_.missing(kMarksAtOnce);
}

void MirrorTombstones::forget() noexcept {
  known_ = 0;
  ahead_.clear();
}

void MirrorTombstones::bring(NodeId end) {
  if (!graph_.tombstones().any()) return;
  gather(end);
  for (std::size_t first = 0; first < marks_.size(); first += kMarksAtOnce) {
    write(first, std::min(kMarksAtOnce, marks_.size() - first));
  }
}

void MirrorTombstones::gather(NodeId end) {
  const NodeId size = graph_.size();
  const auto dead = graph_.unlinked() + static_cast<NodeId>(graph_.pending().size());
  marks_ = ahead_;  // each may live on after all, or have died for another reason
  ahead_.clear();
  const std::vector<NodeId>& pending = graph_.pending();
  if (dead - known_ <= pending.size()) {
    marks_.insert(marks_.end(), pending.end() - (dead - known_), pending.end());
  } else {  // some have died and were unlinked since
    for (NodeId node = 0; node < size; ++node) {
      if (!graph_.copies().is_copy(node) && graph_.is_dead(node, size)) mark(node);
    }
  }
  known_ = dead;
  for (NodeId node = size; node < end; ++node) {
    const NodeId replaced = graph_.replaced_by(node);
    if (replaced == core::kNoNode) continue;
    const NodeId old = graph_.copies().node_of(replaced);
    mark(old);
    ahead_.push_back(old);
  }
  std::sort(marks_.begin(), marks_.end());
  marks_.erase(std::unique(marks_.begin(), marks_.end()), marks_.end());
  std::erase_if(marks_, [&](NodeId id) { return graph_.copies().is_copy(id); });
}

void MirrorTombstones::write(std::size_t first, std::size_t count) {
  device_.synchronize(written_);  // copies from the pinned memory have ended
  nodes_.ensure(kMarksAtOnce);
  values_.ensure(kMarksAtOnce);
  d_nodes_.ensure(kMarksAtOnce);
  d_values_.ensure(kMarksAtOnce);
  for (std::size_t j = 0; j < count; ++j) {
    nodes_[j] = marks_[first + j];
    values_[j] = graph_.gone(marks_[first + j]);
  }
  const Stream stream = streams_.compute();
  device_.copy_async(d_nodes_.data(), nodes_.data(), count * sizeof(NodeId), stream);
  device_.copy_async(d_values_.data(), values_.data(), count * sizeof(NodeId), stream);
  device_.scatter_async(
      {d_nodes_.data(), d_values_.data(), static_cast<std::uint32_t>(count), 1, d_gone_.data()},
      stream);
  device_.record(written_, stream);
  stats_.bytes_in += 2 * count * sizeof(NodeId);
}

}  // namespace concord::cuda
