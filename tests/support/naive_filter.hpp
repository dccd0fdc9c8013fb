// The rule of a filtered search and the definition of a range search (ARCHITECTURE.md, "A filtered
// search" and "A range search"), written down once more: with sets that forget nothing. Walks and
// scans find nodes; in the end each becomes the matches that it stands for.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include "cpu/scorer.hpp"
#include "tests/support/graph_builder.hpp"

namespace concord::test {

/// Which way a query went.
enum class Way { nothing, all, scan, walk, costly, at_this_rate, fell_short };
/// The same for a range search.
enum class RangeWay { list_is_enough, closure, too_many, too_costly, no_walk };

class NaiveFilter {
 public:
  using Keys = std::set<core::Key>;

  /// `ids` are those of the filter when it was made; `alive(id)` tells which can still be found.
  NaiveFilter(const core::Graph& graph, const core::VectorStore& vectors,
              const cpu::MetricKernels& kernels, std::vector<core::NodeId> ids,
              const std::function<bool(core::NodeId)>& alive)
      : graph_(graph),
        links_(all_links(graph)),
        vectors_(vectors),
        scorer_(vectors, kernels),
        walk_(vectors.codes().are_ready() ? cpu::Scorer::of_codes(vectors, kernels) : scorer_),
        ids_(std::move(ids)) {
    const core::Copies& copies = graph.copies();
    std::set<core::NodeId> nodes;
    for (const core::NodeId id : ids_) nodes.insert(copies.node_of(id));
    nodes_.assign(nodes.begin(), nodes.end());
    for (const core::NodeId id : ids_) {
      if (!alive(id)) continue;
      matches_.insert(id);
      matching_nodes_.insert(copies.node_of(id));
      stands_for_[copies.node_of(id)].push_back(id);
    }
    for (core::NodeId id = 0; id < graph.size(); ++id) {
      if (alive(id)) living_nodes_.insert(copies.node_of(id));
    }
    n_ = living_nodes_.size();
  }

  /// The results for a query in its stored form, nearest first.
  std::vector<core::Key> search(const float* vector, const SearchParams& params) {
    return expanded(search_nodes(vector, params), params.k);
  }

  /// The nodes that they stand for.
  std::vector<core::Key> search_nodes(const float* vector, const SearchParams& params) {
    ask(vector, params.use_codes && vectors_.codes().are_ready());
    const std::uint64_t ef = std::max(params.ef, params.k);
    const std::uint64_t hops =
        std::isinf(params.slack) ? ef : std::min<std::uint64_t>(ef, 4ull * params.k);
    width_ = std::max<std::uint64_t>(hops, 16);
    const std::uint64_t m = matching_nodes_.size();
    if (m == 0 || params.k == 0) return ended(Way::nothing, {}, 0);
    if (m == n_)
      return ended(Way::all, rescored(walk(params, living_nodes_, false).first, params), params.k);
    if (m * vectors_.stride() <= 8192 * width_) return ended(Way::scan, scan(), params.k);
    const auto [found, way] = walk(params, matching_nodes_, true);
    if (way != Way::walk) return ended(way, scan(), params.k);
    if (found.size() < std::min<std::size_t>(params.k, m)) {
      return ended(Way::fell_short, scan(), params.k);
    }
    return ended(Way::walk, rescored(found, params), params.k);
  }

  /// All that may be found, nearest first.
  std::vector<core::Key> all(const float* vector) {
    ask(vector, false);
    const Keys keys = scan();
    return expanded({keys.begin(), keys.end()});
  }
  /// The first `most` matches that nodes stand for.
  [[nodiscard]] std::vector<core::Key> expanded(const std::vector<core::Key>& nodes,
                                                std::size_t most = ~std::size_t{0}) const {
    // By (distance, rank): the first has the node's, any other its own id.
    std::vector<std::pair<core::Key, core::NodeId>> ranked;
    for (const core::Key node : nodes) {
      const std::vector<core::NodeId>& ids = stands_for_.at(core::key_id(node));
      for (const core::NodeId id : ids) {
        const bool is_first = id == ids.front();
        ranked.emplace_back(is_first ? node : core::make_key(core::key_distance(node), id), id);
      }
    }
    std::sort(ranked.begin(), ranked.end());
    std::vector<core::Key> keys;
    for (const auto& [order, id] : ranked) {
      if (keys.size() < most) keys.push_back(core::make_key(core::key_distance(order), id));
    }
    return keys;
  }
  /// Nodes that stand for a match.
  [[nodiscard]] std::size_t matches() const noexcept { return matching_nodes_.size(); }
  /// Whether the last search ended in a scan.
  [[nodiscard]] bool has_scanned() const noexcept {
    return last_way_ != Way::all && last_way_ != Way::walk;
  }

