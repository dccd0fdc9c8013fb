#include "bench/micro/filter_rivals.hpp"

#include <algorithm>
#include <utility>

#include "common/index/index_access.hpp"
#include "common/search/filter_rule.hpp"

namespace concord::bench {

using core::Key;
using core::NodeId;

const char* name_of(Rival rival) {
  switch (rival) {
    case Rival::scan:
      return "scan";
    case Rival::sweep:
      return "sweep";
    case Rival::bounded:
      return "bounded";
    case Rival::post_filter:
      return "post-filter";
    case Rival::two_hop:
      return "two-hop";
  }
  return "";
}

MatchIds::MatchIds(std::span<const std::uint8_t> bytes) : mask(bytes) {
  for (std::size_t id = 0; id < mask.size(); ++id) {
    if (mask[id] != 0) ids.push_back(static_cast<NodeId>(id));
  }
}

FilterRivals::FilterRivals(const Index& index)
    : graph_(IndexAccess::contents(index).graph),
      vectors_(IndexAccess::contents(index).vectors),
      scorer_(vectors_, cpu::for_metric(cpu::choose_kernels(), graph_.params().metric)),
      vector_(vectors_.stride()),
      bytes_(vectors_.stride()),
      met_(graph_.size()),
      crossed_(graph_.size()) {}

std::vector<Key> FilterRivals::answer(Rival rival, const float* query, const MatchIds& matches,
                                      std::size_t k, std::size_t ef, Work& work) {
  vectors_.prepare(query, vector_.data(), "query", 0);
  query_ = scorer_.as_query(vector_.data(), bytes_.data());
  ++search_;
  seen_.clear();
  frontier_ = {};
  work_ = {};
  ef = std::max(ef, k);
  const auto own_list = [&](NodeId node) { meet(list_of(node, 0)); };
  if (rival == Rival::scan) {
    meet(matches.ids);
  } else {
    const NodeId start = descend();
    if (rival != Rival::two_hop || matches.mask[start] != 0) meet({&start, 1});
    if (rival == Rival::sweep) walk(ef, matches.mask.data(), own_list);
    if (rival == Rival::bounded) walk(ef, nullptr, own_list);
    if (rival == Rival::post_filter) post_filter(matches, k, ef);
    if (rival == Rival::two_hop) {
      if (matches.mask[start] == 0) expand_two_hop(start, matches);
      meet_seeds(matches);
      walk(ef, nullptr, [&](NodeId node) { expand_two_hop(node, matches); });
    }
  }
  work.distances += work_.distances;
  work.lists += work_.lists;
  return nearest_matches(matches, k);
}

bool FilterRivals::mark(std::vector<std::uint32_t>& marks, NodeId node) const {
  return std::exchange(marks[node], search_) != search_;
}

void FilterRivals::meet(std::span<const NodeId> ids) {
  fresh_.clear();
  for (const NodeId id : ids) {
    if (mark(met_, id)) fresh_.push_back(id);
  }
  distances_.resize(fresh_.size());
  scorer_.score(query_, fresh_.data(), fresh_.size(), distances_.data());
  work_.distances += fresh_.size();
  for (std::size_t i = 0; i < fresh_.size(); ++i) {
    seen_.push_back(core::make_key(distances_[i], fresh_[i]));
    frontier_.push(seen_.back());
  }
}

void FilterRivals::meet_seeds(const MatchIds& matches) {
  for (std::uint32_t i = 0; i < core::FilterRule::kSeeds && !matches.ids.empty(); ++i) {
    const NodeId seed = matches.ids[core::FilterRule::seed_rank(i, matches.ids.size())];
    if (graph_.is_linked(seed)) meet({&seed, 1});
  }
}

template <class Expand>
void FilterRivals::walk(std::size_t ef, const std::uint8_t* ranks, const Expand& expand) {
  Nearest nearest;
  for (std::size_t ranked = 0;;) {
    for (; ranked < seen_.size(); ++ranked) {
      if (ranks != nullptr && ranks[core::key_id(seen_[ranked])] == 0) continue;
      nearest.push(seen_[ranked]);
      if (nearest.size() > ef) nearest.pop();
    }
    if (frontier_.empty()) return;
    if (nearest.size() == ef && nearest.top() < frontier_.top()) return;
    const NodeId node = core::key_id(frontier_.top());
    frontier_.pop();
    expand(node);
  }
}

std::span<const NodeId> FilterRivals::list_of(NodeId node, std::uint32_t layer) {
  list_.clear();
  graph_.visit_live(graph_.live(), node, layer, [&](NodeId id, bool shown) {
    if (shown) list_.push_back(id);
  });
  ++work_.lists;
  return list_;
}

NodeId FilterRivals::descend() {
  const core::EntryPoint entry = graph_.entry_point();
  float distance = 0;
  scorer_.score(query_, &entry.node, 1, &distance);
  ++work_.distances;
  Key closest = core::make_key(distance, entry.node);
  for (std::uint32_t layer = entry.level; layer > 0; --layer) {
    for (Key before = core::kWorstKey; closest < before;) {
      before = closest;
      const std::span<const NodeId> list = list_of(core::key_id(closest), layer);
      distances_.resize(list.size());
      scorer_.score(query_, list.data(), list.size(), distances_.data());
      work_.distances += list.size();
      for (std::size_t i = 0; i < list.size(); ++i) {
        closest = std::min(closest, core::make_key(distances_[i], list[i]));
      }
    }
  }
  return core::key_id(closest);
}

void FilterRivals::expand_two_hop(NodeId node, const MatchIds& matches) {
  const auto meet_matches = [&](std::span<const NodeId> list) {
    list_.erase(std::remove_if(list_.begin(), list_.end(),
                               [&](NodeId id) { return matches.mask[id] == 0; }),
                list_.end());
    meet(list.first(list_.size()));
  };
  const std::span<const NodeId> own = list_of(node, 0);
  bridges_.clear();
  for (const NodeId id : own) {
    if (matches.mask[id] == 0 && mark(crossed_, id)) bridges_.push_back(id);
  }
  meet_matches(own);
  for (const NodeId bridge : bridges_) meet_matches(list_of(bridge, 0));
}

void FilterRivals::post_filter(const MatchIds& matches, std::size_t k, std::size_t ef) {
  const std::size_t wanted = std::min(k, matches.ids.size());
  for (;; ef *= 2) {
    walk(ef, nullptr, [&](NodeId node) { meet(list_of(node, 0)); });
    std::vector<Key> nearest = seen_;
    const auto end = nearest.begin() + static_cast<std::ptrdiff_t>(std::min(ef, nearest.size()));
    std::nth_element(nearest.begin(), end, nearest.end());
    const auto found = std::count_if(nearest.begin(), end,
                                     [&](Key key) { return matches.mask[core::key_id(key)] != 0; });
    if (static_cast<std::size_t>(found) >= wanted || frontier_.empty()) return;
  }
}

std::vector<Key> FilterRivals::nearest_matches(const MatchIds& matches, std::size_t k) const {
  std::vector<Key> found;
  for (const Key key : seen_) {
    if (matches.mask[core::key_id(key)] != 0) found.push_back(key);
  }
  std::sort(found.begin(), found.end());
  found.resize(std::min(found.size(), k));
  return found;
}

}  // namespace concord::bench
