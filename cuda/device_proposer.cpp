#include "cuda/device_proposer.hpp"

#include <algorithm>
#include <concord/error.hpp>
#include <cstring>

#include "common/base/stopwatch.hpp"

namespace concord::cuda {

using core::Stopwatch;

namespace {

/// Of tail distances at once: 64 MiB. Epochs of 2,896 vectors and more go in pieces.
constexpr std::size_t kMostTailFloats = std::size_t{16} << 20;

}  // namespace

DeviceProposer::DeviceProposer(Device& device, Mirror& mirror, const core::Contents& contents,
                               DeviceStats& stats, BuildStats& build)
    : device_(device),
      mirror_(mirror),
      graph_(contents.graph),
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
      proposals_{Proposals(device), Proposals(device)},
      d_tail_distances_(device),
      d_counters_(device),
      lists_(device),
      list_ids_(device),
      ranking_(device),
      dominators_(device),
      d_lists_(device),
      d_list_ids_(device),
      d_ranking_(device),
      d_dominators_(device) {
  const IndexParams& p = graph_.params();
  if (!can_propose(p.ef_construction, p.M, p.dimension, device.shared_memory_limit())) {
    throw Error(ErrorCode::unsupported, device.name() +
                                            " has too little shared memory for ef_construction " +
                                            std::to_string(p.ef_construction) + " at dimension " +
                                            std::to_string(p.dimension));
  }
  counters_.ensure(2);
  d_counters_.ensure(2);
}

// Memory must not go while the device works on it.
DeviceProposer::~DeviceProposer() {
  try {
    submitter_.drain();
  } catch (...) {  // reported before, or of no more interest
  }
  mirror_.drain();
  device_.drain(copy_out_);
  device_.drain(urgent_);
}

NodeId DeviceProposer::others_before(NodeId end) const noexcept {
  NodeId others = 0;
  if (graph_.tombstones_linked() == 0) return others;
  others = static_cast<NodeId>(graph_.pending().size());
  for (NodeId node = graph_.size(); node < end; ++node) {
    others += graph_.replaced_by(node) == core::kNoNode ? 0 : 1;
  }
  return others;
}

bool DeviceProposer::takes(NodeId /*begin*/, NodeId end) const {
  const IndexParams& p = graph_.params();
  return can_propose(p.ef_construction, p.M, p.dimension, device_.shared_memory_limit(),
                     others_before(end));
}

void DeviceProposer::start(const core::Epoch& epoch, NodeId begin, NodeId end,
                           const core::StopRequest&) {
  const Stopwatch watch(build_.propose_wall_seconds);
  current_ ^= 1;
  core::ProposalBatch& batch = batches_[current_];
  batch.reset(begin, end, graph_);
  const NodeId others = others_before(end);
  const bool prepared =
      !in_place_ && others == 0 && (epoch.number == started_epoch_ || mirror_.is_staged_for(epoch));
  started_epoch_ = epoch.number;
  in_place_ = false;
  if (prepared) {
    started_ = submitter_.post([this, &batch, epoch] { submit(batch, epoch, 0); });
    return;
  }
  // Commits change the lists that this may read, so it is done before start() returns.
  submitter_.drain();
  submit(batch, epoch, others);
}

core::LinkChanges* DeviceProposer::changes_of(const core::ProposalBatch& batch) {
  committed_.reset();
  const core::Epoch& epoch = graph_.epoch();
  const bool is_ours = &batch == &batches_[0] || &batch == &batches_[1];
  if (!is_ours || batch.begin != epoch.begin || batch.end != epoch.end) return nullptr;
  const Proposals& proposals = proposals_[epoch.number % 2];
  CommittedLinks links;
  links.begin = batch.begin;
  links.nodes = batch.end - batch.begin;
  links.lists = static_cast<std::uint32_t>(batch.lists());
  links.M = batch.M;
  links.first_list = proposals.d_first_list.data();
  links.ids = proposals.d_ids.data();
  committed_ = {epoch.number, {links, {}}};
  return &committed_->links.changes;
}

void DeviceProposer::sealed() {
  std::optional<ProposedEpoch> links;
  if (committed_ && committed_->number + 1 == graph_.epoch().number) {
    links = std::move(committed_->links);
  }
  committed_.reset();
  mirror_.sealed(std::move(links));
  submitter_.post([this] { mirror_.stage_sealed(); });
}

void DeviceProposer::submit(core::ProposalBatch& batch, const core::Epoch& epoch, NodeId others) {
  const NodeId end = batch.end;
  make_room(batch, epoch.sealed_end);
  mirror_.upload_nodes(end);
  mirror_.hold_version(epoch);
  if (others > 0) mirror_.bring_deaths(end);
  Proposals& proposals = proposals_[epoch.number % 2];
  make_room_for(proposals, batch);
  std::copy(batch.first_list.begin(), batch.first_list.end(), first_list_.data());

  const Stream compute = mirror_.compute();
  device_.copy_async(proposals.d_first_list.data(), first_list_.data(),
                     batch.first_list.size() * sizeof(std::uint32_t), compute);
  device_.fill_async(d_counters_.data(), 0, sizeof(Counters), compute);
  device_.record(propose_begin_, compute);
  propose(batch, proposals, graph_.version_for(epoch), others);
  device_.record(propose_end_, compute);
  device_.wait(copy_out_, propose_end_);
  device_.copy_async(ids_.data(), proposals.d_ids.data(), batch.ids.size() * sizeof(NodeId),
                     copy_out_);
  device_.copy_async(&counters_[0], d_counters_.data(), sizeof(Counters), copy_out_);
  device_.record(proposed_, copy_out_);
  stats_.bytes_in += batch.first_list.size() * sizeof(std::uint32_t);
  stats_.bytes_out += batch.ids.size() * sizeof(NodeId) + sizeof(Counters);
}

// Lists are few more than nodes; how many more depends on the batch.
std::size_t DeviceProposer::planned_ids(const core::ProposalBatch& batch) const noexcept {
  return std::max(batch.ids.size(), std::size_t{longest_batch()} * batch.M * 9 / 8);
}

void DeviceProposer::make_room(const core::ProposalBatch& batch, NodeId sealed_end) {
  const NodeId longest = longest_batch();
  const std::size_t largest_tail = 2 * propose_scratch_floats(0, longest, 0);
  const std::size_t tail =
      std::min(std::max(largest_tail, propose_scratch_floats(batch.begin, batch.end, sealed_end)),
               kMostTailFloats);
  const std::size_t ids = planned_ids(batch);
  std::size_t scratch = d_tail_distances_.missing(tail);
  for (const Proposals& proposals : proposals_) {
    scratch += proposals.d_ids.missing(ids) + proposals.d_first_list.missing(longest + 1);
  }
  mirror_.reserve(scratch);
  first_list_.ensure(longest + 1);
  ids_.ensure(ids);
  d_tail_distances_.ensure(tail);
}

// What these held, the mirror has got, or does without, but the device may still read it.
void DeviceProposer::make_room_for(Proposals& proposals, const core::ProposalBatch& batch) {
  const std::size_t ids = planned_ids(batch);
  const std::size_t first_lists = longest_batch() + std::size_t{1};
  if (proposals.d_ids.missing(ids) + proposals.d_first_list.missing(first_lists) == 0) return;
  device_.drain(mirror_.compute());
  proposals.d_ids.ensure(ids);
  proposals.d_first_list.ensure(first_lists);
}

// In pieces whose tail distances fit: a node's proposals depend on no other's of the batch.
void DeviceProposer::propose(const core::ProposalBatch& batch, const Proposals& proposals,
                             const core::SealedVersion& version, NodeId others) {
  const std::size_t stride = tail_stride(version.end, batch.end);
  const auto piece = static_cast<NodeId>(
      std::clamp<std::size_t>(d_tail_distances_.size() / stride, 1, batch.end - batch.begin));
  ProposeTask task;
  task.sealed_end = version.end;
  task.entry = {version.entry.node, version.entry.level};
  task.ef_construction = graph_.params().ef_construction;
  task.ids = proposals.d_ids.data();
  task.tail_distances = d_tail_distances_.data();
  task.counters = d_counters_.data();
  task.others = others;
  for (task.begin = batch.begin; task.begin < batch.end; task.begin = task.end) {
    task.end = std::min(batch.end, task.begin + piece);
    task.first_list = proposals.d_first_list.data() + (task.begin - batch.begin);
    device_.propose_async(mirror_.view(), task, mirror_.compute());
  }
}

const core::ProposalBatch* DeviceProposer::finish(const core::StopRequest&) {
  core::ProposalBatch& batch = batches_[current_];
  double waited = 0;
  {
    const Stopwatch watch(waited);
    submitter_.wait(started_);
    device_.synchronize(proposed_);
  }
  std::memcpy(batch.ids.data(), ids_.data(), batch.ids.size() * sizeof(NodeId));
  const double kernel = device_.elapsed(propose_begin_, propose_end_);
  build_.propose_wall_seconds += waited;
  stats_.overlap_seconds += std::max(0.0, kernel - waited);
  stats_.copy_out_seconds += device_.elapsed(propose_end_, proposed_);
  collect(kernel, counters_[0]);
  return &batch;
}

const core::ListScores& DeviceProposer::score(const core::OverfullLists& batch) {
  scores_.words = (2 * graph_.base().max_degree() + 63) / 64;
  const std::size_t ids = batch.ids.size();
  const std::size_t bits = ids * scores_.words;
  lists_.ensure(batch.lists.size());
  list_ids_.ensure(ids);
  ranking_.ensure(ids);
  dominators_.ensure(bits);
  mirror_.reserve(d_lists_.missing(lists_.size()) + d_list_ids_.missing(list_ids_.size()) +
                  d_ranking_.missing(ranking_.size()) + d_dominators_.missing(dominators_.size()));
  d_lists_.ensure(lists_.size());
  d_list_ids_.ensure(list_ids_.size());
  d_ranking_.ensure(ranking_.size());
  d_dominators_.ensure(dominators_.size());
  // Small batches were proposed elsewhere: their vectors may still be missing here.
  mirror_.upload_nodes(graph_.size());
  mirror_.wait_for_nodes(urgent_);
  std::memcpy(lists_.data(), batch.lists.data(), batch.lists.size() * sizeof(core::OverfullList));
  std::memcpy(list_ids_.data(), batch.ids.data(), ids * sizeof(NodeId));

  ScoreTask task;
  task.lists = d_lists_.data();
  task.count = static_cast<std::uint32_t>(batch.lists.size());
  task.ids = d_list_ids_.data();
  task.words = scores_.words;
  task.ranking = d_ranking_.data();
  task.dominators = d_dominators_.data();
  task.counters = d_counters_.data() + 1;
  device_.copy_async(d_lists_.data(), lists_.data(),
                     batch.lists.size() * sizeof(core::OverfullList), urgent_);
  device_.copy_async(d_list_ids_.data(), list_ids_.data(), ids * sizeof(NodeId), urgent_);
  device_.fill_async(d_counters_.data() + 1, 0, sizeof(Counters), urgent_);
  device_.record(score_begin_, urgent_);
  device_.score_lists_async(mirror_.view(), task, urgent_);
  device_.record(score_end_, urgent_);
  device_.copy_async(ranking_.data(), d_ranking_.data(), ids, urgent_);
  device_.copy_async(dominators_.data(), d_dominators_.data(), bits * sizeof(std::uint64_t),
                     urgent_);
  device_.copy_async(&counters_[1], d_counters_.data() + 1, sizeof(Counters), urgent_);
  device_.record(scored_, urgent_);
  device_.synchronize(scored_);

  scores_.ranking.assign(ranking_.data(), ranking_.data() + ids);
  scores_.dominators.assign(dominators_.data(), dominators_.data() + bits);
  build_.score.count += batch.lists.size();
  stats_.bytes_in += batch.lists.size() * sizeof(core::OverfullList) + ids * sizeof(NodeId);
  stats_.bytes_out += ids + bits * sizeof(std::uint64_t);
  const double kernel = device_.elapsed(score_begin_, score_end_);
  build_.score.seconds += kernel;
  stats_.copy_out_seconds += device_.elapsed(score_end_, scored_);
  collect(kernel, counters_[1]);
  return scores_;
}

void DeviceProposer::collect(double seconds, const Counters& counters) {
  stats_.kernel_seconds += seconds;
  build_.distances += counters.distances;
  build_.hops += counters.hops;
}

}  // namespace concord::cuda
