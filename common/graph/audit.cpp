#include "common/graph/audit.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace concord::core {
namespace {

constexpr std::size_t kMaxMessages = 20;

/// The rules for single nodes, lists and ids.
class Rules {
 public:
  explicit Rules(const Graph& graph) : graph_(graph), n_(graph.size()) {}

  [[nodiscard]] bool has_its_level(NodeId node) const {
    const IndexParams& params = graph_.params();
    return graph_.level(node) == level_of(params.seed, graph_.insertion(node), params.M);
  }
  /// False for a copy and for a node that was unlinked: they belong to no layer.
  [[nodiscard]] bool in_layer(NodeId id, std::uint32_t layer) const {
    return id < n_ && graph_.level(id) >= layer && is_linked(id);
  }
  [[nodiscard]] bool is_linked(NodeId id) const { return graph_.is_linked(id); }
  /// True for a copy, but not for one that was unlinked.
  [[nodiscard]] bool is_copy(NodeId id) const {
    return graph_.copies().is_copy(id) && !graph_.tombstones().is_unlinked(id);
  }
  [[nodiscard]] bool has_links(NodeId id) const {
    for (std::uint32_t layer = 0; layer <= graph_.level(id); ++layer) {
      const ListHeader& header = graph_.table_of(layer).header(graph_.list(id, layer));
      if ((header.degree | header.anchors | header.overflow | header.sealed_copy) != 0) return true;
    }
    return false;
  }
  /// Whether the chain of its node leads to a copy, from an earlier one that is linked.
  [[nodiscard]] bool is_in_chain(NodeId copy) const {
    const NodeId first = graph_.copies().first(copy);
    return first < copy && graph_.is_linked(first) && graph_.copies().is_next(copy);
  }
  /// The greatest degree with which a list can still be read.
  [[nodiscard]] std::uint32_t allowed_degree(NodeId node, std::uint32_t layer) const {
    const LinkTable& lists = graph_.table_of(layer);
    const ListHeader& header = lists.header(graph_.list(node, layer));
    const Epoch& epoch = graph_.epoch();
    const bool may_overflow = n_ > epoch.begin && header.touched_epoch == epoch.number;
    return may_overflow && header.overflow != 0 ? lists.capacity() : lists.max_degree();
  }

 private:
  const Graph& graph_;
  NodeId n_;
};

/// The whole report. Each check runs whatever the others have found.
class Audit {
 public:
  explicit Audit(const Graph& graph) : graph_(graph), rules_(graph), n_(graph.size()) {}

  AuditReport run() {
    report_.nodes = n_ - graph_.unlinked();
    check_levels_and_entry_point();
    for (std::uint32_t layer = 0; layer <= top_; ++layer) check_layer(layer);
    report_.edges /= 2;
    report_.ok = report_.unreachable + report_.asymmetric_edges + report_.broken_anchors +
                     report_.over_degree + report_.invalid_links + report_.entry_point_errors +
                     report_.level_errors + report_.copy_errors ==
                 0;
    return std::move(report_);
  }

 private:
  using List = std::array<NodeId, kMaxListCapacity>;

  void find(std::uint64_t& count, const std::string& message) {
    ++count;
    if (report_.messages.size() < kMaxMessages) report_.messages.push_back(message);
  }
  static std::string name(NodeId node, std::uint32_t layer) {
    return "node " + std::to_string(node) + ", layer " + std::to_string(layer) + ": ";
  }

  void check_levels_and_entry_point() {
    EntryPoint expected;
    for (NodeId node = 0; node < n_; ++node) {
      const std::uint32_t level = graph_.level(node);
      if (rules_.is_copy(node)) check_copy(node);
      if (!rules_.is_linked(node)) continue;
      if (!rules_.has_its_level(node)) {
        find(report_.level_errors, "node " + std::to_string(node) + " has level " +
                                       std::to_string(level) + ", which its order does not give");
      }
      if (expected.node == kNoNode || level > expected.level) expected = {node, level};
    }
    top_ = expected.level;
    const EntryPoint entry = graph_.entry_point();
    const bool empty = expected.node == kNoNode;
    if (entry.node != expected.node || (!empty && entry.level != expected.level)) {
      find(report_.entry_point_errors,
           "the entry point is node " + std::to_string(entry.node) + " of level " +
               std::to_string(entry.level) + ", the earliest of highest level is node " +
               std::to_string(expected.node) + " of level " + std::to_string(expected.level));
    }
  }

