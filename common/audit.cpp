#include "common/audit.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace concord::core {
namespace {

constexpr std::size_t kMaxMessages = 20;

class Audit {
 public:
  explicit Audit(const Graph& graph) : graph_(graph), n_(graph.size()) {}

  AuditReport run() {
    report_.nodes = n_;
    check_levels_and_entry_point();
    for (std::uint32_t layer = 0; layer <= top_; ++layer) check_layer(layer);
    report_.edges /= 2;
    report_.ok = report_.unreachable + report_.asymmetric_edges + report_.broken_anchors +
                     report_.over_degree + report_.invalid_links + report_.entry_point_errors +
                     report_.level_errors ==
                 0;
    return std::move(report_);
  }

 private:
  using Row = std::array<NodeId, kMaxScored>;

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
      if (level != level_of(graph_.params().seed, graph_.order(node), graph_.params().M)) {
        find(report_.level_errors, "node " + std::to_string(node) + " has level " +
                                       std::to_string(level) + ", which its order does not give");
      }
      if (expected.node == kNoNode || level > expected.level) expected = {node, level};
    }
    top_ = expected.level;
    const EntryPoint entry = graph_.entry_point();
    if (entry.node != expected.node || (n_ > 0 && entry.level != expected.level)) {
      find(report_.entry_point_errors,
           "the entry point is node " + std::to_string(entry.node) + " of level " +
               std::to_string(entry.level) + ", the earliest of highest level is node " +
               std::to_string(expected.node) + " of level " + std::to_string(expected.level));
    }
  }

  // The row's ids as far as the row can be read at all.
  std::uint32_t read(NodeId node, std::uint32_t layer, Row& ids) {
    const RowTable& rows = graph_.table(layer);
    const RowIndex row = graph_.row(node, layer);
    const RowHeader& header = rows.header(row);
    if (header.degree > rows.capacity() ||
        (header.degree > rows.max_degree() && header.spill == 0)) {
      return 0;
    }
    return rows.read(row, ids.data());
  }
  [[nodiscard]] bool in_layer(NodeId id, std::uint32_t layer) const {
    return id < n_ && graph_.level(id) >= layer;
  }

  void check_layer(std::uint32_t layer) {
    NodeId first = kNoNode;
    Row ids;
    for (NodeId node = 0; node < n_; ++node) {
      if (graph_.level(node) < layer) continue;
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
    const RowTable& rows = graph_.table(layer);
    const RowHeader& header = rows.header(graph_.row(node, layer));
    const bool open = n_ > graph_.epoch().begin && header.touched_epoch == graph_.epoch().number;
    const std::uint32_t allowed = open ? rows.capacity() : rows.max_degree();
    if (header.degree > allowed) {
      find(report_.over_degree, name(node, layer) + "degree " + std::to_string(header.degree) +
                                    " exceeds " + std::to_string(allowed));
    }
  }

  void check_links(NodeId node, std::uint32_t layer, Row& ids, std::uint32_t degree) {
    Row reverse;
    for (std::uint32_t j = 0; j < degree; ++j) {
      const NodeId id = ids[j];
      if (!in_layer(id, layer) || id == node) {
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

  void check_anchors(NodeId node, std::uint32_t layer, const Row& ids, std::uint32_t degree,
                     bool is_first) {
    const auto anchors = std::count_if(ids.begin(), ids.begin() + degree, [&](NodeId id) {
      return id < n_ && graph_.order(id) < graph_.order(node);
    });
    const std::uint16_t counter = graph_.table(layer).header(graph_.row(node, layer)).anchors;
    if (anchors != counter) {
      find(report_.broken_anchors, name(node, layer) + "counts " + std::to_string(counter) +
                                       " anchors, has " + std::to_string(anchors));
    } else if (anchors == 0 && !is_first) {
      find(report_.broken_anchors, name(node, layer) + "has no earlier neighbor");
    }
  }

  // From the entry point if it is in the layer, as it should be, else from the layer's first node.
  void check_reachability(std::uint32_t layer, NodeId first) {
    std::vector<bool> reached(n_, false);
    const NodeId entry = graph_.entry_point().node;
    std::vector<NodeId> frontier{in_layer(entry, layer) ? entry : first};
    reached[frontier[0]] = true;
    Row ids;
    while (!frontier.empty()) {
      const NodeId node = frontier.back();
      frontier.pop_back();
      const std::uint32_t degree = read(node, layer, ids);
      for (std::uint32_t j = 0; j < degree; ++j) {
        if (!in_layer(ids[j], layer) || reached[ids[j]]) continue;
        reached[ids[j]] = true;
        frontier.push_back(ids[j]);
      }
    }
    for (NodeId node = 0; node < n_; ++node) {
      if (graph_.level(node) < layer || reached[node]) continue;
      find(report_.unreachable, name(node, layer) + "is not reached from the entry point");
    }
  }

  const Graph& graph_;
  NodeId n_;
  std::uint32_t top_ = 0;
  AuditReport report_;
};

}  // namespace

AuditReport audit(const Graph& graph) { return Audit(graph).run(); }

}  // namespace concord::core
