#include "cuda/epoch_links.hpp"

#include <algorithm>

#include "cuda/launch_policy.hpp"

namespace concord::cuda {

EpochLinks::EpochLinks(Device& device, MirrorStreams& streams, const MirrorNodes& nodes,
                       const core::Graph& graph, DeviceStats& stats)
    : device_(device),
      streams_(streams),
      nodes_(nodes),
      graph_(graph),
      stats_(stats),
      places_(device),
      ids_(device),
      d_places_(device),
      d_ids_(device),
      d_gains_(device),
      sorted_(device) {}

// One list of M places for a node, and its lists above layer 0, which are 1 / (M − 1) a node if
// levels are drawn as they should; twice as many and some are planned for.
std::size_t EpochLinks::allowance() const noexcept {
  const IndexParams& p = graph_.params();
  const std::size_t nodes = std::min<std::size_t>(p.epoch_limit, graph_.announced());
  const std::size_t upper = std::min(graph_.upper().size(), nodes * 2 / (p.M - 1) + 64);
  const std::size_t places = (nodes + upper) * p.M;
  return d_gains_.missing(4 * places) + d_places_.missing(places) + d_ids_.missing(places) +
         sort_temporaries(nodes * p.M) + sort_temporaries(upper * p.M);
}

void EpochLinks::stage(const ProposedEpoch& epoch) {
  device_.synchronize(sorted_);
  links_ = epoch.links;
  write_changes(epoch.changes);
  const std::size_t places = links_.places(0) + links_.places(1);
  d_gains_.ensure(4 * places);
  SortGainsTask task;
  task.links = links_;
  task.upper_offset = nodes_.view().upper_offset;
  place(task.found, d_gains_.data());
  place(task.sorted, d_gains_.data() + 2 * places);
  std::copy(std::begin(task.sorted), std::end(task.sorted), sorted_gains_);
  device_.sort_gains_async(task, streams_.copy_in());
  device_.record(sorted_, streams_.copy_in());
  device_.wait(streams_.compute(), sorted_);
}

void EpochLinks::write_changes(const core::LinkChanges& changes) {
  const std::size_t count = changes.places.size();
  if (count == 0) return;
  const Stream stream = streams_.copy_in();
  places_.ensure(count);
  ids_.ensure(count);
  d_places_.ensure(places_.size());
  d_ids_.ensure(ids_.size());
  std::copy(changes.places.begin(), changes.places.end(), places_.data());
  std::copy(changes.ids.begin(), changes.ids.end(), ids_.data());
  device_.copy_async(d_places_.data(), places_.data(), count * sizeof(std::uint32_t), stream);
  device_.copy_async(d_ids_.data(), ids_.data(), count * sizeof(NodeId), stream);
  stats_.bytes_in += count * (sizeof(std::uint32_t) + sizeof(NodeId));
  ScatterTask task;  // of single ids
  task.list_index = d_places_.data();
  task.ids = d_ids_.data();
  task.count = static_cast<std::uint32_t>(count);
  task.width = 1;
  task.links = links_.ids;
  device_.scatter_async(task, stream);
}

void EpochLinks::place(Gains (&gains)[kTables], std::uint32_t* d_first) const noexcept {
  const NodeId end = links_.begin + links_.nodes;
  for (unsigned t = 0; t < kTables; ++t) {
    gains[t].count = links_.places(t);
    gains[t].none = t == 0 ? end : static_cast<std::uint32_t>(graph_.upper_lists_before(end));
    gains[t].list = d_first;
    gains[t].id = d_first + gains[t].count;
    d_first += std::size_t{2} * gains[t].count;
  }
}

void EpochLinks::append() {
  AppendTask task;
  task.links = links_;
  task.upper_offset = nodes_.view().upper_offset;
  for (unsigned t = 0; t < kTables; ++t) {
    task.sorted[t] = sorted_gains_[t];
    task.tables[t] = nodes_.links(t).data();
  }
  device_.append_links_async(task, streams_.compute());
}

}  // namespace concord::cuda