  void check_copy(NodeId copy) {
    if (rules_.has_links(copy)) {
      find(report_.invalid_links, "node " + std::to_string(copy) + " is a copy and has links");
    }
    if (!rules_.is_in_chain(copy)) {
      find(report_.copy_errors,
           "node " + std::to_string(copy) + " is a copy and not in the chain of an earlier node");
    }
  }

  // The list's ids, as far as its header allows reading them.
  std::uint32_t read(NodeId node, std::uint32_t layer, List& ids) {
    const LinkTable& lists = graph_.table_of(layer);
    const ListIndex list = graph_.list(node, layer);
    return lists.is_readable(list) ? lists.read(list, ids.data()) : 0;
  }

  void check_layer(std::uint32_t layer) {
    NodeId first = kNoNode;
    List ids;
    for (NodeId node = 0; node < n_; ++node) {
      if (!rules_.in_layer(node, layer)) continue;
      if (first == kNoNode) first = node;
      check_degree(node, layer);
      const std::uint32_t degree = read(node, layer, ids);
      report_.edges += degree;
      check_links(node, layer, ids, degree);
      check_anchors(node, layer, ids, degree, node == first);
    }
    if (first != kNoNode) check_reachability(layer, first);
  }

  void check_degree(NodeId node, std::uint32_t layer) {
    const std::uint32_t degree = graph_.table_of(layer).header(graph_.list(node, layer)).degree;
    const std::uint32_t allowed = rules_.allowed_degree(node, layer);
    if (degree > allowed) {
      find(report_.over_degree, name(node, layer) + "degree " + std::to_string(degree) +
                                    " exceeds " + std::to_string(allowed));
    }
  }

  void check_links(NodeId node, std::uint32_t layer, List& ids, std::uint32_t degree) {
    List reverse;
    for (std::uint32_t j = 0; j < degree; ++j) {
      const NodeId id = ids[j];
      if (!rules_.in_layer(id, layer) || id == node) {
        find(report_.invalid_links, name(node, layer) + "link to " + std::to_string(id) +
                                        ", which is no other node of the layer");
        continue;
      }
      if (std::find(ids.begin(), ids.begin() + j, id) != ids.begin() + j) {
        find(report_.invalid_links,
             name(node, layer) + "links to " + std::to_string(id) + " twice");
        continue;
      }
      const std::uint32_t n = read(id, layer, reverse);
      if (std::find(reverse.begin(), reverse.begin() + n, node) == reverse.begin() + n) {
        find(report_.asymmetric_edges,
             name(node, layer) + "links to " + std::to_string(id) + ", which does not link back");
      }
    }
  }

  void check_anchors(NodeId node, std::uint32_t layer, const List& ids, std::uint32_t degree,
                     bool is_first) {
    const auto anchors = std::count_if(ids.begin(), ids.begin() + degree,
                                       [&](NodeId id) { return id < n_ && id < node; });
    const std::uint16_t counter = graph_.table_of(layer).header(graph_.list(node, layer)).anchors;
    if (anchors != counter) {
      find(report_.broken_anchors, name(node, layer) + "counts " + std::to_string(counter) +
                                       " anchors, has " + std::to_string(anchors));
    } else if (anchors == 0 && !is_first) {
      find(report_.broken_anchors, name(node, layer) + "has no earlier neighbor");
    }
  }

  // Starts at the entry point if it is in the layer, as it should be, else at the layer's first
  // node.
  void check_reachability(std::uint32_t layer, NodeId first) {
    std::vector<bool> reached(n_, false);
    const NodeId entry = graph_.entry_point().node;
    std::vector<NodeId> frontier{rules_.in_layer(entry, layer) ? entry : first};
    reached[frontier[0]] = true;
    List ids;
    while (!frontier.empty()) {
      const NodeId node = frontier.back();
      frontier.pop_back();
      const std::uint32_t degree = read(node, layer, ids);
      for (std::uint32_t j = 0; j < degree; ++j) {
        if (!rules_.in_layer(ids[j], layer) || reached[ids[j]]) continue;
        reached[ids[j]] = true;
        frontier.push_back(ids[j]);
      }
    }
    for (NodeId node = 0; node < n_; ++node) {
      if (!rules_.in_layer(node, layer) || reached[node]) continue;
      find(report_.unreachable, name(node, layer) + "is not reached from the entry point");
    }
  }

