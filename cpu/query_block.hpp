// Some queries of a batch that a thread answers together, so that they share what they read.
// Thread-safety: none; one per thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/base/key.hpp"
#include "common/graph/overfull_list.hpp"
#include "common/store/vector_store.hpp"
#include "cpu/scorer.hpp"

namespace concord::cpu {

class QueryBlock {
 public:
  /// At most so many share a block of rows while it is in the cache.
  static constexpr std::size_t kMost = 16;

  QueryBlock(const core::VectorStore& vectors, std::size_t count)
      : stride_(vectors.stride()),
        floats_(count * stride_),
        bytes_(count * stride_),
        queries_(count) {}

  [[nodiscard]] std::size_t size() const noexcept { return queries_.size(); }
  /// Where the i-th query is to be written in its stored form ([stride]).
  [[nodiscard]] float* vector(std::size_t i) noexcept { return floats_.data() + i * stride_; }
  /// Brings all into the form that `scorer` takes.
  void prepare(const Scorer& scorer) noexcept {
    for (std::size_t i = 0; i < size(); ++i) {
      queries_[i] = scorer.as_query(vector(i), bytes_.data() + i * stride_);
    }
  }
  [[nodiscard]] const Query& operator[](std::size_t i) const noexcept { return queries_[i]; }

 private:
  std::size_t stride_;
  std::vector<float> floats_;
  std::vector<std::uint8_t> bytes_;
  std::vector<Query> queries_;
};

/// Rows that score_rows scores at once.
inline constexpr core::NodeId kScoredAtOnce = core::kMaxListCapacity;

/// Calls take(q, key) for each query and each of the rows [first, end), a block of rows at a time
/// for all queries. `distances` has kScoredAtOnce places.
template <class Take>
void score_rows(const Scorer& scorer, const QueryBlock& queries, core::NodeId first,
                core::NodeId end, float* distances, const Take& take) {
  for (core::NodeId begin = first; begin < end; begin += kScoredAtOnce) {
    const core::NodeId rows = std::min(kScoredAtOnce, end - begin);
    for (std::size_t q = 0; q < queries.size(); ++q) {
      scorer.score_block(queries[q], 1, begin, rows, distances, rows);
      for (core::NodeId j = 0; j < rows; ++j) take(q, core::make_key(distances[j], begin + j));
    }
  }
}

}  // namespace concord::cpu
