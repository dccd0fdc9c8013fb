// Distances in double precision, independent of the library. Recall is judged by them.
#pragma once

#include <cmath>
#include <concord/params.hpp>
#include <cstddef>

namespace concord::bench {

inline double dot(const float* a, const float* b, std::size_t dimension) {
  double sum = 0;
  for (std::size_t i = 0; i < dimension; ++i) {
    sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  }
  return sum;
}

inline double squared_distance(const float* a, const float* b, std::size_t dimension) {
  double sum = 0;
  for (std::size_t i = 0; i < dimension; ++i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += difference * difference;
  }
  return sum;
}

/// As defined at concord::Metric; a zero vector has cosine distance 1 to everything.
inline double exact_distance(Metric metric, const float* a, const float* b, std::size_t dimension) {
  if (metric == Metric::l2sq) return squared_distance(a, b, dimension);
  const double product = dot(a, b, dimension);
  if (metric == Metric::inner_product) return 1 - product;
  const double norms = std::sqrt(dot(a, a, dimension) * dot(b, b, dimension));
  return norms > 0 ? 1 - product / norms : 1;
}

}  // namespace concord::bench
