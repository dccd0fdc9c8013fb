#include "common/contents/copy_finder.hpp"

#include <algorithm>
#include <bit>
#include <string>

#include "common/base/prefetch.hpp"
#include "common/base/xxh3.hpp"

namespace concord::core {
namespace {

constexpr NodeId kAtOnce = 1 << 16;        // vectors that are hashed before they are looked up
constexpr std::size_t kHashedAtOnce = 64;  // by one thread
constexpr std::size_t kAhead = 8;          // slots that are fetched while one is read

// Of the elements as the store keeps them, but as numbers: −0 is 0. `numbers` is [stride].
std::uint32_t hash_of(const VectorStore& vectors, NodeId id, float* numbers) {
  const StoredRows rows = vectors.rows();
  if (are_bytes(rows.element)) {
    const std::size_t bytes = vectors.row_bytes(rows.element);
    const auto* const row = static_cast<const std::byte*>(rows.data) + id * bytes;
    return static_cast<std::uint32_t>(XXH3_64bits(row, bytes));
  }
  const float* const row = vectors.read(id, numbers);
  for (std::uint32_t e = 0; e < vectors.dimension(); ++e) numbers[e] = row[e] + 0.0f;
  return static_cast<std::uint32_t>(XXH3_64bits(numbers, vectors.dimension() * sizeof(float)));
}

}  // namespace

/// What one call works with.
struct CopyFinder::Work {
  Graph& graph;
  const VectorStore& vectors;
  bool has_room = false;  ///< the graph's, for copies

  /// The earliest node before `id` that lives then and is equal to it, or kNoNode. O(id)
  [[nodiscard]] NodeId find_equal(NodeId id) const {
    const Hole hole = graph.tombstones().hole();
    for (NodeId node = 0; node < id; ++node) {
      if (hole.contains(node) || !graph.is_linked(node) || graph.is_dead(node, id)) continue;
      if (vectors.are_equal(node, id)) return node;
    }
    return kNoNode;
  }
  void announce_copy(NodeId id, NodeId first) {
    if (!has_room) graph.reserve_copies();
    has_room = true;
    graph.announce_copy(id, first);
  }
};

void CopyFinder::clear() noexcept {
  std::vector<Slot>().swap(table_);  // an empty list would leave the memory
  std::vector<std::uint32_t>().swap(hashes_);
  used_ = 0;
  known_ = 0;
  has_equals_ = false;  // until the table is built
}

void CopyFinder::give_memory_back(const Graph& graph) noexcept {
  if (table_.size() > 8 * std::max<std::size_t>(64, graph.living())) clear();
}

void CopyFinder::announce_copies(Graph& graph, const VectorStore& vectors, ThreadPool& pool) {
  if (vectors.element() != element_) clear();
  element_ = vectors.element();
  known_ = std::min(known_, graph.size());  // what came behind it was dropped
  Work work{graph, vectors};
  while (known_ < graph.announced()) {
    const NodeId end = std::min(graph.announced(), known_ + kAtOnce);
    read(work, known_, end, pool);
    known_ = end;
  }
}

void CopyFinder::read(Work& work, NodeId begin, NodeId end, ThreadPool& pool) {
  make_room(work.graph, end - begin);
  hashes_.resize(end - begin);
  std::vector<float> numbers(std::size_t{pool.size()} * work.vectors.stride());
  pool.parallel_for(
      end - begin, kHashedAtOnce, [&](unsigned worker, std::size_t first, std::size_t last) {
        float* const of_worker = numbers.data() + std::size_t{worker} * work.vectors.stride();
        for (std::size_t i = first; i < last; ++i) {
          hashes_[i] = hash_of(work.vectors, begin + static_cast<NodeId>(i), of_worker);
        }
      });
  const std::size_t mask = table_.size() - 1;
  for (NodeId id = begin; id < end; ++id) {
    const std::size_t i = id - begin;
    if (i + kAhead < hashes_.size()) prefetch(&table_[hashes_[i + kAhead] & mask], sizeof(Slot));
    add(work, id, hashes_[i]);
  }
}

void CopyFinder::add(Work& work, NodeId id, std::uint32_t hash) {
  Graph& graph = work.graph;
  const bool is_new = id >= graph.size();
  if (graph.copies().is_copy(id)) return;  // told before
  if (!is_new && (graph.tombstones().is_unlinked(id) || graph.is_dead(id, graph.size()))) return;
  const std::size_t mask = table_.size() - 1;
  NodeId equal = kNoNode;
  bool one_died = false;
  std::size_t at = hash & mask;
  for (; table_[at].node != kNoNode && equal == kNoNode; at = (at + 1) & mask) {
    const Slot& slot = table_[at];
    if (slot.hash != hash || slot.node >= id) continue;  // the vector of a later one was dropped
    if (graph.copies().is_copy(slot.node)) continue;
    if (graph.tombstones().is_unlinked(slot.node) || graph.is_dead(slot.node, id)) {
      one_died = true;
    } else if (work.vectors.are_equal(slot.node, id)) {
      equal = slot.node;
    }
  }
  if (!is_new) {
    has_equals_ |= equal != kNoNode;
  } else {
    if (equal == kNoNode && one_died && has_equals_) equal = work.find_equal(id);
    if (equal != kNoNode) work.announce_copy(id, equal);
  }
  if (equal != kNoNode) return;
  table_[at] = {hash, id};
  ++used_;
}

void CopyFinder::make_room(const Graph& graph, std::size_t more) {
  const auto is_full = [&](std::size_t used, std::size_t slots) {
    return used + more > slots / 4 * 3;
  };
  if (!is_full(used_, table_.size())) return;
  // Where equal nodes are left out, a dead one in the table says that there may be others.
  const auto is_of_use = [&](const Slot& slot) {
    if (slot.node >= graph.announced() || graph.copies().is_copy(slot.node)) return false;
    return has_equals_ ||
           (!graph.tombstones().is_unlinked(slot.node) && !graph.is_dead(slot.node, graph.size()));
  };
  const auto left = static_cast<std::size_t>(std::ranges::count_if(table_, is_of_use));
  std::vector<Slot> table(std::bit_ceil(std::max<std::size_t>(64, (left + more) * 3 / 2)));
  const std::size_t mask = table.size() - 1;
  for (const Slot& slot : table_) {
    if (!is_of_use(slot)) continue;
    std::size_t at = slot.hash & mask;
    while (table[at].node != kNoNode) at = (at + 1) & mask;
    table[at] = slot;
  }
  table_ = std::move(table);
  used_ = left;
}

void audit_copies(const Graph& graph, const VectorStore& vectors, AuditReport& report) {
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.copies().is_copy(id) || graph.tombstones().is_unlinked(id)) continue;
    if (vectors.are_equal(id, graph.copies().first(id))) continue;
    report.ok = false;
    if (++report.copy_errors > 20) continue;
    report.messages.push_back("node " + std::to_string(id) + " is a copy of another vector");
  }
}

}  // namespace concord::core
