#include "cpu/proposer.hpp"

#include <algorithm>
#include <numeric>

#include "common/stopwatch.hpp"

namespace concord::cpu {

using core::Key;
using core::NodeId;
using core::Stopwatch;

CpuProposer::CpuProposer(const core::Graph& graph, const core::VectorStore& vectors,
                         const MetricKernels& kernels, core::ThreadPool& pool, BuildStats& stats)
    : graph_(graph),
      vectors_(vectors),
      kernels_(kernels),
      scorer_(vectors, kernels),
      pool_(pool),
      stats_(stats),
      workers_(pool.size()) {}

void CpuProposer::start(const core::Epoch& epoch, NodeId begin, NodeId end,
                        const core::StopRequest& stop) {
  const Stopwatch watch(stats_.propose_wall_seconds);
  prepare_workers();
  current_ ^= 1;
  core::ProposalBatch& batch = batches_[current_];
  batch.reset(begin, end, graph_);
  const core::SealedVersion version = graph_.version_for(epoch);
  complete_ = pool_.parallel_for(
      end - begin, 4,
      [&](unsigned worker, std::size_t first, std::size_t last) {
        for (std::size_t i = first; i < last; ++i) {
          propose({begin + static_cast<NodeId>(i), version}, batch, workers_[worker]);
        }
      },
      stop);
  collect_stats();
}

void CpuProposer::prepare_workers() {
  scorer_ = Scorer(vectors_, kernels_);
  for (Worker& worker : workers_) {
    worker.scratch.query.resize(vectors_.stride());
    worker.widened.resize(vectors_.stride());
  }
}

const core::ProposalBatch* CpuProposer::finish(const core::StopRequest&) {
  return complete_ ? &batches_[current_] : nullptr;
}

void CpuProposer::propose(const Task& task, core::ProposalBatch& batch, Worker& worker) const {
  const std::uint32_t level = graph_.level(task.node);
  const bool has_sealed = task.version.end > 0;
  worker.query = scorer_.as_query(task.node, worker.scratch.query.data());
  Key from = has_sealed ? descend(task, worker) : core::kWorstKey;
  for (std::uint32_t layer = level + 1; layer-- > 0;) {
    worker.scratch.list.reset(graph_.params().ef_construction);
    if (has_sealed && layer <= task.version.entry.level) {
      search_layer(task, layer, from, worker);
      from = worker.scratch.list[0] & ~core::kExpanded;
    }
    merge_tail(task, layer, worker);
    select_neighbors(batch.list(task.node, layer), worker);
  }
}

// From the sealed entry point to the closest node of the layer above the node's own level.
Key CpuProposer::descend(const Task& task, Worker& worker) const {
  const Stopwatch watch(worker.stats.descent.seconds);
  ++worker.stats.descent.count;
  const Query& query = worker.query;
  float distance;
  scorer_.score(query, &task.version.entry.node, 1, &distance);
  ++worker.scratch.counts.distances;
  Key closest = core::make_key(distance, task.version.entry.node);
  for (std::uint32_t layer = task.version.entry.level; layer > graph_.level(task.node); --layer) {
    const auto visit_row = [&](NodeId node, const auto& visit) {
      graph_.visit_sealed(task.version, node, layer, visit);
    };
    closest = greedy_descent(scorer_, query, closest, visit_row, worker.scratch);
  }
  return closest;
}

void CpuProposer::search_layer(const Task& task, std::uint32_t layer, Key from,
                               Worker& worker) const {
  const Stopwatch watch(worker.stats.beam_search.seconds);
  ++worker.stats.beam_search.count;
  const auto visit_row = [&](NodeId node, const auto& visit) {
    graph_.visit_sealed(task.version, node, layer, visit);
  };
  const auto prefetch_row = [&](NodeId node) {
    graph_.table(layer).prefetch(graph_.row(node, layer));
  };
  const std::uint32_t ef = graph_.params().ef_construction;
  beam_search(scorer_, worker.query, from, ef, visit_row, prefetch_row, UnlimitedReach{ef},
              worker.scratch);
}

// Exact distances to the nodes that were inserted since the sealed version.
void CpuProposer::merge_tail(const Task& task, std::uint32_t layer, Worker& worker) const {
  const Stopwatch watch(worker.stats.tail.seconds);
  Scratch& scratch = worker.scratch;
  const Query& query = worker.query;
  constexpr NodeId kBlock = core::kMaxScored;
  if (layer == 0) {
    for (NodeId first = task.version.end; first < task.node; first += kBlock) {
      const NodeId n = std::min(kBlock, task.node - first);
      scorer_.score_range(query, first, n, scratch.distances.data());
      for (NodeId j = 0; j < n; ++j) {
        scratch.list.insert(core::make_key(scratch.distances[j], first + j));
      }
    }
    worker.stats.tail.count += task.node - task.version.end;
    return;
  }
  worker.tail.clear();
  for (NodeId id = task.version.end; id < task.node; ++id) {
    if (graph_.level(id) >= layer) worker.tail.push_back(id);
  }
  for (const NodeId id : worker.tail) {
    float distance;
    scorer_.score(query, &id, 1, &distance);
    scratch.list.insert(core::make_key(distance, id));
  }
  worker.stats.tail.count += worker.tail.size();
}

// Neighbor selection heuristic (Malkov & Yashunin, algorithm 4): a candidate is kept unless it is
// nearer to one already kept than to the node. Candidates come in blocks, since many distances to
// one kept node cost less than one to each of many; a distance is the same from either end.
void CpuProposer::select_neighbors(NodeId* out, Worker& worker) const {
  const Stopwatch watch(worker.stats.selection.seconds);
  ++worker.stats.selection.count;
  const std::uint32_t M = graph_.params().M;
  const CandidateList& list = worker.scratch.list;
  std::uint32_t kept = 0;
  for (std::size_t first = 0; first < list.size() && kept < M; first += Block::kSize) {
    Block block;
    block.end = static_cast<std::uint32_t>(std::min(Block::kSize, list.size() - first));
    for (std::uint32_t c = 0; c < block.end; ++c) {
      block.ids[c] = core::key_id(list[first + c]);
      block.distances[c] = core::key_distance(list[first + c]);
      scorer_.prefetch(block.ids[c]);
    }
    for (std::uint32_t s = 0; s < kept; ++s) drop_dominated(out[s], block, worker);
    while (block.begin < block.end && kept < M) {
      out[kept++] = block.ids[block.begin++];
      if (kept < M) drop_dominated(out[kept - 1], block, worker);
    }
  }
  std::fill(out + kept, out + M, core::kNoNode);
}

void CpuProposer::drop_dominated(NodeId by, Block& block, Worker& worker) const {
  const std::uint32_t n = block.end - block.begin;
  if (n == 0) return;
  NodeId* const ids = block.ids.data() + block.begin;
  float* const distances = block.distances.data() + block.begin;
  float* const to_kept = worker.scratch.distances.data();
  scorer_.score(scorer_.as_query(by, worker.widened.data()), ids, n, to_kept);
  worker.scratch.counts.distances += n;
  std::uint32_t left = 0;
  for (std::uint32_t c = 0; c < n; ++c) {
    const float distance = distances[c];
    ids[left] = ids[c];
    distances[left] = distance;
    left += to_kept[c] < distance ? 0 : 1;
  }
  block.end = block.begin + left;
}

const core::PruneScores& CpuProposer::score(const core::PruneBatch& batch) {
  prepare_workers();
  scores_.words = (2 * graph_.table(0).max_degree() + 63) / 64;
  scores_.order.resize(batch.ids.size());
  scores_.dominators.assign(batch.ids.size() * scores_.words, 0);
  pool_.parallel_for(batch.rows.size(), 4,
                     [&](unsigned worker, std::size_t first, std::size_t last) {
                       const Stopwatch watch(workers_[worker].stats.prune.seconds);
                       for (std::size_t i = first; i < last; ++i)
                         score_row(batch, batch.rows[i], workers_[worker]);
                       workers_[worker].stats.prune.count += last - first;
                     });
  collect_stats();
  return scores_;
}

void CpuProposer::score_row(const core::PruneBatch& batch, const core::PruneBatch::Row& row,
                            Worker& worker) {
  Scratch& scratch = worker.scratch;
  const NodeId* ids = batch.ids.data() + row.first;
  std::uint8_t* order = scores_.order.data() + row.first;
  for (std::uint32_t j = 0; j < row.count; ++j) scorer_.prefetch(ids[j]);
  scorer_.score(scorer_.as_query(row.node, worker.widened.data()), ids, row.count,
                scratch.distances.data());
  worker.keys.resize(row.count);
  for (std::uint32_t j = 0; j < row.count; ++j) {
    worker.keys[j] = core::make_key(scratch.distances[j], ids[j]);
    order[j] = static_cast<std::uint8_t>(j);
  }
  std::sort(order, order + row.count,
            [&](std::uint8_t a, std::uint8_t b) { return worker.keys[a] < worker.keys[b]; });

  for (std::uint32_t b = 0; b < row.count; ++b) scratch.ids[b] = ids[order[b]];
  for (std::uint32_t b = 1; b < row.count; ++b) {
    const float distance = core::key_distance(worker.keys[order[b]]);
    scorer_.score(scorer_.as_query(scratch.ids[b], worker.widened.data()), scratch.ids.data(), b,
                  scratch.distances.data());
    std::uint64_t* dominators = &scores_.dominators[std::size_t{row.first + b} * scores_.words];
    for (std::uint32_t a = 0; a < b; ++a) {
      dominators[a / 64] |= std::uint64_t{scratch.distances[a] < distance} << (a % 64);
    }
  }
  scratch.counts.distances += row.count + std::uint64_t{row.count} * (row.count - 1) / 2;
}

void CpuProposer::collect_stats() {
  for (Worker& worker : workers_) {
    const auto move = [](PhaseStats& to, PhaseStats& from) {
      to.seconds += from.seconds;
      to.count += from.count;
      from = {};
    };
    move(stats_.descent, worker.stats.descent);
    move(stats_.beam_search, worker.stats.beam_search);
    stats_.distances += worker.scratch.counts.distances + worker.stats.tail.count;
    move(stats_.tail, worker.stats.tail);
    move(stats_.selection, worker.stats.selection);
    move(stats_.prune, worker.stats.prune);
    stats_.hops += worker.scratch.counts.hops;
    worker.scratch.counts = {};
  }
}

}  // namespace concord::cpu
