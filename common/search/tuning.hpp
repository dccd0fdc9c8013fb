// The cheapest search that reaches a recall, by what searches of sample queries need.
//
// Definition. A query's profile says, for each (ef, slack), how many of its true neighbors a search
// finds and how many distances it computes (hop_limits.hpp says why one walk tells them all). Of
// all widths and slacks whose recall reaches the goal for certain enough, the one with the fewest
// distances is taken; of equals that of the smaller ef, then of the smaller slack. Recalls are
// counted in hits and costs in distances, so the choice is the same on every machine.
// Thread-safety: pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/base/key.hpp"
#include "common/search/hop_limits.hpp"

namespace concord::core {

/// What searches of one query need, and what they bring.
class SearchProfile {
 public:
  /// What a search has done when it ends.
  struct Outcome {
    std::uint32_t hits = 0;
    std::uint32_t distances = 0;
  };

  /// What the walk has brought that needs no more than this. Limits must not fall.
  void note(const HopLimits& limits, Outcome outcome) {
    const Step step{limits.ef(), limits.slack(), outcome};
    if (!steps_.empty() && steps_.back().ef == step.ef && steps_.back().slack == step.slack) {
      steps_.back() = step;
    } else {
      steps_.push_back(step);
    }
  }
  /// Of a search that the walk covers. REQUIRES a note.
  [[nodiscard]] Outcome outcome(std::uint32_t ef, float slack) const noexcept;

 private:
  struct Step {
    std::uint32_t ef;
    float slack;
    Outcome outcome;
  };
  std::vector<Step> steps_;  ///< with limits that do not fall
};

/// Makes the profile of a walk, as the trace of TracedReach. Borrows its arguments.
class ProfileTrace {
 public:
  /// Candidates no farther than `farthest`, the k-th true neighbor, are hits, at most `wanted` of
  /// them. `distances` counts what is computed.
  ProfileTrace(std::uint32_t k, std::uint32_t wanted, float farthest,
               const std::uint64_t& distances, SearchProfile& profile) noexcept
      : limits_(k),
        wanted_(wanted),
        behind_(make_key(farthest, kMaxNodes) + kExpanded),
        distances_(distances),
        before_(distances),
        profile_(profile) {}

  void begin(NodeId /*from*/) const noexcept {}
  template <class List>
  bool before(const List& list, Key closest) {
    note(list);
    limits_.add(list, closest);
    return false;
  }
  /// After each walk, what its last hops have brought.
  template <class List>
  void note(const List& list) {
    profile_.note(limits_, {static_cast<std::uint32_t>(keys_before(list, behind_, wanted_)),
                            static_cast<std::uint32_t>(distances_ - before_)});
  }

 private:
  HopLimits limits_;
  std::uint32_t wanted_;
  Key behind_;  ///< comes after all hits and before all others
  const std::uint64_t& distances_;
  std::uint64_t before_;
  SearchProfile& profile_;
};

/// A lower bound of the mean of what a sample was drawn from, with a confidence of 95 %: the
/// one-sided normal bound with z² imagined values, half of them 1 and half 0 (Agresti & Coull,
/// "Approximate is better than exact for interval estimation of binomial proportions", The American
/// Statistician 52, 1998, for values between 0 and 1 instead of 0 and 1). `sum` and
/// `sum_of_squares` are those of `count` values between 0 and `unit`, which counts as 1.
double lower_bound_of_mean(std::uint64_t sum, std::uint64_t sum_of_squares, std::uint64_t count,
                           std::uint64_t unit) noexcept;

/// How many queries a sample needs so that it can show the goal, if none misses anything: at least
/// 30, because the mean of fewer is not near to normal.
std::uint64_t least_sample(double goal) noexcept;

/// A query of a sample that was scored exactly.
struct ScoredQuery {
  NodeId hidden = kNoNode;  ///< a node of level 0 that the query's searches do not see, or none
  float farthest = 0;       ///< distance of the last neighbor that is wanted
};

class Tuner {
 public:
  struct Choice {
    std::uint32_t ef = 0;
    float slack = kUnlimitedReach;
    double measured = 0;
    double at_least = 0;
    double distances = 0;  ///< per query
  };

  /// Borrows the profiles, which cover searches up to an ef of `most_ef`; `wanted` neighbors of
  /// each query can be found. REQUIRES most_ef ≥ k and at least one profile.
  Tuner(std::span<const SearchProfile> profiles, double goal, std::uint32_t k, std::uint32_t wanted,
        std::uint32_t most_ef) noexcept
      : profiles_(profiles), goal_(goal), k_(k), wanted_(wanted), most_ef_(most_ef) {}

  /// What a search finds and costs.
  [[nodiscard]] Choice try_out(std::uint32_t ef, float slack) const noexcept;
  /// The least ef that reaches the goal with this slack, if any up to most_ef does.
  [[nodiscard]] std::optional<Choice> least_ef(float slack) const noexcept;
  /// The cheapest of all slacks that may be tried, or with ef alone.
  [[nodiscard]] std::optional<Choice> cheapest(bool may_slack) const noexcept;

 private:
  std::span<const SearchProfile> profiles_;
  double goal_;
  std::uint32_t k_;
  std::uint32_t wanted_;
  std::uint32_t most_ef_;
};

}  // namespace concord::core