  /// The hits of a range search, nearest first.
  std::vector<core::Key> range(const float* vector, float radius, const RangeParams& params) {
    const std::size_t limit = params.limit ? *params.limit : ~std::size_t{0};
    const auto width =
        params.limit ? std::max(params.ef, *params.limit) : params.ef;  // of the list L
    const std::vector<core::Key> list =
        search_nodes(vector, {.k = width, .ef = width, .use_codes = false});
    const auto ended = [&](RangeWay way, const Keys& keys) {
      ++range_ways[way];
      std::vector<core::Key> hits;
      for (const core::Key key : keys) {
        if (core::key_distance(key) <= radius) hits.push_back(key);
      }
      return expanded(hits, limit);
    };
    if (has_scanned()) return ended(RangeWay::no_walk, scan());
    if (list.size() >= limit && (limit == 0 || core::key_distance(list[limit - 1]) <= radius)) {
      return ended(RangeWay::list_is_enough, Keys(list.begin(), list.end()));
    }
    const float reach = std::isinf(params.slack)
                            ? params.slack
                            : radius * ((1.0f + params.slack) * (1.0f + params.slack));
    const bool derived = last_way_ == Way::walk;
    Keys closure;
    std::vector<bool> is_met(graph_.size());
    std::vector<core::NodeId> queue;
    const auto meet = [&](core::Key key) {
      const core::NodeId id = core::key_id(key);
      if (core::key_distance(key) > reach || is_met[id]) return;
      is_met[id] = true;
      closure.insert(key);
      queue.push_back(id);
    };
    for (const core::Key key : list) meet(key);
    std::uint64_t work = 0;
    while (!queue.empty()) {
      const core::NodeId node = queue.back();  // the last one: another order than the library's
      queue.pop_back();
      const auto [next, cost] =
          derived ? neighbors(node) : std::pair(links_[node][0], std::uint64_t{1});
      work += cost;
      for (const core::NodeId id : next) meet(key_of(id));
    }
    if (closure.size() > matches() / 16) return ended(RangeWay::too_many, scan());
    if (derived && work > matches()) return ended(RangeWay::too_costly, scan());
    std::erase_if(closure,
                  [&](core::Key key) { return !matching_nodes_.contains(core::key_id(key)); });
    return ended(RangeWay::closure, closure);
  }

  std::map<Way, std::size_t> ways;
  std::map<RangeWay, std::size_t> range_ways;

 private:
  [[nodiscard]] core::Key key_of(core::NodeId id) const { return keys_[id]; }
  [[nodiscard]] core::Key walk_key_of(core::NodeId id) const {
    return by_codes_ ? estimates_[id] : keys_[id];
  }
  /// Scores all nodes for a query in its stored form.
  void ask(const float* vector, bool by_codes) {
    by_codes_ = by_codes;
    keys_ = score_all(scorer_, vector);
    if (by_codes) estimates_ = score_all(walk_, vector);
  }
  std::vector<core::Key> score_all(const cpu::Scorer& scorer, const float* vector) const {
    std::vector<std::uint8_t> bytes(vectors_.stride() + vectors_.codes().query_bytes());
    const cpu::Query query = scorer.as_query(vector, bytes.data());
    std::vector<core::Key> keys(graph_.size());
    for (core::NodeId id = 0; id < keys.size(); ++id) {
      float distance = 0;
      scorer.score(query, &id, 1, &distance);
      keys[id] = core::make_key(distance, id);
    }
    return keys;
  }
  /// What a walk has found, as the search returns it: by codes, so many of the nearest by estimate.
  Keys rescored(const Keys& found, const SearchParams& params) const {
    if (!by_codes_) return found;
    const std::uint32_t k = params.k;
    const bool is_sq4 = vectors_.codes().kind() == Codes::sq4;
    const std::uint32_t enough = is_sq4 ? std::max(4 * k, k + 30) : std::max(2 * k, k + 10);
    std::uint32_t most = params.rescore == 0 ? enough : params.rescore;
    most = std::min(std::max(most, k), std::max(params.ef, k));
    Keys keys;
    for (const core::Key key : found) {
      if (keys.size() < most) keys.insert(key_of(core::key_id(key)));
    }
    return keys;
  }
  std::vector<core::Key> ended(Way way, const Keys& keys, std::size_t k) {
    ++ways[way];
    last_way_ = way;
    std::vector<core::Key> nearest(keys.begin(), keys.end());
    if (nearest.size() > k) nearest.resize(k);
    return nearest;
  }
  Keys scan() const {
    Keys keys;
    for (const core::NodeId id : matching_nodes_) keys.insert(key_of(id));
    return keys;
  }
  core::Key descend() const {
    const core::EntryPoint entry = graph_.entry_point();
    core::Key nearest = walk_key_of(entry.node);
    for (std::uint32_t layer = entry.level; layer > 0; --layer) {
      for (core::Key from = 0; from != nearest;) {
        from = nearest;
        for (const core::NodeId id : links_[core::key_id(from)][layer]) {
          nearest = std::min(nearest, walk_key_of(id));
        }
      }
    }
    return nearest;
  }

