#include "common/search/tuning.hpp"

#include <algorithm>
#include <cmath>

namespace concord::core {
namespace {

constexpr double kZ = 1.6448536269514722;   // the standard normal is below it with 95 %
constexpr std::uint64_t kLeastSample = 30;  // no mean of fewer is near to normal
constexpr std::uint32_t kSlacks = 100;      // multiples of kSlackStep that are tried
constexpr float kSlackStep = 0.005f;

}  // namespace

// Both limits only grow, so the steps that a search makes are the first ones.
SearchProfile::Outcome SearchProfile::outcome(std::uint32_t ef, float slack) const noexcept {
  const auto end = std::partition_point(steps_.begin(), steps_.end(), [&](const Step& step) {
    return step.ef <= ef && step.slack <= slack;
  });
  return end == steps_.begin() ? Outcome() : (end - 1)->outcome;
}

double lower_bound_of_mean(std::uint64_t sum, std::uint64_t sum_of_squares, std::uint64_t count,
                           std::uint64_t unit) noexcept {
  const auto one = static_cast<double>(unit);
  const double imagined = kZ * kZ / 2;  // of each kind
  const double n = static_cast<double>(count) + 2 * imagined;
  const double mean = (static_cast<double>(sum) / one + imagined) / n;
  const double squares = static_cast<double>(sum_of_squares) / (one * one) + imagined;
  const double variance = std::max(0.0, squares / n - mean * mean);
  return mean - kZ * std::sqrt(variance / n);
}

std::uint64_t least_sample(double goal) noexcept {
  const auto shows = [&](std::uint64_t n) { return lower_bound_of_mean(n, n, n, 1) >= goal; };
  std::uint64_t below = kLeastSample - 1;
  std::uint64_t enough = kLeastSample;
  for (; !shows(enough) && enough >> 62 == 0; enough *= 2) below = enough;
  while (enough - below > 1) {
    const std::uint64_t middle = below + (enough - below) / 2;
    (shows(middle) ? enough : below) = middle;
  }
  return enough;
}

Tuner::Choice Tuner::try_out(std::uint32_t ef, float slack) const noexcept {
  std::uint64_t hits = 0;
  std::uint64_t squares = 0;
  std::uint64_t distances = 0;
  for (const SearchProfile& profile : profiles_) {
    const SearchProfile::Outcome outcome = profile.outcome(ef, slack);
    hits += outcome.hits;
    squares += std::uint64_t{outcome.hits} * outcome.hits;
    distances += outcome.distances;
  }
  const std::uint64_t count = profiles_.size();
  const auto n = static_cast<double>(count);
  return {.ef = ef,
          .slack = slack,
          .measured = static_cast<double>(hits) / (n * static_cast<double>(wanted_)),
          .at_least = lower_bound_of_mean(hits, squares, count, wanted_),
          .distances = static_cast<double>(distances) / n};
}

std::optional<Tuner::Choice> Tuner::least_ef(float slack) const noexcept {
  Choice found = try_out(most_ef_, slack);
  if (found.at_least < goal_) return std::nullopt;
  for (std::uint32_t first = k_; first < found.ef;) {
    const std::uint32_t middle = first + (found.ef - first) / 2;
    const Choice tried = try_out(middle, slack);
    if (tried.at_least < goal_) {
      first = middle + 1;
    } else {
      found = tried;
    }
  }
  return found;
}

std::optional<Tuner::Choice> Tuner::cheapest(bool may_slack) const noexcept {
  std::optional<Choice> best = least_ef(kUnlimitedReach);
  if (!may_slack) return best;
  for (std::uint32_t i = kSlacks; i > 0; --i) {
    const std::optional<Choice> tried = least_ef(static_cast<float>(i) * kSlackStep);
    if (!tried) break;  // a smaller slack finds less
    const bool is_better = !best || tried->distances < best->distances ||
                           (tried->distances == best->distances && tried->ef <= best->ef);
    if (is_better) best = tried;
  }
  return best;
}

}  // namespace concord::core
