#include "bench/tool/recall.hpp"

#include <algorithm>
#include <cmath>

#include "bench/tool/exact_distance.hpp"

namespace concord::bench {
namespace {

/// The distance up to which an answer counts as a tie with the k-th true neighbor.
///
/// An index compares distances of single precision. With 32 partial sums a squared distance is off
/// by at most (d/32 + 8) · 2^-24 of itself (2e-6 at d = 784), and typically by a tenth of that;
/// a cosine or inner product by as much of |x||y|, that is of 1 for cosine. An index of
/// floats cannot tell two distances closer than this apart. 1e-6 is too small to accept a truly
/// farther neighbor: on SIFT the next neighbor is on average 1e-2 farther.
double tie_limit(Metric metric, double distance) {
  constexpr double kTolerance = 1e-6;
  const double scale =
      metric == Metric::l2sq ? std::abs(distance) : std::max(1.0, std::abs(distance));
  return distance + kTolerance * scale;
}

}  // namespace

Judge::Judge(const FloatMatrix& vectors, const FloatMatrix& queries, Metric metric,
             const GroundTruth& truth, std::span<const std::uint64_t> labels)
    : vectors_(vectors), queries_(queries), metric_(metric), truth_(truth) {
  bool labels_are_rows = true;
  for (std::size_t row = 0; row < labels.size(); ++row) labels_are_rows &= labels[row] == row;
  if (labels_are_rows) return;
  for (std::size_t row = 0; row < labels.size(); ++row) row_by_label_.emplace(labels[row], row);
}

std::size_t Judge::row_of(std::uint64_t label) const {
  if (row_by_label_.empty()) return label;
  const auto found = row_by_label_.find(label);
  return found == row_by_label_.end() ? vectors_.rows : found->second;
}

std::size_t Judge::right_answers(std::size_t query, std::span<const std::uint64_t> labels) const {
  const std::size_t k = std::min(labels.size(), truth_.k);
  if (k == 0) return 0;
  const double limit = tie_limit(metric_, truth_.distances.row(query)[k - 1]);
  std::size_t right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto* const end = labels.data() + i;
    if (std::find(labels.data(), end, labels[i]) != end) continue;
    const std::size_t row = row_of(labels[i]);
    if (row >= vectors_.rows) continue;
    const double distance =
        exact_distance(metric_, queries_.row(query), vectors_.row(row), vectors_.cols);
    if (distance <= limit) ++right;
  }
  return std::min(right, k);
}

double Judge::recall(std::span<const std::uint64_t> labels, std::size_t k,
                     std::span<const std::uint32_t> counts) const {
  const std::size_t findable = std::min(k, truth_.k) * queries_.rows;
  if (findable == 0) return 1;
  std::size_t right = 0;
  for (std::size_t q = 0; q < queries_.rows; ++q) {
    // A result with fewer than k answers is judged against the same k-th neighbor.
    std::vector<std::uint64_t> row(labels.begin() + static_cast<std::ptrdiff_t>(q * k),
                                   labels.begin() + static_cast<std::ptrdiff_t>((q + 1) * k));
    std::fill(row.begin() + std::min<std::ptrdiff_t>(counts[q], std::ssize(row)), row.end(),
              kNoLabel);
    right += right_answers(q, row);
  }
  return static_cast<double>(right) / static_cast<double>(findable);
}

}  // namespace concord::bench
