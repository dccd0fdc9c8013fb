// Recall@k of a batch of answers.
#pragma once

#include <concord/index.hpp>
#include <cstdint>
#include <span>
#include <unordered_map>

#include "bench/tool/ground_truth.hpp"

namespace concord::bench {

/// Judges answers by the true neighbors. Borrows its arguments.
///
/// An answer is right if its distance, recomputed here in double precision, is at most that of the
/// k-th true neighbor. So any of several vectors at the same distance is right. A label that is
/// unknown, or a repetition in the same result, is wrong.
class Judge {
 public:
  /// Answer labels are row numbers of `vectors`, or labels[row] if `labels` is not empty.
  Judge(const FloatMatrix& vectors, const FloatMatrix& queries, Metric metric,
        const GroundTruth& truth, std::span<const std::uint64_t> labels = {});

  /// Right answers among the first k of every query, divided by those that can be found; 1 without
  /// queries.
  [[nodiscard]] double recall(std::span<const std::uint64_t> labels, std::size_t k,
                              std::span<const std::uint32_t> counts) const;

 private:
  [[nodiscard]] std::size_t row_of(std::uint64_t label) const;
  [[nodiscard]] std::size_t right_answers(std::size_t query,
                                          std::span<const std::uint64_t> labels) const;

  const FloatMatrix& vectors_;
  const FloatMatrix& queries_;
  Metric metric_;
  const GroundTruth& truth_;
  std::unordered_map<std::uint64_t, std::size_t> row_by_label_;  ///< empty: the label is the row
};

}  // namespace concord::bench
