// How each query of a batch with filters is answered, by core::FilterRule or exactly, and the order
// in which a device does it: queries of one way side by side, and those of one filter among them.
// Thread-safety: immutable.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/graph/graph.hpp"
#include "common/search/entries.hpp"
#include "common/search/filter_rule.hpp"
#include "common/search/match_set.hpp"

namespace concord::cuda {

/// How many nodes stand for a match that lives. REQUIRES a graph that stands still.
inline core::NodeId living_of(const core::MatchSet& set, const core::Graph& graph) {
  std::unique_ptr<core::PlacedSet> own;
  const core::PlacedSet& placed = set.under(graph.numbering(), own);
  const core::LiveView live = graph.live();
  return placed.living(live.size - live.living, [&](core::NodeId node) {
    return !core::stands_for_match(graph, live, core::Matches(placed), node);
  });
}

class FilteredBatch {
 public:
  /// As the search without a filter; by a walk, or by a scan if that is given up; by a scan.
  enum class Way : std::uint8_t { without, walk, scan };

  /// Borrows the sets. REQUIRES a graph that stands still. `width` and `stride` are those of
  /// core::FilterRule; without a width the batch is exact, and no query walks.
  FilteredBatch(std::size_t queries, const core::QueryFilters& filters, const core::Graph& graph,
                std::size_t stride, std::optional<std::uint32_t> width)
      : width_(width) {
    std::vector<Query> order(queries);
    for (std::size_t q = 0; q < queries; ++q) {
      const core::MatchSet* const set = filters[q];
      const Way way = way_of(set, graph, stride);
      order[q] = {way, way == Way::without ? nullptr : set, q};
    }
    std::sort(order.begin(), order.end(), [](const Query& a, const Query& b) {
      const std::less<> before;
      if (a.way != b.way) return a.way < b.way;
      return a.set != b.set ? before(a.set, b.set) : a.number < b.number;
    });
    for (const Query& query : order) {
      numbers_.push_back(query.number);
      if (query.set != nullptr && (sets_.empty() || sets_.back() != query.set)) {
        sets_.push_back(query.set);
      }
      set_of_.push_back(sets_.empty() ? 0 : static_cast<std::uint32_t>(sets_.size() - 1));
      ++end_of_[static_cast<std::size_t>(query.way)];
    }
    for (std::size_t way = 1; way < end_of_.size(); ++way) end_of_[way] += end_of_[way - 1];
  }

  [[nodiscard]] bool is_exact() const noexcept { return !width_; }
  /// 0 of an exact batch.
  [[nodiscard]] std::uint32_t width() const noexcept { return width_.value_or(0); }
  /// The queries, in the order in which they are answered.
  [[nodiscard]] std::span<const std::size_t> numbers() const noexcept { return numbers_; }
  /// Where in that order the queries of a way end.
  [[nodiscard]] std::size_t end_of(Way way) const noexcept {
    return end_of_[static_cast<std::size_t>(way)];
  }
  /// The sets of queries that are walked or scanned.
  [[nodiscard]] std::span<const core::MatchSet* const> sets() const noexcept { return sets_; }
  /// Which of them each has, in that order.
  [[nodiscard]] std::span<const std::uint32_t> set_of() const noexcept { return set_of_; }

 private:
  struct Query {
    Way way;
    const core::MatchSet* set;
    std::size_t number;
  };

  [[nodiscard]] Way way_of(const core::MatchSet* set, const core::Graph& graph,
                           std::size_t stride) const {
    if (set == nullptr) return Way::without;
    const core::FilterRule rule(graph.nodes_of(graph.living()), living_of(*set, graph),
                                graph.params().M, stride, width());
    if (rule.takes_all()) return Way::without;
    return is_exact() || rule.scans() ? Way::scan : Way::walk;
  }

  std::optional<std::uint32_t> width_;
  std::vector<std::size_t> numbers_;
  std::vector<std::uint32_t> set_of_;
  std::vector<const core::MatchSet*> sets_;
  std::array<std::size_t, 3> end_of_{};
};

}  // namespace concord::cuda
