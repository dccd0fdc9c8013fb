#include "cpu/proposer.hpp"

#include <algorithm>
#include <tuple>

#include "common/base/stopwatch.hpp"
#include "cpu/living_ids.hpp"
#include "cpu/rescore.hpp"

namespace concord::cpu {

using core::Key;
using core::NodeId;
using core::Stopwatch;

CpuProposer::CpuProposer(const core::Contents& contents, const MetricKernels& kernels,
                         core::ThreadPool& pool, BuildStats& stats, TailCodes* codes)
    : graph_(contents.graph),
      vectors_(contents.vectors),
      kernels_(kernels),
      scorer_(vectors_, kernels),
      walk_(scorer_),
      pool_(pool),
      stats_(stats),
      codes_(codes),
      workers_(pool.size()) {}

void CpuProposer::start(const core::Epoch& epoch, NodeId begin, NodeId end,
                        const core::StopRequest& stop) {
  const Stopwatch watch(stats_.propose_wall_seconds);
  const core::SealedVersion version = graph_.version_for(epoch);
  prepare_workers(version);
  current_ ^= 1;
  core::ProposalBatch& batch = batches_[current_];
  batch.reset(begin, end, graph_);
  prepare_codes(version.end, end);
  const std::size_t share = (end - begin) / (std::size_t{4} * pool_.size());
  complete_ = pool_.parallel_for(
      end - begin, std::clamp<std::size_t>(share, 1, kNodesAtOnce),
      [&](unsigned worker, std::size_t first, std::size_t last) {
        propose({begin + static_cast<NodeId>(first), begin + static_cast<NodeId>(last), version},
                batch, workers_[worker]);
      },
      stop);
  collect_stats();
}

const core::ProposalBatch& CpuProposer::propose_some(const core::SealedVersion& version,
                                                     NodeId begin, NodeId end,
                                                     std::span<const NodeId> nodes) {
  prepare_workers(version);
  has_codes_ = false;
  core::ProposalBatch& batch = batches_[current_];
  batch.reset(begin, end, graph_);
  pool_.parallel_for(nodes.size(), 1, [&](unsigned worker, std::size_t first, std::size_t last) {
    for (std::size_t i = first; i < last; ++i) {
      propose({nodes[i], nodes[i] + 1, version}, batch, workers_[worker]);
    }
  });
  collect_stats();
  return batch;
}

void CpuProposer::prepare_workers() {
  scorer_ = Scorer(vectors_, kernels_);
  if (!scorer_.widens()) return;
  for (Worker& worker : workers_) {
    worker.scratch.query.resize(vectors_.stride());
    worker.widened.resize(kNodesAtOnce * vectors_.stride());
  }
}

// All nodes of the version are from before the first behind it, in order of insertion as well.
void CpuProposer::prepare_workers(const core::SealedVersion& version) {
  prepare_workers();
  walks_by_codes_ = vectors_.codes().serve_proposals(graph_.insertion(version.end));
  walk_ = walks_by_codes_ ? Scorer::of_codes(vectors_, kernels_) : scorer_;
  if (!walks_by_codes_) return;
  for (Worker& worker : workers_) {
    worker.code.resize(vectors_.codes().query_bytes());
    worker.scratch.query.resize(vectors_.stride());
  }
}

void CpuProposer::begin_node(NodeId node, Worker& worker) const {
  float* const buffer = worker.scratch.query.data();
  worker.query = scorer_.as_query(node, buffer);
  worker.walk_query = walks_by_codes_
                          ? walk_.as_query(vectors_.read(node, buffer), worker.code.data())
                          : worker.query;
}

void CpuProposer::prepare_codes(NodeId begin, NodeId end) {
  has_codes_ = codes_ != nullptr && codes_->can_bound() && TailCodes::pay_for(vectors_) &&
               codes_->hold(vectors_, begin, end, pool_);
  if (!has_codes_) return;
  for (Worker& worker : workers_) {
    worker.bounds.resize(kNodesAtOnce * kCodeRows);
    worker.query_codes.resize(kNodesAtOnce * codes_->query_bytes());
  }
}

const core::ProposalBatch* CpuProposer::finish(const core::StopRequest&) {
  return complete_ ? &batches_[current_] : nullptr;
}

void CpuProposer::propose(const Tasks& tasks, core::ProposalBatch& batch, Worker& worker) const {
  const core::Copies& copies = graph_.copies();
  bool all_are_copies = true;
  bool are_full = true;
  for (NodeId node = tasks.begin; node < tasks.end; ++node) {
    if (copies.is_copy(node)) {
      propose_nothing(node, batch);
      continue;
    }
    all_are_copies = false;
    propose_above({node, tasks.version}, batch, worker);
    are_full &= worker.scratch.list.size() == graph_.params().ef_construction;
    std::swap(worker.scratch.list, worker.lists[node - tasks.begin]);
  }
  if (all_are_copies) return;
  if (has_codes_ && are_full) {
    merge_tails_by_codes(tasks, worker);
  } else {
    merge_tails(tasks, worker);
  }
  for (NodeId node = tasks.begin; node < tasks.end; ++node) {
    if (copies.is_copy(node)) continue;
    select_neighbors(worker.lists[node - tasks.begin], batch.list(node, 0), worker);
  }
}

void CpuProposer::propose_nothing(NodeId node, core::ProposalBatch& batch) const {
  const std::size_t lists = graph_.level(node) + std::size_t{1};
  std::fill_n(batch.list(node, 0), lists * batch.M, core::kNoNode);
}

void CpuProposer::propose_above(const Task& task, core::ProposalBatch& batch,
                                Worker& worker) const {
  const std::uint32_t level = graph_.level(task.node);
  const bool has_sealed = task.version.entry.node != core::kNoNode;
  begin_node(task.node, worker);
  Key from = has_sealed ? descend(task, worker) : core::kWorstKey;
  for (std::uint32_t layer = level + 1; layer-- > 0;) {
    worker.scratch.list.reset(graph_.params().ef_construction);
    if (has_sealed && layer <= task.version.entry.level) {
      search_layer(task, layer, from, worker);
      if (worker.scratch.list.size() > 0) from = worker.scratch.list.key(0);
      if (walks_by_codes_) {
        rescore(scorer_, worker.query, graph_.params().ef_construction, worker.scratch);
      }
    }
    if (layer == 0) return;
    merge_tail(task, layer, worker);
    select_neighbors(worker.scratch.list, batch.list(task.node, layer), worker);
  }
}

// From the sealed entry point to the closest node of the layer above the node's own level.
Key CpuProposer::descend(const Task& task, Worker& worker) const {
  const Stopwatch watch(worker.stats.descent.seconds);
  ++worker.stats.descent.count;
  const Query& query = worker.walk_query;
  float distance;
  walk_.score(query, &task.version.entry.node, 1, &distance);
  ++worker.scratch.counts.distances;
  Key closest = core::make_key(distance, task.version.entry.node);
  for (std::uint32_t layer = task.version.entry.level; layer > graph_.level(task.node); --layer) {
    const auto visit_links = [&](NodeId node, const auto& visit) {
      graph_.visit_sealed(task.version, node, layer, visit);
    };
    closest = greedy_descent(walk_, query, closest, visit_links, worker.scratch);
  }
  return closest;
}

void CpuProposer::search_layer(const Task& task, std::uint32_t layer, Key from,
                               Worker& worker) const {
  const Stopwatch watch(worker.stats.beam_search.seconds);
  ++worker.stats.beam_search.count;
  const std::uint32_t ef = graph_.params().ef_construction;
  if (graph_.tombstones_linked() == 0) {
    return search_layer(walk_, worker.walk_query, task.version, layer, from, ef, core::AllIds{},
                        worker);
  }
  search_layer(walk_, worker.walk_query, task.version, layer, from, ef,
               LivingIds(graph_, task.node + 1), worker);
}

template <class Accept>
void CpuProposer::search_layer(const Scorer& scorer, const Query& query,
                               const core::SealedVersion& version, std::uint32_t layer, Key from,
                               std::uint32_t ef, const Accept& accept, Worker& worker) const {
  const auto visit_links = [&](NodeId node, const auto& visit) {
    graph_.visit_sealed(version, node, layer, visit);
  };
  const auto prefetch_links = [&](NodeId node) {
    graph_.table_of(layer).prefetch(graph_.list(node, layer));
  };
  beam_search(scorer, query, from, ef, visit_links, prefetch_links, core::UnlimitedReach{}, accept,
              worker.scratch);
}

// Exact distances to the nodes that were inserted since the sealed version.
void CpuProposer::merge_tail(const Task& task, std::uint32_t layer, Worker& worker) const {
  const Stopwatch watch(worker.stats.tail.seconds);
  const bool asks = must_ask();
  for (NodeId id = task.version.end; id < task.node; ++id) {
    if (graph_.level(id) < layer || (asks && !is_candidate(id, task.node))) continue;
    float distance;
    scorer_.score(worker.query, &id, 1, &distance);
    worker.scratch.list.insert(core::make_key(distance, id));
    ++worker.stats.tail.count;
  }
}

template <class IdOf>
void CpuProposer::offer(NodeId node, std::size_t n, const IdOf& id_of, const float* distances,
                        CandidateList& list) const {
  const bool asks = must_ask();
  float worst = list.worst_distance();
  for (std::size_t j = 0; j < n; ++j) {
    if (distances[j] > worst) continue;
    const NodeId id = id_of(j);
    if (asks && !is_candidate(id, node)) continue;
    list.insert(core::make_key(distances[j], id));
    worst = list.worst_distance();
  }
}

void CpuProposer::merge_tails(const Tasks& tasks, Worker& worker) const {
  const Stopwatch watch(worker.stats.tail.seconds);
  constexpr auto kRows = static_cast<NodeId>(kTailRows);
  const NodeId nodes = tasks.end - tasks.begin;
  const Query queries = scorer_.as_queries(tasks.begin, nodes, worker.widened.data());
  for (NodeId first = tasks.version.end; first + 1 < tasks.end; first += kRows) {
    const NodeId rows = std::min(kRows, tasks.end - 1 - first);
    scorer_.score_block(queries, nodes, first, rows, worker.tail_distances.data(), kTailRows);
    for (NodeId node = std::max(tasks.begin, first + 1); node < tasks.end; ++node) {
      if (graph_.copies().is_copy(node)) continue;
      const std::size_t number = node - tasks.begin;
      const float* const distances = &worker.tail_distances[number * kTailRows];
      const auto id_of = [first](std::size_t j) { return first + static_cast<NodeId>(j); };
      offer(node, std::min(rows, node - first), id_of, distances, worker.lists[number]);
    }
  }
  for (NodeId node = tasks.begin; node < tasks.end; ++node) {
    worker.stats.tail.count += node - tasks.version.end;
  }
}

void CpuProposer::merge_tails_by_codes(const Tasks& tasks, Worker& worker) const {
  const Stopwatch watch(worker.stats.tail.seconds);
  constexpr auto kRows = static_cast<NodeId>(kCodeRows);
  Scratch& scratch = worker.scratch;
  std::array<CodeQuery, kNodesAtOnce> queries;
  const NodeId nodes = tasks.end - tasks.begin;
  for (NodeId i = 0; i < nodes; ++i) {
    queries[i] = codes_->query(tasks.begin + i, &worker.query_codes[i * codes_->query_bytes()]);
  }
  for (NodeId first = codes_->first(); first + 1 < tasks.end; first += kRows) {
    const NodeId rows = std::min(kRows, tasks.end - 1 - first);
    codes_->bound(queries.data(), nodes, first - codes_->first(), rows, worker.bounds.data(),
                  kCodeRows);
    const NodeId begin = std::max(first, tasks.version.end);
    for (NodeId i = 0; i < nodes; ++i) {
      const NodeId node = tasks.begin + i;
      if (graph_.copies().is_copy(node)) continue;
      CandidateList& list = worker.lists[i];
      const float* const bounds = &worker.bounds[i * kCodeRows];
      const float worst = list.worst_distance();
      std::uint32_t n = 0;
      for (NodeId id = begin; id < std::min(first + rows, node); ++id) {
        scratch.ids[n] = id;
        n += bounds[id - first] <= worst ? 1 : 0;
      }
      scorer_.score(scorer_.as_query(node, worker.widened.data()), scratch.ids.data(), n,
                    scratch.distances.data());
      offer(
          node, n, [&](std::size_t j) { return scratch.ids[j]; }, scratch.distances.data(), list);
      worker.stats.tail.count += n;
    }
  }
}

// Neighbor selection heuristic (Malkov & Yashunin, algorithm 4): a candidate is kept unless it is
// nearer to one already kept than to the node. Candidates come in blocks, since many distances to
// one kept node cost less than one to each of many; a distance is the same from either end.
void CpuProposer::select_neighbors(const CandidateList& list, NodeId* out, Worker& worker) const {
  const Stopwatch watch(worker.stats.selection.seconds);
  ++worker.stats.selection.count;
  const std::uint32_t M = graph_.params().M;
  std::uint32_t kept = 0;
  for (std::size_t first = 0; first < list.size() && kept < M; first += Block::kSize) {
    Block block;
    block.end = static_cast<std::uint32_t>(std::min(Block::kSize, list.size() - first));
    for (std::uint32_t c = 0; c < block.end; ++c) {
      block.ids[c] = core::key_id(list.key(first + c));
      block.distances[c] = core::key_distance(list.key(first + c));
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

const core::ListScores& CpuProposer::score(const core::OverfullLists& batch) {
  prepare_workers();
  scores_.words = (2 * graph_.base().max_degree() + 63) / 64;
  scores_.ranking.resize(batch.ids.size());
  scores_.dominators.assign(batch.ids.size() * scores_.words, 0);
  pool_.parallel_for(batch.lists.size(), 4,
                     [&](unsigned worker, std::size_t first, std::size_t last) {
                       const Stopwatch watch(workers_[worker].stats.score.seconds);
                       for (std::size_t i = first; i < last; ++i)
                         score_list(batch, batch.lists[i], workers_[worker]);
                       workers_[worker].stats.score.count += last - first;
                     });
  collect_stats();
  return scores_;
}

void CpuProposer::score_list(const core::OverfullLists& batch, const core::OverfullList& list,
                             Worker& worker) {
  Scratch& scratch = worker.scratch;
  const NodeId* ids = batch.ids.data() + list.first;
  std::uint8_t* ranking = scores_.ranking.data() + list.first;
  for (std::uint32_t j = 0; j < list.count; ++j) scorer_.prefetch(ids[j]);
  scorer_.score(scorer_.as_query(list.node, worker.widened.data()), ids, list.count,
                scratch.distances.data());
  for (std::uint32_t j = 0; j < list.count; ++j) {
    worker.keys[j] = core::make_key(scratch.distances[j], ids[j]);
    ranking[j] = static_cast<std::uint8_t>(j);
  }
  std::sort(ranking, ranking + list.count,
            [&](std::uint8_t a, std::uint8_t b) { return worker.keys[a] < worker.keys[b]; });

  for (std::uint32_t b = 0; b < list.count; ++b) scratch.ids[b] = ids[ranking[b]];
  for (std::uint32_t b = 1; b < list.count; ++b) {
    const float distance = core::key_distance(worker.keys[ranking[b]]);
    scorer_.score(scorer_.as_query(scratch.ids[b], worker.widened.data()), scratch.ids.data(), b,
                  scratch.distances.data());
    std::uint64_t* dominators = &scores_.dominators[std::size_t{list.first + b} * scores_.words];
    for (std::uint32_t a = 0; a < b; ++a) {
      dominators[a / 64] |= std::uint64_t{scratch.distances[a] < distance} << (a % 64);
    }
  }
  scratch.counts.distances += list.count + std::uint64_t{list.count} * (list.count - 1) / 2;
}

// ------------------------------------------------------------------------------------ tombstones

std::span<const core::Edge> CpuProposer::relate(const core::Neighborhoods& sets) {
  prepare_workers();
  std::vector<std::vector<core::Edge>> edges(sets.size());
  pool_.parallel_for(sets.size(), 4, [&](unsigned worker, std::size_t first, std::size_t last) {
    for (std::size_t i = first; i < last; ++i) relate_set(sets.set(i), edges[i], workers_[worker]);
  });
  collect_stats();
  edges_.clear();
  for (const auto& some : edges) edges_.insert(edges_.end(), some.begin(), some.end());
  return edges_;
}

void CpuProposer::relate_set(std::span<const NodeId> set, std::vector<core::Edge>& edges,
                             Worker& worker) const {
  std::vector<NodeId> ids(set.begin(), set.end());
  std::sort(ids.begin(), ids.end());
  const std::size_t n = ids.size();
  for (const NodeId id : ids) scorer_.prefetch(id);
  worker.matrix.resize(n * n);
  for (std::size_t i = 1; i < n; ++i) {
    scorer_.score(scorer_.as_query(ids[i], worker.widened.data()), ids.data(), i,
                  &worker.matrix[i * n]);
  }
  worker.scratch.counts.distances += n * (n - 1) / 2;
  // Ids ascend, so the key of a pair is (distance, place of the lesser, place of the greater).
  const auto key = [&](std::size_t a, std::size_t b) {
    const auto [low, high] = std::minmax(a, b);
    return std::tuple(core::ordered_bits(worker.matrix[high * n + low]), low, high);
  };
  const auto is_edge = [&](std::size_t a, std::size_t b) {
    for (std::size_t c = 0; c < n; ++c) {
      if (c != a && c != b && key(a, c) < key(a, b) && key(b, c) < key(a, b)) return false;
    }
    return true;
  };
  std::vector<std::tuple<std::uint32_t, std::size_t, std::size_t>> found;
  for (std::size_t b = 1; b < n; ++b) {
    for (std::size_t a = 0; a < b; ++a) {
      if (is_edge(a, b)) found.push_back(key(a, b));
    }
  }
  std::sort(found.begin(), found.end());
  for (const auto& [distance, a, b] : found) edges.push_back({ids[a], ids[b]});
}

std::span<const NodeId> CpuProposer::propose_again(std::span<const core::ListName> lists) {
  prepare_workers();
  const std::uint32_t M = graph_.params().M;
  again_.assign(lists.size() * M, core::kNoNode);
  // The live graph, which stands still.
  const core::SealedVersion version{graph_.size(), ~std::uint32_t{0}, false, graph_.entry_point()};
  pool_.parallel_for(lists.size(), 4, [&](unsigned number, std::size_t first, std::size_t last) {
    Worker& worker = workers_[number];
    for (std::size_t i = first; i < last; ++i) {
      const auto [node, layer] = lists[i];
      worker.query = scorer_.as_query(node, worker.scratch.query.data());
      float distance;
      scorer_.score(worker.query, &node, 1, &distance);
      ++worker.scratch.counts.distances;
      search_layer(scorer_, worker.query, version, layer, core::make_key(distance, node), kWidth,
                   OtherLivingIds(graph_, version.end, node), worker);
      select_neighbors(worker.scratch.list, &again_[i * M], worker);
    }
  });
  collect_stats();
  return again_;
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
    move(stats_.score, worker.stats.score);
    stats_.hops += worker.scratch.counts.hops;
    worker.scratch.counts = {};
  }
}

}  // namespace concord::cpu
