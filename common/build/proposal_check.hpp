// What a HybridProposer asks so that a device that computes wrongly is found.
//
// Proposals and scores are pure functions, so whoever computes some of them again must get the same
// bits. A check computes a share of them while the device works, and compares before the committer
// gets them. Which ones is a function of their places alone, not of time, threads or results.
// Thread-safety: a ProposalCheck is used by the one building thread.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "common/base/mix64.hpp"
#include "common/build/proposer.hpp"

namespace concord::core {

/// The places of [begin, end) that are checked, ascending. A sequence of places from 0 on is cut in
/// runs of 1 / share places, and one of each run is checked, by a hash of the run and of
/// `sequence`. So all are with a share of 1. `share` is 0 … 1, and none is with 0.
[[nodiscard]] inline std::vector<std::uint32_t> checked_places(double share, std::uint64_t sequence,
                                                               std::uint32_t begin,
                                                               std::uint32_t end) {
  std::vector<std::uint32_t> places;
  if (!(share > 0)) return places;
  const double length = std::min(1 / share, 4294967296.0);  // of a run; beyond all places
  const auto first_of = [length](std::uint64_t run) {
    return static_cast<std::uint64_t>(std::ceil(static_cast<double>(run) * length));
  };
  auto run = static_cast<std::uint64_t>(begin / length);
  run -= run > 0 ? 1 : 0;  // the division may have rounded up
  for (; first_of(run) < end; ++run) {
    const std::uint64_t first = first_of(run);
    const std::uint64_t place = first + mix64(mix64(sequence) + run) % (first_of(run + 1) - first);
    if (begin <= place && place < end) places.push_back(static_cast<std::uint32_t>(place));
  }
  return places;
}

class ProposalCheck {
 public:
  ProposalCheck() = default;
  ProposalCheck(const ProposalCheck&) = delete;
  ProposalCheck& operator=(const ProposalCheck&) = delete;
  virtual ~ProposalCheck() = default;

  /// The device proposes for [begin, end) now, as Proposer::start says. May return before the check
  /// has read what it needs of the graph.
  virtual void start(const Epoch& epoch, NodeId begin, NodeId end) = 0;
  /// Throws Error(cuda), which names node and layer, if what the device has proposed for the batch
  /// started last differs.
  virtual void compare(const ProposalBatch& batch) = 0;
  /// The same of scores.
  virtual void start(const OverfullLists& batch) = 0;
  virtual void compare(const OverfullLists& batch, const ListScores& scores) = 0;
  /// Returns when no thread of the check reads the graph.
  virtual void drain() = 0;
};

}  // namespace concord::core
