#include "tests/support/graph_builder.hpp"

#include <algorithm>
#include <numeric>

namespace concord::test {

using core::kNoNode;
using core::NodeId;

IndexParams make_params(std::uint32_t dimension, std::uint32_t M, std::uint32_t ef_construction,
                        std::uint32_t epoch_limit, Metric metric) {
  IndexParams params;
  params.dimension = dimension;
  params.metric = metric;
  params.M = M;
  params.ef_construction = ef_construction;
  params.epoch_limit = epoch_limit;
  return params;
}

Links all_links(const core::Graph& graph) {
  Links links(graph.size());
  std::vector<NodeId> ids(core::kMaxListCapacity);
  for (NodeId node = 0; node < graph.size(); ++node) {
    for (std::uint32_t layer = 0; layer <= graph.level(node); ++layer) {
      const std::uint32_t n = graph.read(node, layer, ids.data());
      links[node].emplace_back(ids.begin(), ids.begin() + n);
    }
  }
  return links;
}

// ---------------------------------------------------------------------------------- GraphBuilder

GraphBuilder::GraphBuilder(const IndexParams& params, const Matrix& data, unsigned threads,
                           core::Cutters* cutters)
    : pool(threads),
      contents(params),
      committer(graph, stats, cutters),
      proposer(contents, cpu::for_metric(cpu::choose_kernels(), params.metric), pool, stats) {
  vectors.resize(data.rows);
  vectors.write(0, data.view(), pool);
  graph.announce(static_cast<NodeId>(data.rows));
}

core::ProposalBatch GraphBuilder::propose(const core::Epoch& epoch, NodeId begin, NodeId end) {
  proposer.start(epoch, begin, end, {});
  return *proposer.finish({});
}

void GraphBuilder::step() {
  const NodeId node = graph.size();
  commit(propose(graph.epoch(), node, node + 1));
  seal_if_due();
}

void GraphBuilder::seal_if_due() {
  if (committer.seal_is_due()) committer.seal(proposer);
}

// ----------------------------------------------------------------------------- ArbitraryProposer

std::string ArbitraryProposer::name_of(Habit habit) {
  const char* const names[] = {"anything",   "first_node", "first_few", "one_recent",
                               "one_random", "hubs",       "mixed"};
  return names[static_cast<int>(habit)];
}

std::uint64_t ArbitraryProposer::draw(std::uint64_t below) { return hash(seed_, ++drawn_) % below; }

void ArbitraryProposer::start(const core::Epoch&, NodeId begin, NodeId end,
                              const core::StopRequest&) {
  current_ ^= 1;
  core::ProposalBatch& batch = batches_[current_];
  batch.reset(begin, end, graph_);
  std::fill(batch.ids.begin(), batch.ids.end(), kNoNode);
  for (NodeId node = begin; node < end; ++node) {
    for (std::uint32_t layer = 0; layer <= graph_.level(node); ++layer) {
      propose(node, layer, batch.list(node, layer));
    }
  }
}

const core::ProposalBatch* ArbitraryProposer::finish(const core::StopRequest&) {
  return &batches_[current_];
}

void ArbitraryProposer::propose(NodeId node, std::uint32_t layer, NodeId* out) {
  std::vector<NodeId> earlier;
  for (NodeId id = 0; id < node; ++id) {
    if (graph_.level(id) < layer || !graph_.is_linked(id) || graph_.gone(id) <= node) continue;
    earlier.push_back(id);
  }
  if (earlier.empty()) return;
  const std::uint32_t M = graph_.params().M;
  const auto take = [&](std::size_t count, std::size_t from_first) {
    from_first = std::min(from_first, earlier.size());
    count = std::min<std::size_t>({count, M, from_first});
    for (std::size_t i = 0; i < count; ++i) {
      std::swap(earlier[i], earlier[i + draw(from_first - i)]);
      out[i] = earlier[i];
    }
  };
  const Habit habit = habit_ == Habit::mixed
                          ? static_cast<Habit>(draw(static_cast<unsigned>(Habit::mixed)))
                          : habit_;
  switch (habit) {
    case Habit::anything:
      return take(1 + draw(M), earlier.size());
    case Habit::first_node:
      return take(1, 1);
    case Habit::first_few:
      return take(1 + draw(3), 3);
    case Habit::one_recent:
      out[0] = earlier.back();
      return;
    case Habit::one_random:
      return take(1, earlier.size());
    case Habit::hubs: {
      std::uint64_t below = earlier.size();
      for (int i = 0; i < 4; ++i) below = 1 + draw(below);
      out[0] = earlier[below - 1];
      return;
    }
    case Habit::mixed:
      return;
  }
}

const core::ListScores& ArbitraryProposer::score(const core::OverfullLists& batch) {
  scores_.words = (2 * graph_.base().max_degree() + 63) / 64;
  scores_.ranking.assign(batch.ids.size(), 0);
  scores_.dominators.assign(batch.ids.size() * scores_.words, 0);
  for (const core::OverfullList& list : batch.lists) {
    std::uint8_t* ranking = scores_.ranking.data() + list.first;
    std::iota(ranking, ranking + list.count, std::uint8_t{0});
    for (std::uint32_t b = list.count; b > 1; --b) std::swap(ranking[b - 1], ranking[draw(b)]);
    const std::uint64_t rarity = 1 + draw(64);
    for (std::uint32_t b = 0; b < list.count; ++b) {
      std::uint64_t* dominators = &scores_.dominators[std::size_t{list.first + b} * scores_.words];
      for (std::uint32_t a = 0; a < b; ++a) {
        dominators[a / 64] |= std::uint64_t{draw(rarity) == 0} << (a % 64);
      }
    }
  }
  return scores_;
}

// Some of the pairs of each set, in any order.
std::span<const core::Edge> ArbitraryProposer::relate(const core::Neighborhoods& sets) {
  edges_.clear();
  const std::uint64_t rarity = 1 + draw(8);
  for (std::size_t i = 0; i < sets.size(); ++i) {
    const auto first = static_cast<std::ptrdiff_t>(edges_.size());
    for (const NodeId a : sets.set(i)) {
      for (const NodeId b : sets.set(i)) {
        if (a < b && draw(rarity) == 0) edges_.push_back({a, b});
      }
    }
    for (std::size_t n = edges_.size() - static_cast<std::size_t>(first); n > 1; --n) {
      std::swap(edges_[edges_.size() - 1 - draw(n)], edges_[edges_.size() - n]);
    }
  }
  return edges_;
}

std::span<const NodeId> ArbitraryProposer::propose_again(std::span<const core::ListName> lists) {
  const std::uint32_t M = graph_.params().M;
  again_.assign(lists.size() * M, kNoNode);
  for (std::size_t i = 0; i < lists.size(); ++i) {
    std::vector<NodeId> others;
    for (NodeId id = 0; id < graph_.size(); ++id) {
      const bool lives = graph_.is_linked(id) && graph_.gone(id) == kNoNode;
      if (id != lists[i].node && lives && graph_.level(id) >= lists[i].layer) others.push_back(id);
    }
    for (std::uint32_t j = 0; j < std::min<std::size_t>(draw(M + 1), others.size()); ++j) {
      std::swap(others[j], others[j + draw(others.size() - j)]);
      again_[i * M + j] = others[j];
    }
  }
  return again_;
}

}  // namespace concord::test
