// The exact nearest neighbors of the queries: computed, or taken from a file after a check.
#pragma once

#include <concord/params.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "bench/tool/matrix.hpp"

namespace concord::bench {

/// Row q holds the k nearest rows of the vectors to query q, by (distance, row number).
struct GroundTruth {
  std::size_t k = 0;
  IdMatrix ids;              ///< [queries × k]
  Matrix<double> distances;  ///< [queries × k], in double precision
  std::string source;        ///< its origin, for result documents
};

using StepCallback = std::function<void(std::size_t done)>;

/// Exact to double precision: a single-precision matrix product preselects candidates, which are
/// scored again in double; a query whose preselection could have lost a neighbor to rounding is
/// scanned wholly in double. O(vectors × queries × dimension) on `threads` threads.
/// `step` is called, from any one thread at a time, with the number of queries done.
GroundTruth compute_ground_truth(const FloatMatrix& vectors, const FloatMatrix& queries,
                                 Metric metric, std::size_t k, unsigned threads,
                                 const StepCallback& step = {});

/// `stored` with distances, if its first k ids name rows of `vectors` and are the nearest for a
/// sample of the queries. Otherwise computed, and `source` says so.
GroundTruth checked_ground_truth(const FloatMatrix& vectors, const FloatMatrix& queries,
                                 Metric metric, std::size_t k, const IdMatrix& stored,
                                 unsigned threads, const StepCallback& step = {});

}  // namespace concord::bench