  const Graph& graph_;
  Rules rules_;
  NodeId n_;
  std::uint32_t top_ = 0;
  AuditReport report_;
};

/// One pass over the lists, which stops at the first doubt. Why it proves what audit() checks:
///  - Symmetry. In each layer, take the links to later nodes. No list has one of them twice, and
///    each was found in the other node's list, so there are at least as many links to earlier
///    nodes. If the numbers are equal, the links found are all there are: every link has its
///    reverse, and none occurs twice. So only half of the links are looked up.
///  - Reachability. Every node but a layer's first links to an earlier one, so links lead from it
///    to the first, and, being symmetric, back; the entry point, of the highest level, is in every
///    layer.
class Proof {
 public:
  explicit Proof(const Graph& graph) : graph_(graph), rules_(graph), n_(graph.size()) {}

  bool holds(ThreadPool& pool) {
    find_first_nodes();
    if (!has_entry_point()) return false;
    std::atomic<bool> doubt{false};
    std::atomic<std::int64_t> surplus{0};
    pool.parallel_for(n_, kNodesAtOnce, [&](unsigned, std::size_t begin, std::size_t end) {
      std::int64_t surplus_here = 0;
      for (std::size_t node = begin; node < end && !doubt; ++node) {
        fetch_later_rows(node + kAhead);
        if (!check_node(static_cast<NodeId>(node), surplus_here)) doubt = true;
      }
      surplus += surplus_here;
    });
    return !doubt && surplus == 0;
  }

 private:
  static constexpr std::size_t kNodesAtOnce = 128;
  static constexpr std::size_t kAhead = 2;  // nodes whose neighbors' lists are fetched before

  void find_first_nodes() {
    for (NodeId node = 0; node < n_; ++node) {
      if (!rules_.is_linked(node)) continue;
      while (first_.size() <= graph_.level(node)) first_.push_back(node);
    }
  }
  [[nodiscard]] bool has_entry_point() const {
    const EntryPoint entry = graph_.entry_point();
    if (first_.empty()) return entry.node == kNoNode;
    return entry.node == first_.back() && entry.level == first_.size() - 1;
  }

  void fetch_later_rows(std::size_t node) const {
    const LinkTable& lists = graph_.base();
    if (node >= n_ || !lists.is_readable(static_cast<ListIndex>(node))) return;
    std::array<NodeId, kMaxListCapacity> buffer;
    for (const NodeId id : lists.ids(static_cast<ListIndex>(node), buffer.data())) {
      if (id > node && id < n_) lists.prefetch(id);
    }
  }

  /// False where there is doubt; else adds the links to later nodes less those to earlier ones.
  bool check_node(NodeId node, std::int64_t& surplus) const {
    if (rules_.is_copy(node)) return !rules_.has_links(node) && rules_.is_in_chain(node);
    if (!rules_.is_linked(node)) return true;
    if (!rules_.has_its_level(node)) return false;
    for (std::uint32_t layer = 0; layer <= graph_.level(node); ++layer) {
      if (!check_row(node, layer, surplus)) return false;
    }
    return true;
  }

  bool check_row(NodeId node, std::uint32_t layer, std::int64_t& surplus) const {
    const LinkTable& lists = graph_.table_of(layer);
    const ListIndex list = graph_.list(node, layer);
    if (lists.header(list).degree > rules_.allowed_degree(node, layer)) return false;
    std::array<NodeId, kMaxListCapacity> buffer;
    const std::span<const NodeId> ids = lists.ids(list, buffer.data());

    std::array<NodeId, kMaxListCapacity> later;
    std::uint32_t count = 0;
    for (const NodeId id : ids) {
      if (!rules_.in_layer(id, layer) || id == node) return false;
      later[count] = id;  // half of them are: no branch
      count += id > node ? 1 : 0;
    }
    const std::size_t anchors = ids.size() - count;
    if (anchors != lists.header(list).anchors) return false;
    if (anchors == 0 && node != first_[layer]) return false;
    for (std::uint32_t j = 0; j < count; ++j) {
      const ListIndex other = graph_.list(later[j], layer);
      if (lists.count(list, later[j]) != 1) return false;
      if (!lists.is_readable(other) || lists.count(other, node) != 1) return false;
    }
    surplus += static_cast<std::int64_t>(count) - static_cast<std::int64_t>(anchors);
    return true;
  }

  const Graph& graph_;
  Rules rules_;
  NodeId n_;
  std::vector<NodeId> first_;  ///< of each layer
};

}  // namespace

AuditReport audit(const Graph& graph) { return Audit(graph).run(); }

bool is_sound(const Graph& graph, ThreadPool& pool) { return Proof(graph).holds(pool); }

}  // namespace concord::core