  /// The neighbors of a node in the derived graph, and the work of finding them.
  std::pair<std::vector<core::NodeId>, std::uint64_t> neighbors(core::NodeId node) const {
    std::vector<core::NodeId> matching;
    std::vector<core::NodeId> queue;
    const auto& row = links_[node][0];
    for (const core::NodeId id : row) {
      (matching_nodes_.contains(id) ? matching : queue).push_back(id);
    }
    const std::uint64_t c = matching.size();
    const std::uint64_t M = graph_.params().M;
    if (c >= M) return {matching, 1};
    const std::uint64_t wanted = std::max<std::uint64_t>(2 * M, 16);
    const std::uint64_t share =
        std::max<std::uint64_t>({c * n_, static_cast<std::uint64_t>(matches()) * row.size(), 1});
    const std::uint64_t lists =
        std::min<std::uint64_t>(512, ((wanted - c) * n_ + share - 1) / share);
    for (std::size_t i = 0; i < queue.size() && i < lists; ++i) {
      for (const core::NodeId id : links_[queue[i]][0]) {
        if (matching_nodes_.contains(id)) {
          matching.push_back(id);
        } else if (queue.size() < lists) {
          queue.push_back(id);
        }
      }
    }
    return {matching, 1 + lists};
  }

  /// A beam search among `nodes`: of the derived graph, or of the graph itself.
  std::pair<Keys, Way> walk(const SearchParams& params, const std::set<core::NodeId>& nodes,
                            bool derived) const {
    const std::uint64_t ef = std::max(params.ef, params.k);
    const float factor = (1.0f + params.slack) * (1.0f + params.slack);
    Keys best;
    Keys open;
    std::set<core::NodeId> seen;
    std::uint64_t work = 0;
    const auto see = [&](core::NodeId id) {
      if (!seen.insert(id).second) return;
      const core::Key key = walk_key_of(id);
      open.insert(key);
      if (nodes.contains(id)) best.insert(key);
      if (best.size() > ef) open.erase(best.extract(std::prev(best.end())).value());
    };
    const auto expand = [&](core::NodeId id) {
      const auto [next, cost] =
          derived ? neighbors(id) : std::pair(links_[id][0], std::uint64_t{1});
      work += cost;
      for (const core::NodeId other : next) see(other);
    };
    const core::NodeId nearest = core::key_id(descend());
    if (!derived || nodes.contains(nearest)) {
      see(nearest);
    } else {
      expand(nearest);
    }
    for (std::uint64_t i = 0; derived && i < 64; ++i) {
      const core::NodeId seed = nodes_[(2 * i + 1) * nodes_.size() / 128];
      if (matching_nodes_.contains(seed)) see(seed);
    }
    for (std::uint64_t hops = 1; !open.empty(); ++hops) {
      const core::Key next = *open.begin();
      if (best.size() == ef && next > *best.rbegin()) break;
      if (!std::isinf(factor) && best.size() >= params.k) {
        const float kth = core::key_distance(*std::next(best.begin(), params.k - 1));
        if (core::key_distance(next) > (kth < 0 ? 0.0f : kth * factor)) break;
      }
      open.erase(open.begin());
      expand(core::key_id(next));
      const std::uint64_t m = matches();
      if (!derived) continue;
      if (work > m) return {{}, Way::costly};
      if (hops >= 8 && hops < width_ && 512 * work * width_ > hops * m * vectors_.stride()) {
        return {{}, Way::at_this_rate};
      }
    }
    return {best, Way::walk};
  }

  const core::Graph& graph_;
  Links links_;
  const core::VectorStore& vectors_;
  cpu::Scorer scorer_;
  cpu::Scorer walk_;                  ///< by codes, where there are any
  bool by_codes_ = false;             ///< whether the query at hand walks by them
  std::vector<core::Key> keys_;       ///< of all nodes, for the query at hand
  std::vector<core::Key> estimates_;  ///< likewise; unused without codes
  Way last_way_ = Way::nothing;
  std::vector<core::NodeId> ids_, nodes_;  ///< of the filter when it was made
  std::set<core::NodeId> matches_;
  std::set<core::NodeId> matching_nodes_;
  std::map<core::NodeId, std::vector<core::NodeId>> stands_for_;  ///< matches, in order
  std::set<core::NodeId> living_nodes_;
  std::uint64_t n_ = 0;
  std::uint64_t width_ = 0;
};

}  // namespace concord::test
