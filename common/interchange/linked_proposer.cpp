#include "common/interchange/linked_proposer.hpp"

#include <algorithm>

namespace concord::interchange {

using core::NodeId;
using core::ProposalBatch;

LinkedProposer::LinkedProposer(const IndexAccess::Construction& parts, const KnownLinks& links)
    : graph_(parts.contents.graph),
      links_(links),
      pool_(parts.pool),
      stats_(parts.stats),
      scorer_(parts.make_proposer(parts.pool, parts.stats)) {
  for (unsigned worker = 0; worker < pool_.size(); ++worker) {
    workers_.push_back(std::make_unique<Worker>());
    Worker& w = *workers_.back();
    w.proposer = parts.make_proposer(w.pool, w.stats);
  }
}

void LinkedProposer::start(const core::Epoch& epoch, NodeId begin, NodeId end,
                           const core::StopRequest& stop) {
  current_ ^= 1;
  ProposalBatch& batch = batches_[current_];
  batch.reset(begin, end, graph_);
  batch.M = 2 * graph_.params().M;  // known lists of layer 0 may have max_degree ids
  batch.ids.resize(batch.lists() * batch.M);
  unknown_.clear();
  for (NodeId node = begin; node < end; ++node) {
    if (!propose_known(node, batch)) unknown_.push_back(node);
  }
  complete_ = pool_.parallel_for(
      unknown_.size(), 1,
      [&](unsigned worker, std::size_t first, std::size_t last) {
        for (std::size_t i = first; i < last; ++i)
          propose(epoch, unknown_[i], batch, *workers_[worker]->proposer);
      },
      stop);
  collect_stats();
}

bool LinkedProposer::propose_known(NodeId node, ProposalBatch& batch) const {
  const bool is_copy = graph_.copies().is_copy(node);
  bool all = true;
  for (std::uint32_t layer = 0; layer <= graph_.level(node); ++layer) {
    NodeId* const out = batch.list(node, layer);
    NodeId* end = out;
    for (const NodeId id : links_.earlier(node, layer)) {
      const NodeId known = graph_.copies().node_of(id);
      const bool is_there = std::find(out, end, known) != end;
      if (!is_copy && !is_there && graph_.level(known) >= layer) *end++ = known;
    }
    std::fill(end, out + batch.M, core::kNoNode);
    all &= end != out;
  }
  return all || is_copy;
}

void LinkedProposer::propose(const core::Epoch& epoch, NodeId node, ProposalBatch& batch,
                             core::Proposer& proposer) const {
  proposer.start(epoch, node, node + 1, {});
  const ProposalBatch& proposed = *proposer.finish({});
  for (std::uint32_t layer = 0; layer <= graph_.level(node); ++layer) {
    NodeId* const out = batch.list(node, layer);
    if (*out != core::kNoNode) continue;
    const auto neighbors = proposed.neighbors(node, layer);
    std::copy(neighbors.begin(), neighbors.end(), out);
  }
}

const ProposalBatch* LinkedProposer::finish(const core::StopRequest&) {
  return complete_ ? &batches_[current_] : nullptr;
}

const core::ListScores& LinkedProposer::score(const core::OverfullLists& batch) {
  return scorer_->score(batch);
}

std::span<const core::Edge> LinkedProposer::relate(const core::Neighborhoods& sets) {
  return scorer_->relate(sets);
}

std::span<const core::NodeId> LinkedProposer::propose_again(std::span<const core::ListName> lists) {
  return scorer_->propose_again(lists);
}

void LinkedProposer::sealed() {
  scorer_->sealed();
  for (const auto& worker : workers_) worker->proposer->sealed();
}

void LinkedProposer::collect_stats() {
  const auto move = [](PhaseStats& to, const PhaseStats& from) {
    to.seconds += from.seconds;
    to.count += from.count;
  };
  for (const auto& worker : workers_) {
    BuildStats& from = worker->stats;
    move(stats_.descent, from.descent);
    move(stats_.beam_search, from.beam_search);
    move(stats_.tail, from.tail);
    move(stats_.selection, from.selection);
    stats_.distances += from.distances;
    stats_.hops += from.hops;
    from = {};
  }
}

}  // namespace concord::interchange
