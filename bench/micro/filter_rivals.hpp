// Other ways to search with a filter, over Concord's own graph and by its own distances: what each
// finds, and how many distances and neighbor lists that takes. Only counts are meant to be
// compared, because none of them is written for speed.
//
//   scan         all matches
//   sweep        hnswlib: walks all nodes, and ends where the ef nearest matches are expanded
//   bounded      FAISS: walks as without a filter, and keeps the matches that it meets
//   post_filter  walks as without a filter, with ef doubled until k matches are in the list
//   two_hop      ACORN-1: walks matches, through the lists of neighbors that do not match, from the
//                seeds of core::FilterRule
//
// Each descends through the upper layers first, as Concord does. A list that was read is not read
// again by the same search. Thread-safety: one thread.
#pragma once

#include <concord/index.hpp>
#include <cstdint>
#include <queue>
#include <span>
#include <vector>

#include "common/base/key.hpp"
#include "common/contents/contents.hpp"
#include "cpu/isa.hpp"
#include "cpu/scorer.hpp"

namespace concord::bench {

enum class Rival { scan, sweep, bounded, post_filter, two_hop };
inline constexpr Rival kRivals[] = {Rival::scan, Rival::sweep, Rival::bounded, Rival::post_filter,
                                    Rival::two_hop};
const char* name_of(Rival rival);

struct Work {
  std::uint64_t distances = 0;
  std::uint64_t lists = 0;
};

/// What matches, as bytes by id and as sorted ids.
struct MatchIds {
  explicit MatchIds(std::span<const std::uint8_t> mask);
  std::span<const std::uint8_t> mask;
  std::vector<core::NodeId> ids;
};

class FilterRivals {
 public:
  /// Borrows an index that stands still, of which none was removed. A copy is found by a scan
  /// alone.
  explicit FilterRivals(const Index& index);

  /// The k nearest matches that the rival finds, nearest first.
  std::vector<core::Key> answer(Rival rival, const float* query, const MatchIds& matches,
                                std::size_t k, std::size_t ef, Work& work);

 private:
  using Nearest = std::priority_queue<core::Key>;  ///< the farthest on top

  void meet(std::span<const core::NodeId> ids);
  void meet_seeds(const MatchIds& matches);
  /// Expands the closest until none is among the `ef` nearest of those that `ranks` (null: of all).
  template <class Expand>
  void walk(std::size_t ef, const std::uint8_t* ranks, const Expand& expand);
  std::span<const core::NodeId> list_of(core::NodeId node, std::uint32_t layer);
  core::NodeId descend();
  void expand_two_hop(core::NodeId node, const MatchIds& matches);
  void post_filter(const MatchIds& matches, std::size_t k, std::size_t ef);
  [[nodiscard]] bool mark(std::vector<std::uint32_t>& marks, core::NodeId node) const;
  /// Of all that was seen, so that no rival finds less than it could.
  [[nodiscard]] std::vector<core::Key> nearest_matches(const MatchIds& matches,
                                                       std::size_t k) const;

  const core::Graph& graph_;
  const core::VectorStore& vectors_;
  const cpu::Scorer scorer_;
  std::vector<float> vector_;
  std::vector<std::uint8_t> bytes_;
  cpu::Query query_{};
  std::uint32_t search_ = 0;                  ///< number of the search, which marks what it has met
  std::vector<std::uint32_t> met_, crossed_;  ///< [n]
  std::vector<core::NodeId> list_, fresh_, bridges_;
  std::vector<float> distances_;
  std::vector<core::Key> seen_;
  std::priority_queue<core::Key, std::vector<core::Key>, std::greater<>> frontier_;
  Work work_;
};

}  // namespace concord::bench
