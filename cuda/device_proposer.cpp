#include "cuda/device_proposer.hpp"

#include <algorithm>
#include <concord/error.hpp>
#include <cstring>

#include "common/stopwatch.hpp"

namespace concord::cuda {

using core::Stopwatch;

static_assert(sizeof(PruneRow) == sizeof(core::PruneBatch::Row));

DeviceProposer::DeviceProposer(Device& device, Mirror& mirror, const core::Graph& graph,
                               DeviceStats& stats, BuildStats& build)
    : device_(device),
      mirror_(mirror),
      graph_(graph),
      stats_(stats),
      build_(build),
      copy_out_(device, Priority::normal),
      urgent_(device, Priority::urgent),
      propose_begin_(device),
      propose_end_(device),
      proposed_(device),
      score_begin_(device),
      score_end_(device),
      scored_(device),
      first_list_(device),
      ids_(device),
      counters_(device),
      d_first_list_(device),
      d_ids_(device),
      d_tail_distances_(device),
      d_counters_(device),
      rows_(device),
      row_ids_(device),
      order_(device),
      dominators_(device),
      d_rows_(device),
      d_row_ids_(device),
      d_order_(device),
      d_dominators_(device) {
  const IndexParams& p = graph.params();
  if (!can_propose(p.ef_construction, p.M, p.dimension, device.shared_memory_limit())) {
    throw Error(ErrorCode::unsupported,
                device.name() + " has too little shared memory for ef_construction " +
                    std::to_string(p.ef_construction) + " at dimension " +
                    std::to_string(p.dimension));
  }
  counters_.ensure(2);
  d_counters_.ensure(2);
}

void DeviceProposer::start(const core::Epoch& epoch, NodeId begin, NodeId end,
                           const core::StopRequest&) {
  const Stopwatch watch(build_.propose_wall_seconds);
  const IndexParams& params = graph_.params();
  current_ ^= 1;
  core::ProposalBatch& batch = batches_[current_];
  batch.reset(begin, end, graph_);

  // Sized once for the largest batch there can be, within the budget or not at all.
  const NodeId longest = std::min(params.epoch_limit, graph_.announced());
  const std::size_t tail_floats =
      propose_scratch_floats(0, longest, 0) * 2 + propose_scratch_floats(begin, end, epoch.sealed_end);
  const std::size_t lists = batch.lists() + longest;
  mirror_.reserve(tail_floats * sizeof(float) + lists * params.M * sizeof(NodeId));
  mirror_.upload_nodes(begin, end);
  mirror_.hold_version(epoch);

  first_list_.ensure(batch.first_list.size());
  d_first_list_.ensure(first_list_.size());
  ids_.ensure(batch.ids.size());
  d_ids_.ensure(ids_.size());
  if (propose_scratch_floats(begin, end, epoch.sealed_end) > d_tail_distances_.size()) {
    d_tail_distances_.ensure(tail_floats);
  }
  std::copy(batch.first_list.begin(), batch.first_list.end(), first_list_.data());

  const core::SealedVersion version = graph_.version_for(epoch);
  ProposeTask task;
  task.begin = begin;
  task.end = end;
  task.sealed_end = version.end;
  task.entry = {version.entry.node, version.entry.level};
  task.ef_construction = params.ef_construction;
  task.first_list = d_first_list_.data();
  task.ids = d_ids_.data();
  task.tail_distances = d_tail_distances_.data();
  task.counters = d_counters_.data();

  const Stream compute = mirror_.compute();
  device_.copy_async(d_first_list_.data(), first_list_.data(),
                     batch.first_list.size() * sizeof(std::uint32_t), compute);
  device_.fill_async(d_counters_.data(), 0, sizeof(Counters), compute);
  device_.record(propose_begin_, compute);
  device_.propose_async(mirror_.view(), task, compute);
  device_.record(propose_end_, compute);
  device_.wait(copy_out_, propose_end_);
  device_.copy_async(ids_.data(), d_ids_.data(), batch.ids.size() * sizeof(NodeId), copy_out_);
  device_.copy_async(&counters_[0], d_counters_.data(), sizeof(Counters), copy_out_);
  device_.record(proposed_, copy_out_);
  stats_.bytes_in += batch.first_list.size() * sizeof(std::uint32_t);
  stats_.bytes_out += batch.ids.size() * sizeof(NodeId) + sizeof(Counters);
}

const core::ProposalBatch* DeviceProposer::finish(const core::StopRequest&) {
  core::ProposalBatch& batch = batches_[current_];
  double waited = 0;
  {
    const Stopwatch watch(waited);
    device_.synchronize(proposed_);
  }
  std::memcpy(batch.ids.data(), ids_.data(), batch.ids.size() * sizeof(NodeId));
  const double kernel = device_.elapsed(propose_begin_, propose_end_);
  build_.propose_wall_seconds += waited;
  stats_.overlap_seconds += std::max(0.0, kernel - waited);
  collect(kernel, counters_[0]);
  return &batch;
}

const core::PruneScores& DeviceProposer::score(const core::PruneBatch& batch) {
  // Small batches were proposed elsewhere: their vectors may still be missing here.
  mirror_.reserve(0);
  mirror_.upload_nodes(kNoNode, graph_.size());
  mirror_.wait_for_nodes(urgent_);
  scores_.words = (2 * graph_.table(0).max_degree() + 63) / 64;
  const std::size_t ids = batch.ids.size();
  const std::size_t bits = ids * scores_.words;
  rows_.ensure(batch.rows.size());
  d_rows_.ensure(rows_.size());
  row_ids_.ensure(ids);
  d_row_ids_.ensure(row_ids_.size());
  order_.ensure(ids);
  d_order_.ensure(order_.size());
  dominators_.ensure(bits);
  d_dominators_.ensure(dominators_.size());
  std::memcpy(rows_.data(), batch.rows.data(), batch.rows.size() * sizeof(PruneRow));
  std::memcpy(row_ids_.data(), batch.ids.data(), ids * sizeof(NodeId));

  PruneTask task;
  task.rows = d_rows_.data();
  task.row_count = static_cast<std::uint32_t>(batch.rows.size());
  task.ids = d_row_ids_.data();
  task.words = scores_.words;
  task.order = d_order_.data();
  task.dominators = d_dominators_.data();
  task.counters = d_counters_.data() + 1;
  device_.copy_async(d_rows_.data(), rows_.data(), batch.rows.size() * sizeof(PruneRow), urgent_);
  device_.copy_async(d_row_ids_.data(), row_ids_.data(), ids * sizeof(NodeId), urgent_);
  device_.fill_async(d_counters_.data() + 1, 0, sizeof(Counters), urgent_);
  device_.record(score_begin_, urgent_);
  device_.score_rows_async(mirror_.view(), task, urgent_);
  device_.record(score_end_, urgent_);
  device_.copy_async(order_.data(), d_order_.data(), ids, urgent_);
  device_.copy_async(dominators_.data(), d_dominators_.data(), bits * sizeof(std::uint64_t), urgent_);
  device_.copy_async(&counters_[1], d_counters_.data() + 1, sizeof(Counters), urgent_);
  device_.record(scored_, urgent_);
  device_.synchronize(scored_);

  scores_.order.assign(order_.data(), order_.data() + ids);
  scores_.dominators.assign(dominators_.data(), dominators_.data() + bits);
  build_.prune.count += batch.rows.size();
  stats_.bytes_in += batch.rows.size() * sizeof(PruneRow) + ids * sizeof(NodeId);
  stats_.bytes_out += ids + bits * sizeof(std::uint64_t);
  const double kernel = device_.elapsed(score_begin_, score_end_);
  build_.prune.seconds += kernel;
  collect(kernel, counters_[1]);
  return scores_;
}

void DeviceProposer::collect(double seconds, const Counters& counters) {
  stats_.kernel_seconds += seconds;
  build_.distances += counters.distances;
  build_.hops += counters.hops;
}

}  // namespace concord::cuda
